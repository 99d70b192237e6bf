//! Channels with history: what was published in one is kept in a stream, and each message of it has a place there.

use std::{fmt, time::Duration};

use bytes::Bytes;

use super::Publication;

/// Which life of a stream: a stream that was forgotten, and begins anew, has another one. Eight letters and digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StreamEpoch([u8; 8]);

impl StreamEpoch {
    /// A new one.
    pub fn generate() -> Self {
        let digit = |place: u32, random: u32| b"0123456789abcdef"[(random >> (4 * place) & 15) as usize];
        let random = rand::random();
        Self(std::array::from_fn(|place| digit(place as u32, random)))
    }

    /// Reads what [`StreamEpoch::as_str`] gave; `None` for what no stream has.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 8] = text.as_bytes().try_into().ok()?;
        bytes.iter().all(u8::is_ascii_alphanumeric).then_some(Self(bytes))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for StreamEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for StreamEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A place in a channel's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The number of the last message up to here; the first one has 1.
    pub offset: u64,
    /// Of which life of the stream.
    pub epoch: StreamEpoch,
}

/// How much of a channel is kept, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    size: u32,
    ttl: Duration,
}

impl Keep {
    /// The most messages of one channel.
    pub const LARGEST: u32 = 10_000;

    /// The longest time.
    pub const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

    /// How long the position in a stream outlives its last message and the last look at it. A subscriber that comes
    /// back in this time, and has missed nothing, is told so.
    pub const POSITION: Duration = Duration::from_secs(31 * 24 * 60 * 60);

    /// The last `size` messages, until `ttl` after the last one; `None` for nothing, no time, or too much.
    pub fn new(size: u32, ttl: Duration) -> Option<Self> {
        let fits =
            (1..=Self::LARGEST).contains(&size) && ttl >= Duration::from_millis(1) && ttl <= Self::LONGEST;
        fits.then_some(Self { size, ttl })
    }

    /// How many messages.
    pub fn size(self) -> u32 {
        self.size
    }

    /// How long after the last message.
    pub fn ttl(self) -> Duration {
        self.ttl
    }
}

/// A publication of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its number.
    pub offset: u64,
    info: Bytes,
    tags: Bytes,
    data: Bytes,
}

impl Kept {
    /// A copy of the publication that has this number.
    pub fn new(offset: u64, publication: &Publication<'_>) -> Self {
        let Publication { info, tags, data } = *publication;
        let all = Bytes::from([info, tags, data].concat());
        let (tags_at, data_at) = (info.len(), info.len() + tags.len());
        Self {
            offset,
            info: all.slice(..tags_at),
            tags: all.slice(tags_at..data_at),
            data: all.slice(data_at..),
        }
    }

    /// What was published.
    pub fn publication(&self) -> Publication<'_> {
        Publication { info: &self.info, tags: &self.tags, data: &self.data }
    }

    /// About how many bytes it is.
    pub fn len(&self) -> usize {
        self.info.len() + self.tags.len() + self.data.len()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Which part of a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only what came after the message of this number, or before it when `reverse`. Everything, without.
    pub since: Option<u64>,
    /// So many messages at most. All of them, without.
    pub limit: Option<usize>,
    /// The latest first.
    pub reverse: bool,
}

impl Filter {
    /// Nothing but where the stream's end is.
    pub const POSITION: Self = Self { since: None, limit: Some(0), reverse: false };

    /// All that came after the message of this number.
    pub fn after(offset: u64) -> Self {
        Self { since: Some(offset), ..Self::default() }
    }
}

/// What is in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// Where the stream ends.
    pub top: Position,
    /// What was asked for of it, without gaps.
    pub publications: Vec<Kept>,
}

impl Past {
    /// Whether these are all of the stream's messages behind `offset`, up to its end.
    pub fn reaches_back_to(&self, offset: u64) -> bool {
        match self.publications.first() {
            Some(first) => first.offset == offset + 1,
            None => self.top.offset == offset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_reads_back_and_nothing_else_is_one() {
        let epoch = StreamEpoch::generate();
        assert_eq!(StreamEpoch::parse(epoch.as_str()), Some(epoch));
        assert_eq!(epoch.as_str().len(), 8);
        for text in ["", "0123456", "012345678", "0123 567", "\u{e4}\u{e4}\u{e4}\u{e4}"] {
            assert_eq!(StreamEpoch::parse(text), None, "{text:?}");
        }
        assert_ne!(StreamEpoch::generate(), StreamEpoch::generate());
    }

    #[test]
    fn nothing_is_kept_without_size_or_time_and_never_too_much() {
        let second = Duration::from_secs(1);
        assert!(Keep::new(1, second).is_some());
        assert!(Keep::new(Keep::LARGEST, Keep::LONGEST).is_some());
        for (size, ttl) in
            [(0, second), (1, Duration::ZERO), (Keep::LARGEST + 1, second), (1, Keep::LONGEST + second)]
        {
            assert_eq!(Keep::new(size, ttl), None, "{size} {ttl:?}");
        }
    }

    #[test]
    fn a_part_says_whether_it_reaches_back() {
        let epoch = StreamEpoch::generate();
        let publication = Publication { info: b"{}", tags: b"", data: b"1" };
        let past = |top, offsets: &[u64]| Past {
            top: Position { offset: top, epoch },
            publications: offsets.iter().map(|offset| Kept::new(*offset, &publication)).collect(),
        };
        assert!(past(3, &[2, 3]).reaches_back_to(1));
        assert!(past(3, &[]).reaches_back_to(3));
        assert!(!past(3, &[3]).reaches_back_to(1), "cut off");
        assert!(!past(3, &[]).reaches_back_to(1), "gone");
        assert!(!past(3, &[]).reaches_back_to(4), "never was");
        assert_eq!(Kept::new(2, &publication).publication(), publication);
    }
}
