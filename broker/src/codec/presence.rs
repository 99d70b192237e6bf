//! The protocol of boards: binary messages, one or more bytes each, that docs/presence-protocol.md describes.
//!
//! Reading is strict: a message has one form only, so that what is read is what would be written.

use std::fmt;

mod client;
mod described;
mod packed;
mod server;
#[cfg(test)]
mod tests;
mod wire;

pub use client::{FromClient, Join};
pub use described::Described;
pub use packed::{pack, unpack};
pub use server::{Event, Member, Roster, ToClient, Welcome, What, write_news};
pub use wire::Malformed;

/// The subprotocol of WebSocket that this is.
pub const PROTOCOL: &str = "switchboard-board.v1";

/// The instance that a member is connected to, and the start of it: with the member's number it names a member of a
/// board wherever it is seen. 48 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(u64);

/// How many bytes an origin has.
const ORIGIN_BYTES: usize = 6;

impl Origin {
    /// The origin that this text names: 48 bits of FNV-1a over it, the same on every instance and in every build.
    pub fn of(text: &str) -> Self {
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, mix);
        Self((hash ^ (hash >> 48)) & 0xffff_ffff_ffff)
    }

    /// The origin with this number, of which the lower 48 bits count.
    pub const fn from_number(number: u64) -> Self {
        Self(number & 0xffff_ffff_ffff)
    }

    /// The number.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// A place on a board, in quarters of the unit that its pages use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Point {
    /// From the left.
    pub x: i32,
    /// From the top.
    pub y: i32,
}

/// The colour that a member has on boards: red, green, blue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Colour(pub [u8; 3]);

impl Colour {
    /// Reads `#rrggbb` back.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii())?;
        let [_, red, green, blue] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
        Some(Self([red, green, blue]))
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([red, green, blue]) = self;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}
