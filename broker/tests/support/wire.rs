//! How texts look on a connection.

use serde_json::Value;

use super::{Frame, frame, text};

/// What a client sends for a text, and what it makes of what it receives.
pub(crate) trait Wire {
    /// The bytes of a text.
    fn text(payload: &str) -> Vec<u8>;

    /// The first frame in `bytes`, which is taken out; `None` when it is not all there yet.
    fn take(bytes: &mut Vec<u8>) -> Option<Frame>;
}

/// Frames of a WebSocket.
pub(crate) struct WebSocket;

impl Wire for WebSocket {
    fn text(payload: &str) -> Vec<u8> {
        text(payload)
    }

    fn take(bytes: &mut Vec<u8>) -> Option<Frame> {
        frame::take(bytes)
    }
}

/// Lines of text. The one that tells of the end is as the closing frame of a WebSocket.
pub(crate) struct Lines;

impl Wire for Lines {
    fn text(payload: &str) -> Vec<u8> {
        format!("{payload}\n").into_bytes()
    }

    fn take(bytes: &mut Vec<u8>) -> Option<Frame> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let rest = bytes.split_off(end + 1);
        let mut line = String::from_utf8(std::mem::replace(bytes, rest)).expect("lines are UTF-8");
        line.truncate(end);
        let json: Value = serde_json::from_str(&line).expect("lines are JSON");
        let end = &json["push"]["disconnect"];
        Some(match end["code"].as_u64() {
            Some(code) => Frame::Close(code as u16, end["reason"].as_str().unwrap_or_default().into()),
            None => Frame::Text(line),
        })
    }
}
