//! WebSocket frames (RFC 6455) in memory: reading what a client sent, framing what the server sends.
//!
//! Works on whatever bytes are there, so that a connection needs no buffer of its own while it is idle.

use std::{io::Cursor, ops::Range};

use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control, Data, OpCode},
};

use crate::endpoint::{Disconnect, Farewell};

/// The longest header of a frame from the server: two bytes, and eight for the length.
const LONGEST_HEADER: usize = 10;

/// One frame from a client, unmasked in place; the payload is a range of the bytes it was read from.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub opcode: OpCode,
    /// Whether it ends its message.
    pub is_final: bool,
    /// Where its payload lies.
    pub payload: Range<usize>,
    /// Where the next frame begins.
    pub end: usize,
}

/// Reads the frame that begins at `start`; `None` when it is not all there yet.
pub fn read_frame(bytes: &mut [u8], start: usize, limit: usize) -> Result<Option<Frame>, Disconnect> {
    let mut cursor = Cursor::new(&bytes[start..]);
    let header = FrameHeader::parse(&mut cursor).map_err(|_| Disconnect::ProtocolError)?;
    let Some((header, length)) = header else { return Ok(None) };
    let at = start + cursor.position() as usize;
    if length > limit as u64 {
        return Err(Disconnect::TooBig);
    }
    // No extension is negotiated, clients must mask, and control frames are short and whole (RFC 6455 §5).
    let is_control = matches!(header.opcode, OpCode::Control(_));
    if header.rsv1 || header.rsv2 || header.rsv3 || (is_control && (!header.is_final || length > 125)) {
        return Err(Disconnect::ProtocolError);
    }
    let Some(mask) = header.mask else { return Err(Disconnect::ProtocolError) };
    let end = at + length as usize;
    if bytes.len() < end {
        return Ok(None);
    }
    unmask(&mut bytes[at..end], mask);
    Ok(Some(Frame { opcode: header.opcode, is_final: header.is_final, payload: at..end, end }))
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let wide = u64::from_ne_bytes([mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3]]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask) {
        *byte ^= mask;
    }
    for (byte, mask) in rest.iter_mut().skip(4).zip(mask) {
        *byte ^= mask;
    }
}

/// Appends a frame with the bytes that `write` appends as its payload.
pub fn write_frame(opcode: OpCode, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    // The header's length depends on the payload's: the payload is written behind the shortest header, which
    // fits nearly always, and moved when it does not.
    let start = out.len();
    out.extend_from_slice(&[0, 0]);
    write(out);
    let length = (out.len() - start - 2) as u64;
    if length < 126 {
        // The last fragment, whose length is in the second byte (RFC 6455 §5.2).
        out[start] = 0x80 | u8::from(opcode);
        out[start + 1] = length as u8;
        return;
    }
    let header = FrameHeader { is_final: true, opcode, mask: None, ..FrameHeader::default() };
    let mut formatted = [0u8; LONGEST_HEADER];
    let mut cursor = Cursor::new(&mut formatted[..]);
    header.format(length, &mut cursor).expect("a header fits into ten bytes");
    let header_length = cursor.position() as usize;
    out.splice(start..start + 2, formatted[..header_length].iter().copied());
}

/// Appends a text frame with the bytes that `write` appends as its payload.
pub fn write_text(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    write_frame(OpCode::Data(Data::Text), out, write);
}

/// Appends a closing frame.
pub fn write_close(farewell: &Farewell, out: &mut Vec<u8>) {
    write_frame(OpCode::Control(Control::Close), out, |out| {
        out.extend_from_slice(&farewell.code.to_be_bytes());
        out.extend_from_slice(farewell.reason.as_bytes());
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn from_client(opcode: OpCode, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
        let mut out = Vec::new();
        let header = FrameHeader { is_final: true, opcode, mask: Some(mask), ..FrameHeader::default() };
        header.format(payload.len() as u64, &mut out).unwrap();
        out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        out
    }

    const TEXT: OpCode = OpCode::Data(Data::Text);

    #[test]
    fn unmasked_reserved_and_broken_control_frames_are_refused() {
        let mut unmasked = Vec::new();
        write_text(&mut unmasked, |out| out.extend_from_slice(b"{}"));
        assert_eq!(read_frame(&mut unmasked, 0, 100), Err(Disconnect::ProtocolError));
        let mut reserved = from_client(TEXT, b"{}", [1, 2, 3, 4]);
        reserved[0] |= 0x40;
        assert_eq!(read_frame(&mut reserved, 0, 100), Err(Disconnect::ProtocolError));
        let mut long_ping = from_client(OpCode::Control(Control::Ping), &[0; 126], [1, 2, 3, 4]);
        assert_eq!(read_frame(&mut long_ping, 0, 1000), Err(Disconnect::ProtocolError));
    }

    #[test]
    fn a_frame_past_the_limit_is_refused_by_its_header_alone() {
        let mut header = from_client(TEXT, &[0; 70_000], [1, 2, 3, 4]);
        header.truncate(14);
        assert_eq!(read_frame(&mut header, 0, 65_536), Err(Disconnect::TooBig));
    }

    #[test]
    fn a_long_frame_is_written_with_a_long_header() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let mut out = b"before".to_vec();
            write_text(&mut out, |out| out.extend(std::iter::repeat_n(b'x', length)));
            let mut cursor = Cursor::new(&out[6..]);
            let (header, read) = FrameHeader::parse(&mut cursor).unwrap().unwrap();
            assert_eq!((read, header.opcode), (length as u64, TEXT));
            assert_eq!(out.len() - 6 - cursor.position() as usize, length);
        }
    }

    proptest! {
        #[test]
        fn what_a_client_masks_is_read_back(
            payload in proptest::collection::vec(any::<u8>(), 0..300),
            mask in any::<[u8; 4]>(),
            cut in 0usize..400,
        ) {
            let mut bytes = from_client(TEXT, &payload, mask);
            let whole = bytes.len();
            if cut < whole {
                let mut part = bytes[..cut].to_vec();
                prop_assert_eq!(read_frame(&mut part, 0, 1000).unwrap(), None);
            }
            let frame = read_frame(&mut bytes, 0, 1000).unwrap().unwrap();
            prop_assert_eq!(&bytes[frame.payload], &payload[..]);
            prop_assert_eq!(frame.end, whole);
        }

        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = read_frame(&mut bytes, 0, 1000);
        }
    }
}
