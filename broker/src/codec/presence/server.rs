//! What clients are told; some of it is what instances tell each other too, byte for byte.

use super::{
    Colour, Origin, Point,
    wire::{Malformed, Reader, write_number, write_origin, write_point, write_text},
};

const WELCOME: u8 = 0x81;
const NEWS: u8 = 0x82;
const ROSTER: u8 = 0x83;
const JOINED: u8 = 0x84;
const GONE: u8 = 0x85;
const ANNOUNCEMENT: u8 = 0x86;
const ERROR: u8 = 0x87;
const LEFT: u8 = 0x88;
const PING: u8 = 0x89;
// 0x8a is a packed message.
const ALONE: u8 = 0x8b;

const HAS_CURSOR: u8 = 1;
const HAS_SELECTION: u8 = 2;

/// A message to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToClient<'a> {
    /// The client is on the board, and all that is known of it.
    Welcome(Welcome<'a>),
    /// What members of one origin have done.
    News(Origin, Vec<Event<'a>>),
    /// All members of one origin: those of it that are not named are gone.
    Roster(Roster<'a>),
    /// A member came, or is described anew.
    Joined(Origin, Member<'a>),
    /// A member left.
    Gone(Origin, u32),
    /// Something was published in the channel, or, without a channel, sent to this client or to everyone: JSON.
    Announcement {
        /// The channel; empty without one.
        channel: &'a str,
        /// What it says.
        data: &'a str,
    },
    /// Something that the client said was not carried out: a code and a sentence.
    Error(u32, &'a str),
    /// The client is on the board no more: a code and a sentence.
    Left(u32, &'a str),
    /// A client that says nothing is to say that it is there.
    Ping,
    /// Whether the instance that serves the client is cut off from the others.
    Alone(bool),
}

/// What a client is told of a board that it has joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome<'a> {
    /// Its own number.
    pub number: u32,
    /// Its own origin.
    pub origin: Origin,
    /// The instance that serves it.
    pub instance: &'a str,
    /// How many movements of the cursor in a second are told to others.
    pub rate: u32,
    /// How often others are told, in milliseconds.
    pub every: u32,
    /// Who is there, the client among them.
    pub rosters: Vec<Roster<'a>>,
}

/// The members of a board that one instance has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster<'a> {
    /// Which instance.
    pub origin: Origin,
    /// Its members.
    pub members: Vec<Member<'a>>,
}

/// One member of a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its number among those of its origin.
    pub number: u32,
    /// The user; empty when nobody has said it.
    pub user: &'a str,
    /// What it is called.
    pub name: &'a str,
    /// The colour of its cursor.
    pub colour: Colour,
    /// Where its cursor is, if it is on the board.
    pub cursor: Option<Point>,
    /// What it has selected; empty for nothing.
    pub selection: &'a str,
}

/// Something that a member did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// Which member of the origin.
    pub number: u32,
    /// What.
    pub what: What<'a>,
}

/// See [`Event::what`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What<'a> {
    /// Its cursor moved.
    Moved(Point),
    /// Its cursor left the board.
    Away,
    /// It selected something; empty for nothing.
    Selected(&'a str),
    /// It left.
    Gone,
}

impl<'a> Member<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let number = reader.number()?;
        let flags = reader.byte()?;
        if flags & !(HAS_CURSOR | HAS_SELECTION) != 0 {
            return Err(Malformed::Flags(flags));
        }
        let (user, name, colour) = (reader.text()?, reader.text()?, reader.colour()?);
        let cursor = if flags & HAS_CURSOR == 0 { None } else { Some(reader.point()?) };
        let selection = if flags & HAS_SELECTION == 0 { "" } else { reader.text()? };
        if flags & HAS_SELECTION != 0 && selection.is_empty() {
            return Err(Malformed::Flags(flags));
        }
        Ok(Self { number, user, name, colour, cursor, selection })
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_number(self.number, out);
        let selected = if self.selection.is_empty() { 0 } else { HAS_SELECTION };
        out.push(selected | self.cursor.map_or(0, |_| HAS_CURSOR));
        write_text(self.user, out);
        write_text(self.name, out);
        out.extend_from_slice(&self.colour.0);
        if let Some(point) = self.cursor {
            write_point(point, out);
        }
        if !self.selection.is_empty() {
            write_text(self.selection, out);
        }
    }
}

impl<'a> Event<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let tag = reader.number()?;
        let what = match tag & 3 {
            0 => What::Moved(reader.point()?),
            1 => What::Away,
            2 => What::Selected(reader.text()?),
            _ => What::Gone,
        };
        Ok(Self { number: tag >> 2, what })
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self.what {
            What::Moved(point) => {
                write_tag(self.number, 0, out);
                write_point(point, out);
            }
            What::Away => write_tag(self.number, 1, out),
            What::Selected(text) => {
                write_tag(self.number, 2, out);
                write_text(text, out);
            }
            What::Gone => write_tag(self.number, 3, out),
        }
    }
}

/// A member's number and what it did are one number.
fn write_tag(number: u32, what: u32, out: &mut Vec<u8>) {
    write_number((number << 2) | what, out);
}

impl<'a> Roster<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let (origin, count) = (reader.origin()?, reader.number()?);
        let members = (0..count).map(|_| Member::read(reader)).collect::<Result<_, _>>()?;
        Ok(Self { origin, members })
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_origin(self.origin, out);
        write_number(self.members.len() as u32, out);
        self.members.iter().for_each(|member| member.write(out));
    }
}

/// Appends [`ToClient::News`] of these events; nothing without any.
pub fn write_news<'a>(origin: Origin, events: impl Iterator<Item = Event<'a>>, out: &mut Vec<u8>) {
    let mut events = events.peekable();
    if events.peek().is_some() {
        out.push(NEWS);
        write_origin(origin, out);
        events.for_each(|event| event.write(out));
    }
}

impl<'a> ToClient<'a> {
    /// Reads one message that is not [packed](super::pack).
    ///
    /// # Errors
    /// What is wrong with it. A client passes over kinds that it does not know.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        let message = match reader.byte()? {
            WELCOME => {
                let (number, origin, instance) = (reader.number()?, reader.origin()?, reader.text()?);
                let (rate, every, count) = (reader.number()?, reader.number()?, reader.number()?);
                let rosters = (0..count).map(|_| Roster::read(&mut reader)).collect::<Result<_, _>>()?;
                Self::Welcome(Welcome { number, origin, instance, rate, every, rosters })
            }
            NEWS => {
                let (origin, mut events) = (reader.origin()?, vec![Event::read(&mut reader)?]);
                while !reader.is_empty() {
                    events.push(Event::read(&mut reader)?);
                }
                Self::News(origin, events)
            }
            ROSTER => Self::Roster(Roster::read(&mut reader)?),
            JOINED => Self::Joined(reader.origin()?, Member::read(&mut reader)?),
            GONE => Self::Gone(reader.origin()?, reader.number()?),
            ANNOUNCEMENT => Self::Announcement { channel: reader.text()?, data: reader.rest()? },
            ERROR => Self::Error(reader.number()?, reader.rest()?),
            LEFT => Self::Left(reader.number()?, reader.rest()?),
            PING => Self::Ping,
            ALONE => match reader.byte()? {
                is_alone @ (0 | 1) => Self::Alone(is_alone == 1),
                unknown => return Err(Malformed::Flags(unknown)),
            },
            unknown => return Err(Malformed::Kind(unknown)),
        };
        reader.end()?;
        Ok(message)
    }

    /// Appends the message.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Welcome(welcome) => {
                out.push(WELCOME);
                write_number(welcome.number, out);
                write_origin(welcome.origin, out);
                write_text(welcome.instance, out);
                for number in [welcome.rate, welcome.every, welcome.rosters.len() as u32] {
                    write_number(number, out);
                }
                welcome.rosters.iter().for_each(|roster| roster.write(out));
            }
            Self::News(origin, events) => write_news(*origin, events.iter().copied(), out),
            Self::Roster(roster) => {
                out.push(ROSTER);
                roster.write(out);
            }
            Self::Joined(origin, member) => {
                out.push(JOINED);
                write_origin(*origin, out);
                member.write(out);
            }
            Self::Gone(origin, number) => {
                out.push(GONE);
                write_origin(*origin, out);
                write_number(*number, out);
            }
            Self::Announcement { channel, data } => {
                out.push(ANNOUNCEMENT);
                write_text(channel, out);
                out.extend_from_slice(data.as_bytes());
            }
            Self::Error(code, text) | Self::Left(code, text) => {
                out.push(if matches!(self, Self::Error(..)) { ERROR } else { LEFT });
                write_number(*code, out);
                out.extend_from_slice(text.as_bytes());
            }
            Self::Ping => out.push(PING),
            Self::Alone(is_alone) => out.extend_from_slice(&[ALONE, u8::from(*is_alone)]),
        }
    }
}
