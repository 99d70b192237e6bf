//! What a client says.

use std::fmt;

use super::{
    Colour, Point,
    wire::{Malformed, Reader, write_point, write_text},
};

const JOIN: u8 = 0x01;
const LEAVE: u8 = 0x02;
const CURSOR: u8 = 0x03;
const SELECTION: u8 = 0x04;
const HEARTBEAT: u8 = 0x05;

/// A message of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FromClient<'a> {
    /// It wants to be on a board.
    Join(Join<'a>),
    /// It wants to be on it no more.
    Leave,
    /// Its cursor is here now, or nowhere on the board.
    Cursor(Option<Point>),
    /// This is what it has selected; empty for nothing.
    Selection(&'a str),
    /// It is still there.
    Heartbeat,
}

/// Who wants to be on which board.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Join<'a> {
    /// The board's name.
    pub board: &'a str,
    /// The user, where no token says it.
    pub user: &'a str,
    /// What the member is called on the board.
    pub name: &'a str,
    /// The colour of its cursor.
    pub colour: Colour,
    /// The token that says who connects; empty without one. Only the first join of a connection needs it.
    pub token: &'a str,
    /// The token for this board; empty without one.
    pub pass: &'a str,
}

impl fmt::Debug for Join<'_> {
    /// Without the tokens, which are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { board, user, name, colour, .. } = self;
        write!(f, "Join({board:?}, {user:?}, {name:?}, {colour})")
    }
}

impl<'a> FromClient<'a> {
    /// Reads one message.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        let message = match reader.byte()? {
            JOIN => Self::Join(Join {
                board: reader.text()?,
                user: reader.text()?,
                name: reader.text()?,
                colour: reader.colour()?,
                token: reader.text()?,
                pass: reader.text()?,
            }),
            LEAVE => Self::Leave,
            CURSOR if reader.is_empty() => Self::Cursor(None),
            CURSOR => Self::Cursor(Some(reader.point()?)),
            SELECTION => Self::Selection(reader.rest()?),
            HEARTBEAT => Self::Heartbeat,
            unknown => return Err(Malformed::Kind(unknown)),
        };
        reader.end()?;
        Ok(message)
    }

    /// Appends the message.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Join(join) => {
                out.push(JOIN);
                for text in [join.board, join.user, join.name] {
                    write_text(text, out);
                }
                out.extend_from_slice(&join.colour.0);
                write_text(join.token, out);
                write_text(join.pass, out);
            }
            Self::Leave => out.push(LEAVE),
            Self::Cursor(place) => {
                out.push(CURSOR);
                if let Some(point) = place {
                    write_point(*point, out);
                }
            }
            Self::Selection(text) => {
                out.push(SELECTION);
                out.extend_from_slice(text.as_bytes());
            }
            Self::Heartbeat => out.push(HEARTBEAT),
        }
    }
}
