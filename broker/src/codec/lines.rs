//! Lines of text in memory: finding those that a client sent, and writing those that the server sends.
//!
//! Works on whatever bytes are there, so that a connection needs no buffer of its own while it is idle.

use std::ops::Range;

use memchr::memchr;

use crate::endpoint::Disconnect;

/// A line from a client.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it lies, without its end: a line feed, or a carriage return and a line feed.
    pub text: Range<usize>,
    /// Where the next line begins.
    pub end: usize,
}

/// Reads the line that begins at `start`, of at most `limit` bytes; `None` when it is not all there yet. The first
/// `seen` bytes of it are known not to end it.
pub fn read_line(bytes: &[u8], start: usize, seen: usize, limit: usize) -> Result<Option<Line>, Disconnect> {
    let rest = &bytes[start..];
    // Behind the longest line there is room for its end, and what comes later is not looked at.
    let most = limit.saturating_add(2);
    let near = &rest[..rest.len().min(most)];
    let seen = seen.min(near.len());
    match memchr(b'\n', &near[seen..]) {
        Some(at) => {
            let line = &near[..seen + at];
            let length = line.strip_suffix(b"\r").unwrap_or(line).len();
            match length > limit {
                true => Err(Disconnect::TooBig),
                false => Ok(Some(Line { text: start..start + length, end: start + line.len() + 1 })),
            }
        }
        None if near.len() == most => Err(Disconnect::TooBig),
        None => Ok(None),
    }
}

/// Appends a line of what `write` appends, which has no line feed in it.
pub fn write_line(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    write(out);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(bytes: &[u8], limit: usize) -> Result<Option<(&[u8], usize)>, Disconnect> {
        read_line(bytes, 0, 0, limit).map(|line| line.map(|line| (&bytes[line.text], line.end)))
    }

    #[test]
    fn a_line_ends_with_a_line_feed_and_perhaps_a_carriage_return() {
        assert_eq!(line(b"{}\n{", 10), Ok(Some((&b"{}"[..], 3))));
        assert_eq!(line(b"{}\r\n", 10), Ok(Some((&b"{}"[..], 4))));
        assert_eq!(line(b"\n", 10), Ok(Some((&b""[..], 1))));
        assert_eq!(line(b"{}\r\r\n", 10), Ok(Some((&b"{}\r"[..], 5))));
        assert_eq!(line(b"{}\r", 10), Ok(None));
        assert_eq!(line(b"", 10), Ok(None));
        assert_eq!(read_line(b"a\nb\n", 2, 0, 10), Ok(Some(Line { text: 2..3, end: 4 })));
    }

    #[test]
    fn the_longest_line_is_read_and_a_longer_one_is_not_waited_for() {
        assert_eq!(line(b"12345\n", 5), Ok(Some((&b"12345"[..], 6))));
        assert_eq!(line(b"12345\r\n", 5), Ok(Some((&b"12345"[..], 7))));
        assert_eq!(line(b"123456\n", 5), Err(Disconnect::TooBig));
        assert_eq!(line(b"1234567", 5), Err(Disconnect::TooBig));
        assert_eq!(line(b"123456789\n", 5), Err(Disconnect::TooBig));
        assert_eq!(line(b"12345", usize::MAX), Ok(None));
    }

    proptest! {
        #[test]
        fn a_line_is_the_same_however_much_of_it_was_seen_before(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'x')], 0..40),
            cut in 0usize..40,
            limit in 0usize..20,
        ) {
            let whole = read_line(&bytes, 0, 0, limit);
            let cut = cut.min(bytes.len());
            match read_line(&bytes[..cut], 0, 0, limit) {
                Ok(None) => prop_assert_eq!(read_line(&bytes, 0, cut, limit), whole),
                decided => prop_assert_eq!(decided, whole),
            }
        }
    }
}
