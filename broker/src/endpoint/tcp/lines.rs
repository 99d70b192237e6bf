//! Lines of text as they come in.

use std::borrow::Cow;

use crate::{
    codec::lines::read_line,
    endpoint::{
        Disconnect,
        framing::{Framing, Input, Received},
    },
};

/// The lines of one connection.
#[derive(Default)]
pub struct Lines {
    /// How much of a line that is not complete was looked at.
    seen: usize,
}

impl Framing for Lines {
    const BARE: bool = true;

    fn read<'a>(
        &mut self,
        bytes: &'a mut [u8],
        start: usize,
        limit: usize,
    ) -> Result<Option<Received<'a>>, Disconnect> {
        let Some(line) = read_line(bytes, start, self.seen, limit)? else {
            self.seen = bytes.len() - start;
            return Ok(None);
        };
        self.seen = 0;
        let text = std::str::from_utf8(&bytes[line.text]).map_err(|_| Disconnect::InvalidData)?;
        let input = match text.trim_ascii().is_empty() {
            true => Input::Nothing,
            false => Input::Commands(Cow::Borrowed(text)),
        };
        Ok(Some(Received { input, end: line.end }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The lines that are read from pieces, as a connection reads them, and how that ends.
    fn read(pieces: &[&[u8]], limit: usize) -> (Vec<String>, Option<Disconnect>) {
        let (mut lines, mut read, mut unread) = (Lines::default(), Vec::new(), Vec::new());
        for piece in pieces {
            unread.extend_from_slice(piece);
            let mut at = 0;
            loop {
                match lines.read(&mut unread, at, limit) {
                    Ok(Some(received)) => {
                        at = received.end;
                        if let Input::Commands(text) = received.input {
                            read.push(text.into_owned());
                        }
                    }
                    Ok(None) => break,
                    Err(reason) => return (read, Some(reason)),
                }
            }
            unread.drain(..at);
        }
        (read, None)
    }

    #[test]
    fn lines_are_commands_and_empty_ones_are_nothing() {
        let (lines, end) = read(&[b"{\"id\":1}\n\n \r\n{}\r\n{\"id\"", b":2}\n{"], 100);
        assert_eq!(lines, ["{\"id\":1}", "{}", "{\"id\":2}"]);
        assert_eq!(end, None);
        assert_eq!(read(&[b"{}\n\xff\n"], 100), (vec!["{}".into()], Some(Disconnect::InvalidData)));
        assert_eq!(read(&[b"{}\n123456"], 4), (vec!["{}".into()], Some(Disconnect::TooBig)));
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let likely = prop_oneof![3 => Just(b'\n'), 2 => Just(b'\r'), 6 => Just(b'x'), 1 => any::<u8>()];
        proptest::collection::vec(likely, 0..120)
    }

    proptest! {
        #[test]
        fn any_bytes_cut_anywhere_give_the_same_lines(
            bytes in bytes(),
            cuts in proptest::collection::vec(0usize..120, 0..10),
            limit in 0usize..30,
        ) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            prop_assert_eq!(read(&pieces, limit), read(&[&bytes], limit));
            let singly: Vec<_> = bytes.chunks(1).collect();
            prop_assert_eq!(read(&singly, limit), read(&[&bytes], limit));
        }
    }
}
