//! Engine.IO packets (protocol version 4, <https://socket.io/docs/v4/engine-io-protocol/>) in memory: those that a
//! client sent, in a frame of a WebSocket or in the body of a request, and those that the server sends, as such a body.
//!
//! A text packet is one digit and what belongs to it. In the body of a request packets stand one after the other with a
//! record separator between them, and a binary one is `b` and its bytes in Base64.

use std::{borrow::Cow, io::Cursor};

use base64::{Engine, prelude::BASE64_STANDARD};
use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Data, OpCode},
};

/// What stands between two packets of a body.
const SEPARATOR: u8 = 0x1e;

/// The server's question whether the client is still there, as a text packet.
pub const PING: &str = "2";

/// What says that the connection ends, as a text packet.
pub const CLOSE: &str = "1";

/// What says nothing, as a text packet.
pub const NOOP: &str = "6";

/// What a client has to say on a WebSocket before its connection moves there.
pub const PROBE: &str = "probe";

/// The answer to that, as a text packet.
pub const PROBED: &str = "3probe";

/// A packet that a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// The connection ends.
    Close,
    /// A question; only [`PROBE`] is one that clients have.
    Ping(&'a str),
    /// The answer to a ping of the server.
    Pong,
    /// Something for whoever speaks on top.
    Message(&'a str),
    /// The same, of any bytes.
    Binary(Cow<'a, [u8]>),
    /// From now on all goes over this WebSocket.
    Upgrade,
    /// Nothing.
    Noop,
}

/// Something is not a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a packet of Engine.IO")]
pub struct Malformed;

impl<'a> Packet<'a> {
    /// Reads the packet of a text frame.
    ///
    /// # Errors
    /// It is none that a client may send.
    pub fn read(text: &'a str) -> Result<Self, Malformed> {
        let kind = text.as_bytes().first().ok_or(Malformed)?;
        let rest = text.get(1..).ok_or(Malformed)?;
        Ok(match kind {
            b'1' => Self::Close,
            b'2' => Self::Ping(rest),
            b'3' => Self::Pong,
            b'4' => Self::Message(rest),
            b'5' => Self::Upgrade,
            b'6' => Self::Noop,
            _ => return Err(Malformed),
        })
    }

    /// Reads the packets of a body, in order.
    pub fn read_all(body: &'a str) -> impl Iterator<Item = Result<Self, Malformed>> {
        body.split(char::from(SEPARATOR)).map(|part| match part.strip_prefix('b') {
            Some(base64) => {
                BASE64_STANDARD.decode(base64).map(|bytes| Self::Binary(bytes.into())).map_err(|_| Malformed)
            }
            None => Self::read(part),
        })
    }
}

/// Appends a packet to a body.
pub fn write_packet(packet: &str, body: &mut String) {
    if !body.is_empty() {
        body.push(char::from(SEPARATOR));
    }
    body.push_str(packet);
}

/// A binary packet as it stands in a body.
pub fn base64(bytes: &[u8]) -> String {
    let mut packet = String::from("b");
    BASE64_STANDARD.encode_string(bytes, &mut packet);
    packet
}

/// The packets that stand as frames of a WebSocket in `frames`, which the server wrote, as a body for a client that
/// asks for them by requests. Frames of the WebSocket's own protocol are left out.
pub fn body_of(frames: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(frames.len());
    let mut at = 0;
    while let Some((opcode, payload, end)) = frame(frames, at) {
        at = end;
        let OpCode::Data(kind @ (Data::Text | Data::Binary)) = opcode else { continue };
        if !body.is_empty() {
            body.push(SEPARATOR);
        }
        if kind == Data::Text {
            body.extend_from_slice(payload);
        } else {
            body.extend_from_slice(base64(payload).as_bytes());
        }
    }
    body
}

/// The frame that begins there, and where the next does.
fn frame(frames: &[u8], at: usize) -> Option<(OpCode, &[u8], usize)> {
    let mut cursor = Cursor::new(frames.get(at..)?);
    let (header, length) = FrameHeader::parse(&mut cursor).ok()??;
    let start = at + usize::try_from(cursor.position()).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    Some((header.opcode, frames.get(start..end)?, end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::websocket::{write_frame, write_text};

    #[test]
    fn packets_of_the_specification_are_read() {
        for (text, packet) in [
            ("1", Packet::Close),
            ("2probe", Packet::Ping("probe")),
            ("3", Packet::Pong),
            ("4hello", Packet::Message("hello")),
            ("5", Packet::Upgrade),
            ("6", Packet::Noop),
        ] {
            assert_eq!(Packet::read(text), Ok(packet));
        }
        for text in ["", "0{}", "7", "abc", "é", "-1"] {
            assert_eq!(Packet::read(text), Err(Malformed), "{text:?}");
        }
    }

    #[test]
    fn a_body_has_several_packets_and_binary_ones_in_base64() {
        let read: Vec<_> = Packet::read_all("4hello\u{1e}2\u{1e}bAQIDBA==").collect();
        let binary = Packet::Binary(vec![1, 2, 3, 4].into());
        assert_eq!(read, [Ok(Packet::Message("hello")), Ok(Packet::Ping("")), Ok(binary)]);
        for body in ["", "4a\u{1e}", "bA", "b===="] {
            assert!(Packet::read_all(body).any(|packet| packet.is_err()), "{body:?}");
        }
    }

    #[test]
    fn frames_become_the_body_of_the_specification() {
        let mut frames = Vec::new();
        write_text(&mut frames, |out| out.extend_from_slice(b"4hello"));
        write_text(&mut frames, |out| out.extend_from_slice(b"2"));
        write_frame(OpCode::Data(Data::Binary), &mut frames, |out| out.extend_from_slice(&[1, 2, 3, 4]));
        assert_eq!(body_of(&frames), b"4hello\x1e2\x1ebAQIDBA==");
    }

    proptest! {
        #[test]
        fn what_is_framed_is_read_from_the_body(packets in proptest::collection::vec((any::<bool>(), "[a-z]{0,300}"), 1..5)) {
            let mut frames = Vec::new();
            for (is_text, text) in &packets {
                let opcode = OpCode::Data(if *is_text { Data::Text } else { Data::Binary });
                write_frame(opcode, &mut frames, |out| {
                    if *is_text {
                        out.push(b'4');
                    }
                    out.extend_from_slice(text.as_bytes());
                });
            }
            let body = String::from_utf8(body_of(&frames)).unwrap();
            let read: Vec<_> = Packet::read_all(&body).map(Result::unwrap).collect();
            let expected: Vec<_> = packets.iter().map(|(is_text, text)| match is_text {
                true => Packet::Message(text),
                false => Packet::Binary(text.as_bytes().into()),
            }).collect();
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn any_text_is_read_or_refused(body: String, frames: Vec<u8>) {
            prop_assert!(Packet::read_all(&body).count() <= body.len() + 1);
            let _ = body_of(&frames);
        }
    }
}
