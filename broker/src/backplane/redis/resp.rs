//! The Redis protocol (RESP3), as much as the two connections speak that messages cross: commands out,
//! replies and pushes in, read in place without copying or allocating.
//!
//! All other commands go through the client library.

/// Appends a command.
pub(super) fn write_command(arguments: &[&[u8]], out: &mut Vec<u8>) {
    write_length(b'*', arguments.len(), out);
    for argument in arguments {
        write_bulk(argument, out);
    }
}

/// Appends the head of a command whose arguments follow by [`write_bulk`].
pub(super) fn write_head(arguments: usize, out: &mut Vec<u8>) {
    write_length(b'*', arguments, out);
}

/// Appends one argument.
pub(super) fn write_bulk(argument: &[u8], out: &mut Vec<u8>) {
    write_length(b'$', argument.len(), out);
    out.extend_from_slice(argument);
    out.extend_from_slice(b"\r\n");
}

fn write_length(kind: u8, mut number: usize, out: &mut Vec<u8>) {
    let mut digits = [0u8; 23];
    let mut at = digits.len() - 2;
    digits[at..].copy_from_slice(b"\r\n");
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    at -= 1;
    digits[at] = kind;
    out.extend_from_slice(&digits[at..]);
}

/// What the server sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// A message on a pub/sub channel.
    Message { channel: &'a [u8], payload: &'a [u8] },
    /// A message on a channel whose name fits a pattern.
    Foreign { pattern: &'a [u8], payload: &'a [u8] },
    /// One channel of a SUBSCRIBE or UNSUBSCRIBE, or one pattern of a PSUBSCRIBE, is done.
    Confirmed,
    /// Any other push.
    Push,
    /// The answer to a command, as it stands there.
    Reply(&'a [u8]),
    /// The refusal of a command.
    Error(&'a [u8]),
}

/// The text of an answer that is a bulk string.
pub(super) fn text(reply: &[u8]) -> Option<&str> {
    let mut cursor = Cursor { bytes: reply, at: 0 };
    cursor.bulk().ok().and_then(|text| std::str::from_utf8(text).ok())
}

/// How far reading came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// A frame, and how many bytes it took.
    Frame(Frame<'a>, usize),
    /// At least as many bytes in all are needed to read on.
    Needs(usize),
}

/// The bytes are no RESP.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server sent something that is not the Redis protocol")]
pub(super) struct Malformed;

/// Lines longer than this are not of this protocol; bulk strings are no lines.
const LONGEST_LINE: usize = 64 * 1024;

/// Longer strings than this Redis does not send either. A length that is believed is room that is made.
const LONGEST_BULK: usize = 512 * 1024 * 1024;

/// Reads the first frame.
pub(super) fn read(bytes: &[u8]) -> Result<Step<'_>, Malformed> {
    let mut cursor = Cursor { bytes, at: 0 };
    match cursor.frame() {
        Ok(frame) => Ok(Step::Frame(frame, cursor.at)),
        Err(Stop::Needs(total)) => Ok(Step::Needs(total)),
        Err(Stop::Malformed) => Err(Malformed),
    }
}

enum Stop {
    Needs(usize),
    Malformed,
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn frame(&mut self) -> Result<Frame<'a>, Stop> {
        match self.bytes.first() {
            Some(b'>') => self.push(),
            Some(b'-') => Ok(Frame::Error(self.line()?.1)),
            Some(b'!') => {
                let length = self.length()?.unwrap_or(0);
                Ok(Frame::Error(self.take(length)?))
            }
            Some(_) => {
                self.skip(1)?;
                Ok(Frame::Reply(&self.bytes[..self.at]))
            }
            None => Err(Stop::Needs(1)),
        }
    }

    fn push(&mut self) -> Result<Frame<'a>, Stop> {
        let elements = self.length()?.ok_or(Stop::Malformed)?;
        let kind = self.bulk()?;
        if kind == b"message" && elements == 3 {
            let channel = self.bulk()?;
            let payload = self.bulk()?;
            return Ok(Frame::Message { channel, payload });
        }
        if kind == b"pmessage" && elements == 4 {
            let pattern = self.bulk()?;
            self.bulk()?;
            let payload = self.bulk()?;
            return Ok(Frame::Foreign { pattern, payload });
        }
        self.skip(elements.checked_sub(1).ok_or(Stop::Malformed)?)?;
        Ok(match kind {
            b"subscribe" | b"unsubscribe" | b"psubscribe" => Frame::Confirmed,
            _ => Frame::Push,
        })
    }

    /// Passes over values, with all that they hold.
    fn skip(&mut self, values: usize) -> Result<(), Stop> {
        let mut left = values;
        while left > 0 {
            left -= 1;
            match self.bytes.get(self.at) {
                Some(b'$' | b'=' | b'!') => {
                    if let Some(length) = self.length()? {
                        self.take(length)?;
                    }
                }
                Some(b'*' | b'~' | b'>') => left = left.saturating_add(self.length()?.unwrap_or(0)),
                Some(b'%') => left = left.saturating_add(self.length()?.unwrap_or(0).saturating_mul(2)),
                Some(b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(') => {
                    self.line()?;
                }
                Some(_) => return Err(Stop::Malformed),
                None => return Err(Stop::Needs(self.at + 1)),
            }
        }
        Ok(())
    }

    fn bulk(&mut self) -> Result<&'a [u8], Stop> {
        if self.bytes.get(self.at).is_some_and(|kind| *kind != b'$') {
            return Err(Stop::Malformed);
        }
        let length = self.length()?.ok_or(Stop::Malformed)?;
        self.take(length)
    }

    /// Takes bytes and the line end after them.
    fn take(&mut self, length: usize) -> Result<&'a [u8], Stop> {
        let end = self.at.checked_add(length).and_then(|end| end.checked_add(2)).ok_or(Stop::Malformed)?;
        let taken = self.bytes.get(self.at..end).ok_or(Stop::Needs(end))?;
        self.at = end;
        taken.strip_suffix(b"\r\n").ok_or(Stop::Malformed)
    }

    /// Reads a kind and a length; `None` for a null.
    fn length(&mut self) -> Result<Option<usize>, Stop> {
        let (_, line) = self.line()?;
        if line == b"-1" {
            return Ok(None);
        }
        if line.is_empty() || line.len() > 18 {
            return Err(Stop::Malformed);
        }
        let mut number = 0usize;
        for digit in line {
            if !digit.is_ascii_digit() {
                return Err(Stop::Malformed);
            }
            number = number * 10 + usize::from(digit - b'0');
        }
        if number > LONGEST_BULK {
            return Err(Stop::Malformed);
        }
        Ok(Some(number))
    }

    /// Reads a kind and the rest of its line.
    fn line(&mut self) -> Result<(u8, &'a [u8]), Stop> {
        let rest = &self.bytes[self.at.min(self.bytes.len())..];
        let Some(end) = rest.iter().take(LONGEST_LINE).position(|byte| *byte == b'\n') else {
            let at_most =
                if rest.len() < LONGEST_LINE { Stop::Needs(self.bytes.len() + 1) } else { Stop::Malformed };
            return Err(at_most);
        };
        let line = rest[..end].strip_suffix(b"\r").ok_or(Stop::Malformed)?;
        let (kind, line) = line.split_first().ok_or(Stop::Malformed)?;
        self.at += end + 1;
        Ok((*kind, line))
    }
}

/// Every frame of the input; each is asked for byte by byte, and never for more than it takes.
#[cfg(any(test, switchboard_fuzz))]
pub(crate) fn fuzz(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(Step::Frame(frame, length)) = read(rest) {
        assert!((1..=rest.len()).contains(&length));
        assert_eq!(read(&rest[..length]), Ok(Step::Frame(frame, length)), "what follows means nothing");
        for cut in (0..length).rev().take(64) {
            let step = read(&rest[..cut]);
            assert!(
                matches!(step, Ok(Step::Needs(total)) if (cut + 1..=length).contains(&total)),
                "{step:?}"
            );
        }
        rest = &rest[length..];
    }
    if let Ok(Step::Needs(total)) = read(rest) {
        assert!(total > rest.len() && total <= rest.len() + LONGEST_BULK + 2);
    }
    // What is written as a command is read as the answer that it looks like.
    let mut command = Vec::new();
    write_command(&[b"PUBLISH", bytes], &mut command);
    assert_eq!(read(&command), Ok(Step::Frame(Frame::Reply(&command), command.len())));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(bytes: &[u8]) -> Frame<'_> {
        match read(bytes) {
            Ok(Step::Frame(frame, used)) => {
                assert_eq!(used, bytes.len());
                frame
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn commands_are_written() {
        let mut out = Vec::new();
        write_command(&[b"PUBLISH", b"channel", b""], &mut out);
        assert_eq!(out, b"*3\r\n$7\r\nPUBLISH\r\n$7\r\nchannel\r\n$0\r\n\r\n");
        out.clear();
        write_bulk(&[b'x'; 1234], &mut out);
        assert!(out.starts_with(b"$1234\r\nx"));
    }

    #[test]
    fn frames_are_told_apart() {
        let message = b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$4\r\nb\r\nc\r\n";
        assert_eq!(frame(message), Frame::Message { channel: b"a", payload: b"b\r\nc" });
        assert_eq!(frame(b">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"), Frame::Confirmed);
        assert_eq!(frame(b">3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n"), Frame::Confirmed);
        let foreign = b">4\r\n$8\r\npmessage\r\n$2\r\na*\r\n$2\r\nab\r\n$1\r\nc\r\n";
        assert_eq!(frame(foreign), Frame::Foreign { pattern: b"a*", payload: b"c" });
        assert_eq!(frame(b">3\r\n$10\r\npsubscribe\r\n$2\r\na*\r\n:1\r\n"), Frame::Confirmed);
        assert_eq!(frame(b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"), Frame::Push);
        for reply in [&b":12\r\n"[..], b"$-1\r\n", b"%2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n*0\r\n"] {
            assert_eq!(frame(reply), Frame::Reply(reply));
            assert_eq!(text(reply), None);
        }
        assert_eq!(text(b"$4\r\n7 ab\r\n"), Some("7 ab"));
        assert_eq!(frame(b"-NOAUTH no\r\n"), Frame::Error(b"NOAUTH no"));
        assert_eq!(frame(b"!6\r\nERR no\r\n"), Frame::Error(b"ERR no"));
        assert_eq!(read(b"HTTP/1.1 400\r\n"), Err(Malformed));
        for length in ["99999999999999999999", "999999999999999", "536870913"] {
            assert_eq!(read(format!("${length}\r\n").as_bytes()), Err(Malformed));
            assert_eq!(read(format!(">3\r\n${length}\r\n").as_bytes()), Err(Malformed));
        }
        assert_eq!(read(b"$536870912\r\n"), Ok(Step::Needs(12 + 536_870_912 + 2)));
    }

    #[test]
    fn a_long_payload_says_how_much_is_missing() {
        let head = b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1000\r\n";
        assert_eq!(read(head), Ok(Step::Needs(head.len() + 1002)));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = read(&bytes);
        }

        #[test]
        fn a_cut_frame_needs_more_and_never_too_much(payload in proptest::collection::vec(any::<u8>(), 0..50)) {
            let mut whole = b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n".to_vec();
            write_bulk(&payload, &mut whole);
            for cut in 0..whole.len() {
                match read(&whole[..cut]) {
                    Ok(Step::Needs(total)) => prop_assert!(total > cut && total <= whole.len()),
                    other => prop_assert!(false, "{other:?}"),
                }
            }
        }
    }
}
