//! What tells one message of a client from the next, in the bytes of a stream.

use std::borrow::Cow;

use super::Disconnect;

/// How the messages of a client stand in the bytes of a stream.
pub trait Framing: Unpin {
    /// Whether the stream is nothing but lines of text. Then a client may end its half of it and still want the
    /// answers, and what it sends together is not told from what it sends later.
    const BARE: bool;

    /// Reads the message that begins at `start`, of at most `limit` bytes; `None` when it is not all there yet.
    /// Asked again, it is given the same beginning with more behind it.
    ///
    /// # Errors
    /// Why the connection has to end.
    fn read<'a>(
        &mut self,
        bytes: &'a mut [u8],
        start: usize,
        limit: usize,
    ) -> Result<Option<Received<'a>>, Disconnect>;
}

/// Something that a client sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Received<'a> {
    /// What it is.
    pub input: Input<'a>,
    /// Where the next begins.
    pub end: usize,
}

/// See [`Received::input`].
#[derive(Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// Commands, to be carried out.
    Commands(Cow<'a, str>),
    /// A message that is no text.
    Binary(Cow<'a, [u8]>),
    /// A question of the framing itself, with the bytes that answer it.
    Answer(Vec<u8>),
    /// Nothing to be done yet, or at all.
    Nothing,
}
