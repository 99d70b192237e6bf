//! Lines of text in memory: finding those that a client sent, writing those that the server sends, and joining
//! them to datagrams.
//!
//! Works on whatever bytes are there, so that a connection needs no buffer of its own while it is idle.

use std::ops::Range;

use memchr::{memchr, memrchr};

use crate::endpoint::Disconnect;

/// The most bytes that a datagram can carry (UDP over IPv4: 65,535 less both headers).
pub const LARGEST_DATAGRAM: usize = 65_507;

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

/// Cuts whole lines into datagrams: as many lines to each as `size` bytes hold, and a longer line by itself.
pub fn datagrams(mut lines: &[u8], size: usize) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let near = &lines[..lines.len().min(size)];
        let end = memrchr(b'\n', near).or_else(|| memchr(b'\n', lines)).map_or(lines.len(), |at| at + 1);
        let (datagram, rest) = lines.split_at(end);
        lines = rest;
        (!datagram.is_empty()).then_some(datagram)
    })
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

    #[test]
    fn lines_are_joined_up_to_the_size() {
        let cut = |lines: &str, size| {
            let cut = datagrams(lines.as_bytes(), size);
            cut.map(|datagram| String::from_utf8(datagram.to_vec()).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(cut("a\nb\nc\n", 4), ["a\nb\n", "c\n"]);
        assert_eq!(cut("a\nb\nc\n", 5), ["a\nb\n", "c\n"]);
        assert_eq!(cut("a\nlong line\nb\n", 4), ["a\n", "long line\n", "b\n"]);
        assert_eq!(cut("", 4), Vec::<String>::new());
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

        #[test]
        fn datagrams_are_the_lines_and_no_larger_than_they_must_be(
            lines in proptest::collection::vec("[a-z]{0,30}", 0..40),
            size in 1usize..100,
        ) {
            let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let mut joined = Vec::new();
            for datagram in datagrams(lines.as_bytes(), size) {
                prop_assert!(datagram.ends_with(b"\n"));
                let several = memchr(b'\n', datagram) != Some(datagram.len() - 1);
                prop_assert!(datagram.len() <= size || !several, "{} bytes", datagram.len());
                joined.extend_from_slice(datagram);
            }
            prop_assert_eq!(joined, lines.into_bytes());
        }

        #[test]
        fn any_bytes_are_cut_and_none_is_lost(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            size in 1usize..100,
        ) {
            prop_assert_eq!(datagrams(&bytes, size).flatten().copied().collect::<Vec<_>>(), bytes);
        }
    }
}
