//! The client's side of Socket.IO v5 on Engine.IO v4, in text frames of a WebSocket: no more of it than the cases
//! need.

use super::{
    Garbled, Said,
    websocket::{self, TEXT, frame},
};
use crate::message::Stamp;

/// The number of the acknowledgement that a join asks for; publications have ten digits.
const JOIN: &str = "0";
/// What an event begins with that tells of a cursor.
const CURSOR: &[u8] = br#"42["cursor","#;

/// The HTTP request that asks for a websocket.
pub(crate) fn upgrade() -> Vec<u8> {
    websocket::request("/socket.io/?EIO=4&transport=websocket")
}

/// Connects to the main namespace.
pub(crate) fn connect() -> Vec<u8> {
    frame(b"40")
}

/// Joins a room.
pub(crate) fn join(room: &str) -> Vec<u8> {
    frame(format!(r#"42{JOIN}["join","{room}"]"#).as_bytes())
}

/// Sends a message to all others in a room.
pub(crate) fn publish(id: u64, room: &str, data: &str) -> Vec<u8> {
    frame(format!(r#"42{id}["publish","{room}","message",{data}]"#).as_bytes())
}

/// Tells all others in a room where a cursor is, without a wish for an answer.
pub(crate) fn moved(room: &str, data: &str) -> Vec<u8> {
    frame(format!(r#"42["cursor","{room}",{data}]"#).as_bytes())
}

/// The answer to [`Said::Ping`].
pub(crate) fn pong() -> Vec<u8> {
    frame(b"3")
}

/// Reads all complete frames.
///
/// # Errors
/// On frames that no server sends here: fragments, binary frames, control frames but close.
pub(crate) fn read(input: &[u8], mut heard: impl FnMut(Said<'_>)) -> Result<usize, Garbled> {
    websocket::read_frames(input, TEXT, |text| packet(text, &mut heard))
}

fn packet(said: Result<&[u8], &[u8]>, heard: &mut impl FnMut(Said<'_>)) {
    let text = match said {
        Ok(text) => text,
        Err(last_words) => return heard(Said::Closed(last_words)),
    };
    heard(match text {
        // The handshake says nothing that a case needs.
        [b'0', ..] => return,
        [b'2'] => Said::Ping,
        [b'4', b'0', ..] => Said::Ready,
        _ if text.starts_with(CURSOR) => Said::Told(&text[CURSOR.len()..]),
        [b'4', b'2', b'[', ..] => Stamp::find(text).map_or(Said::Unexpected(text), Said::Message),
        [b'4', b'3', answer @ ..] => answered(answer).unwrap_or(Said::Unexpected(text)),
        _ => Said::Unexpected(text),
    });
}

/// An acknowledgement, which says what went wrong if something did.
fn answered(answer: &[u8]) -> Option<Said<'static>> {
    let digits = answer.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (id, result) = answer.split_at(digits);
    if memchr::memmem::find(result, b"error").is_some() {
        return None;
    }
    Some(if id == JOIN.as_bytes() { Said::Subscribed } else { Said::Published })
}
