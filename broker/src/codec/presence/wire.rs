//! Numbers, texts and places as they stand in messages.

use super::{Colour, ORIGIN_BYTES, Origin, Point};

/// Why bytes are no message of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// They end too early.
    #[error("a message that ends too early")]
    Truncated,
    /// A number has more bytes than it needs, or than a number can have.
    #[error("a number in more bytes than it needs")]
    Number,
    /// A text is not UTF-8.
    #[error("a text that is not UTF-8")]
    Text,
    /// A kind of message that there is not.
    #[error("a message of the unknown kind {0}")]
    Kind(u8),
    /// A member's flags that there are not.
    #[error("a member with the unknown flags {0}")]
    Flags(u8),
    /// Something stands behind the message.
    #[error("bytes behind the end of the message")]
    Trailing,
    /// What is packed is larger than allowed, or broken.
    #[error("a packed message that cannot be unpacked")]
    Packed,
}

/// The rest of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.is_empty() { Ok(()) } else { Err(Malformed::Trailing) }
    }

    pub(super) fn bytes(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.0.split_at_checked(length).ok_or(Malformed::Truncated)?;
        self.0 = tail;
        Ok(head)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.bytes(1)?[0])
    }

    /// Seven bits a byte, the lowest first; all but the last have their highest bit set.
    pub(super) fn number(&mut self) -> Result<u32, Malformed> {
        let mut number = 0u32;
        for shift in (0..).step_by(7) {
            let byte = self.byte()?;
            let bits = u32::from(byte & 0x7f);
            // The fifth byte has room for four bits; a last byte of zero says nothing.
            if shift > 28 || (shift == 28 && bits > 0x0f) || (shift > 0 && byte == 0) {
                return Err(Malformed::Number);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        Ok(number)
    }

    pub(super) fn point(&mut self) -> Result<Point, Malformed> {
        let mut part = || self.number().map(|number| (number >> 1) as i32 ^ -((number & 1) as i32));
        Ok(Point { x: part()?, y: part()? })
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = self.number()? as usize;
        std::str::from_utf8(self.bytes(length)?).map_err(|_| Malformed::Text)
    }

    /// All that is left, as a text.
    pub(super) fn rest(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(std::mem::take(&mut self.0)).map_err(|_| Malformed::Text)
    }

    pub(super) fn colour(&mut self) -> Result<Colour, Malformed> {
        let bytes = self.bytes(3)?;
        Ok(Colour([bytes[0], bytes[1], bytes[2]]))
    }

    pub(super) fn origin(&mut self) -> Result<Origin, Malformed> {
        let mut number = [0; 8];
        number[..ORIGIN_BYTES].copy_from_slice(self.bytes(ORIGIN_BYTES)?);
        Ok(Origin(u64::from_le_bytes(number)))
    }
}

pub(super) fn write_number(mut number: u32, out: &mut Vec<u8>) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(super) fn write_point(point: Point, out: &mut Vec<u8>) {
    for part in [point.x, point.y] {
        write_number(((part << 1) ^ (part >> 31)) as u32, out);
    }
}

pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    write_number(text.len() as u32, out);
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn write_origin(origin: Origin, out: &mut Vec<u8>) {
    out.extend_from_slice(&origin.0.to_le_bytes()[..ORIGIN_BYTES]);
}
