//! WebSocket frames as a client sends and reads them, broken ones included.

use std::io::Cursor;

use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control, Data, OpCode},
};

/// A frame from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Lines of JSON.
    Text(String),
    /// The answer to a ping frame.
    Pong(Vec<u8>),
    /// The end: code and reason.
    Close(u16, String),
}

const MASK: [u8; 4] = [7, 77, 177, 250];

/// A masked frame.
pub(crate) fn frame(opcode: OpCode, is_final: bool, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 14);
    let header = FrameHeader { is_final, opcode, mask: Some(MASK), ..FrameHeader::default() };
    header.format(payload.len() as u64, &mut out).unwrap();
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    out
}

/// A whole text message.
pub(crate) fn text(payload: &str) -> Vec<u8> {
    frame(OpCode::Data(Data::Text), true, payload.as_bytes())
}

/// The first frame in `bytes`, which is taken out; `None` when it is not all there yet.
pub(super) fn take(bytes: &mut Vec<u8>) -> Option<Frame> {
    let mut cursor = Cursor::new(bytes.as_slice());
    let (header, length) = FrameHeader::parse(&mut cursor).expect("the server's frames are valid")?;
    let start = cursor.position() as usize;
    let end = start + length as usize;
    if bytes.len() < end {
        return None;
    }
    assert!(header.is_final && header.mask.is_none(), "the server sends whole frames, unmasked: {header:?}");
    let payload = bytes[start..end].to_vec();
    bytes.drain(..end);
    Some(match header.opcode {
        OpCode::Data(Data::Text) => Frame::Text(String::from_utf8(payload).expect("text is UTF-8")),
        OpCode::Control(Control::Pong) => Frame::Pong(payload),
        OpCode::Control(Control::Close) => {
            let (code, reason) = payload.split_at(2);
            let reason = String::from_utf8(reason.to_vec()).expect("a reason is UTF-8");
            Frame::Close(u16::from_be_bytes([code[0], code[1]]), reason)
        }
        other => panic!("the server never sends {other:?}"),
    })
}
