//! The client's side of boards (docs/presence-protocol.md), in binary frames of a websocket: the broker's own reader
//! and writer of messages, and no more framing than the cases need.

use switchboard::codec::presence::{Colour, FromClient, Join, Point};

use super::{
    Garbled, Said,
    websocket::{self, BINARY},
};

// What the broker's messages begin with.
const ERROR: u8 = 0x87;
const LEFT: u8 = 0x88;
const PING: u8 = 0x89;

/// The HTTP request that asks for a websocket.
pub(crate) fn upgrade() -> Vec<u8> {
    websocket::request("/presence")
}

/// Joins a board.
pub(crate) fn join(board: &str) -> Vec<u8> {
    let colour = Colour([0xe0, 0x40, 0x10]);
    message(&FromClient::Join(Join { board, user: "", name: "member", colour, token: "", pass: "" }))
}

/// Moves the cursor.
pub(crate) fn moved(place: Point) -> Vec<u8> {
    message(&FromClient::Cursor(Some(place)))
}

/// The answer to [`Said::Ping`].
pub(crate) fn pong() -> Vec<u8> {
    message(&FromClient::Heartbeat)
}

fn message(message: &FromClient<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.write(&mut bytes);
    websocket::frame_of(BINARY, &bytes)
}

/// Reads all complete frames. What a message says stays unread: hundreds of clients are told the same.
///
/// # Errors
/// On frames that no server sends here: fragments, text frames, control frames but close.
pub(crate) fn read(input: &[u8], mut heard: impl FnMut(Said<'_>)) -> Result<usize, Garbled> {
    websocket::read_frames(input, BINARY, |said| {
        heard(match said {
            Err(last_words) => Said::Closed(last_words),
            Ok([PING]) => Said::Ping,
            Ok(message @ ([] | [ERROR | LEFT, ..])) => Said::Unexpected(message),
            Ok(message) => Said::Told(message),
        });
    })
}
