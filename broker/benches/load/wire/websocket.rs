//! The client's side of a websocket with JSON commands: no more framing than the cases need.

use memchr::{memchr, memmem};

use super::{Garbled, Said};
use crate::message::{Stamp, number};

/// The sample key of RFC 6455, and the answer that a server derives from it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Frames of text.
pub(crate) const TEXT: u8 = 1;
/// Frames of bytes.
pub(crate) const BINARY: u8 = 2;
const CLOSE: u8 = 8;

const CONNECT_ID: u64 = 1;
const SUBSCRIBE_ID: u64 = 2;

/// The HTTP request that asks for the broker's websocket.
pub(crate) fn upgrade() -> Vec<u8> {
    request("/connection/websocket")
}

/// The HTTP request that asks for a websocket.
pub(crate) fn request(path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    )
    .into_bytes()
}

/// The first frame: connects, and subscribes in the same frame as the official clients do.
pub(crate) fn connect(channel: Option<&str>) -> Vec<u8> {
    let mut commands = format!(r#"{{"id":{CONNECT_ID},"connect":{{}}}}"#);
    if let Some(channel) = channel {
        commands.push('\n');
        commands.push_str(&subscribe(channel));
    }
    frame(commands.as_bytes())
}

/// A subscribe command.
pub(crate) fn subscribe(channel: &str) -> String {
    format!(r#"{{"id":{SUBSCRIBE_ID},"subscribe":{{"channel":"{channel}"}}}}"#)
}

/// A publish command.
pub(crate) fn publish(id: u64, channel: &str, data: &str) -> String {
    format!(r#"{{"id":{id},"publish":{{"channel":"{channel}","data":{data}}}}}"#)
}

/// A client's text frame.
pub(crate) fn frame(text: &[u8]) -> Vec<u8> {
    frame_of(TEXT, text)
}

/// A client's frame of this kind. It is masked, as the standard demands, with a key of zeros, which leaves the bytes as
/// they are: the server's work is the same and the generator has none.
pub(crate) fn frame_of(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80 | kind];
    match u16::try_from(content.len()) {
        Ok(length @ 0..=125) => bytes.push(0x80 | length as u8),
        Ok(length) => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
        Err(_) => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(content.len() as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(content);
    bytes
}

/// Reads the HTTP answer to [`upgrade`].
///
/// # Errors
/// When the server does not switch to the websocket protocol.
pub(crate) fn read_upgrade(input: &[u8], mut heard: impl FnMut(Said<'_>)) -> Result<usize, Garbled> {
    let Some(end) = memmem::find(input, b"\r\n\r\n") else { return Ok(0) };
    let head = &input[..end];
    if !head.starts_with(b"HTTP/1.1 101") || memmem::find(head, ACCEPT).is_none() {
        return Err(Garbled::new("the server did not switch to a websocket", head));
    }
    heard(Said::Upgraded);
    Ok(end + 4)
}

/// Reads all complete frames.
///
/// # Errors
/// On frames that no server of this protocol sends: fragments, binary frames, control frames but close.
pub(crate) fn read(input: &[u8], mut heard: impl FnMut(Said<'_>)) -> Result<usize, Garbled> {
    read_frames(input, TEXT, |said| match said {
        Ok(text) => lines(text, &mut heard),
        Err(last_words) => heard(Said::Closed(last_words)),
    })
}

/// Reads all complete frames: those of one kind, and the last words of a server that closes.
///
/// # Errors
/// On frames of other kinds, and fragments.
pub(crate) fn read_frames(
    input: &[u8],
    kind: u8,
    mut heard: impl FnMut(Result<&[u8], &[u8]>),
) -> Result<usize, Garbled> {
    let mut at = 0;
    while let Some((body, end)) = extent(&input[at..]) {
        let (first, content) = (input[at], &input[at + body..at + end]);
        match first {
            byte if byte == 0x80 | kind => heard(Ok(content)),
            byte if byte == 0x80 | CLOSE => heard(Err(content)),
            _ => return Err(Garbled::new("the server sent an unexpected kind of frame", &input[at..])),
        }
        at += end;
    }
    Ok(at)
}

/// Where the body of the frame begins and ends, when all of it is here.
fn extent(input: &[u8]) -> Option<(usize, usize)> {
    let (body, length): (usize, usize) = match *input.get(1)? {
        126 => (4, u16::from_be_bytes(input.get(2..4)?.try_into().ok()?).into()),
        127 => (10, usize::try_from(u64::from_be_bytes(input.get(2..10)?.try_into().ok()?)).ok()?),
        length => (2, usize::from(length)),
    };
    let end = body.checked_add(length)?;
    (input.len() >= end).then_some((body, end))
}

/// A frame holds one reply or several, one a line.
fn lines(mut text: &[u8], heard: &mut impl FnMut(Said<'_>)) {
    while let Some(end) = memchr(b'\n', text) {
        heard(line(&text[..end]));
        text = &text[end + 1..];
    }
    if !text.is_empty() {
        heard(line(text));
    }
}

/// Understands one reply by its beginning: a JSON parser would cost more than the server does.
fn line(text: &[u8]) -> Said<'_> {
    if text.starts_with(br#"{"push":{"channel":"#) {
        return Stamp::find(text).map_or(Said::Unexpected(text), Said::Message);
    }
    if text == b"{}" {
        return Said::Ping;
    }
    let Some(rest) = text.strip_prefix(br#"{"id":"#) else { return Said::Unexpected(text) };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let result = &rest[digits..];
    match number(rest) {
        Some(CONNECT_ID) if result.starts_with(br#","connect":"#) => Said::Ready,
        Some(SUBSCRIBE_ID) if result.starts_with(br#","subscribe":"#) => Said::Subscribed,
        Some(_) if result.starts_with(br#","publish":"#) => Said::Published,
        _ => Said::Unexpected(text),
    }
}
