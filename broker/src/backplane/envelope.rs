//! What crosses the backplane, and its bytes.
//!
//! One Redis message carries one *packet*: a header that says who sent it, then one or more envelopes, so that
//! many publications to one channel cost one command when the broker is busy.
//!
//! ```text
//! packet   = version:u8 (1)  epoch:u64le  id_length:u8  id:bytes  envelope*
//! envelope = kind:u8  length:u32le  body:bytes(length)
//! ```
//!
//! What is published in a channel with history has numbers, which are known only where the packet is put together (in
//! Redis, by the script that also keeps it). Its first envelope says the number of the publication that follows; those
//! behind that have the next numbers:
//!
//! ```text
//! kind = 7  length = 16  body = offset:u64le  stream_epoch:bytes(8)
//! ```
//!
//! What some do not get says before the publication who they are:
//!
//! ```text
//! kind = 8 | 9  body = excluded_length:u32le  excluded  publication
//! excluded      = count:u32le  client:bytes(16)*count  (name_length:u16le  channel:bytes)*
//! ```

use bytes::{Buf, BufMut};

use super::{Position, StreamEpoch};
use crate::message::{Address, ClientId, Epoch, InstanceId};

mod excluded;

pub use excluded::Excluded;

const VERSION: u8 = 1;

/// The kind of [`Envelope::Stream`].
const STREAM: u8 = 7;

/// One publication in a channel, as its subscribers get it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publication<'a> {
    /// The publisher's description (a JSON object), when a client published; empty otherwise.
    pub info: &'a [u8],
    /// The metadata as a JSON object of strings; empty for none.
    pub tags: &'a [u8],
    /// The payload: a JSON value without raw line breaks.
    pub data: &'a [u8],
}

impl<'a> Publication<'a> {
    /// Appends `info_length:u32le  tags_length:u32le  info  tags  data`.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.put_u32_le(self.info.len() as u32);
        out.put_u32_le(self.tags.len() as u32);
        out.put_slice(self.info);
        out.put_slice(self.tags);
        out.put_slice(self.data);
    }

    /// Reads what [`Publication::write`] wrote; the data goes to the end of the bytes.
    pub fn read(mut bytes: &'a [u8]) -> Result<Self, PacketError> {
        let info = take_u32(&mut bytes)?;
        let tags = take_u32(&mut bytes)?;
        let info = take(&mut bytes, info as usize)?;
        let tags = take(&mut bytes, tags as usize)?;
        Ok(Self { info, tags, data: bytes })
    }
}

/// What one instance says to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope<'a> {
    /// Something was published in the channel.
    Publication(Publication<'a>),
    /// A client joined the channel.
    Join(ClientId, &'a [u8]),
    /// A client left the channel. The bytes are the description of it, as with a join.
    Leave(ClientId, &'a [u8]),
    /// A message of a board, ready for sockets (see [`crate::codec::presence`]); an empty one asks the others whom they
    /// have on it.
    Board(&'a [u8]),
    /// Every client of the instance gets it, whatever it is subscribed to.
    Everyone(Publication<'a>),
    /// Something was published in the channel, and these do not get it. Instances of an earlier version pass it over.
    PublicationBut(Excluded<'a>, Publication<'a>),
    /// Every client of the instance but these gets it. Instances of an earlier version pass it over.
    EveryoneBut(Excluded<'a>, Publication<'a>),
    /// The instance is asked something: the asker's number for it, and a [question](crate::cluster::Question)'s bytes.
    Ask(u64, &'a [u8]),
    /// The answer to the instance that asked: its number, and bytes that the question gives a meaning.
    Answer(u64, &'a [u8]),
    /// The publications that follow are of a stream, and the first of them is here.
    Stream(Position),
}

/// Why bytes from the backplane could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// The sender speaks another version.
    #[error("a packet of version {0}; this broker reads version {VERSION}")]
    Version(u8),
    /// The bytes end too early.
    #[error("a packet that ends too early")]
    Truncated,
    /// The sender's name is not UTF-8.
    #[error("a packet whose sender has no readable name")]
    Sender,
    /// A channel's name is not UTF-8.
    #[error("a channel that has no readable name")]
    Name,
    /// A stream cannot have this epoch.
    #[error("a stream without a readable epoch")]
    Stream,
    /// A kind of envelope that this broker does not know.
    #[error("an envelope of the unknown kind {0}")]
    Kind(u8),
}

/// Writes the header of a packet.
pub fn write_header(from: &Address, out: &mut Vec<u8>) {
    let id = from.instance.as_str().as_bytes();
    out.put_u8(VERSION);
    out.put_u64_le(from.epoch.0);
    out.put_u8(id.len() as u8);
    out.put_slice(id);
}

impl<'a> Envelope<'a> {
    /// Appends the envelope to a packet.
    pub fn write(&self, out: &mut Vec<u8>) {
        let kind = match self {
            Self::Publication(_) => 1,
            Self::Join(..) => 2,
            Self::Leave(..) => 3,
            Self::Everyone(_) => 4,
            Self::Ask(..) => 5,
            Self::Answer(..) => 6,
            Self::Stream(_) => STREAM,
            Self::PublicationBut(..) => 8,
            Self::EveryoneBut(..) => 9,
            Self::Board(_) => 16,
        };
        out.put_u8(kind);
        let length_at = out.len();
        out.put_u32_le(0);
        match self {
            Self::Publication(publication) | Self::Everyone(publication) => publication.write(out),
            Self::PublicationBut(excluded, publication) | Self::EveryoneBut(excluded, publication) => {
                out.put_u32_le(excluded.bytes().len() as u32);
                out.put_slice(excluded.bytes());
                publication.write(out);
            }
            Self::Join(client, info) | Self::Leave(client, info) => {
                out.put_slice(client.as_bytes());
                out.put_slice(info);
            }
            Self::Board(message) => out.put_slice(message),
            Self::Ask(number, body) | Self::Answer(number, body) => {
                out.put_u64_le(*number);
                out.put_slice(body);
            }
            Self::Stream(Position { offset, epoch }) => {
                out.put_u64_le(*offset);
                out.put_slice(epoch.as_str().as_bytes());
            }
        }
        let length = (out.len() - length_at - 4) as u32;
        out[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
    }

    fn read(kind: u8, body: &'a [u8]) -> Result<Self, PacketError> {
        Ok(match kind {
            1 => Self::Publication(Publication::read(body)?),
            2 | 3 => {
                let (id, info) = body.split_first_chunk::<16>().ok_or(PacketError::Truncated)?;
                let client = ClientId::from_bytes(*id);
                if kind == 2 { Self::Join(client, info) } else { Self::Leave(client, info) }
            }
            4 => Self::Everyone(Publication::read(body)?),
            5 | 6 => {
                let (number, rest) = body.split_first_chunk::<8>().ok_or(PacketError::Truncated)?;
                let number = u64::from_le_bytes(*number);
                if kind == 5 { Self::Ask(number, rest) } else { Self::Answer(number, rest) }
            }
            STREAM => {
                let (offset, epoch) = body.split_first_chunk::<8>().ok_or(PacketError::Truncated)?;
                let epoch = std::str::from_utf8(epoch).ok().and_then(StreamEpoch::parse);
                let epoch = epoch.ok_or(PacketError::Stream)?;
                Self::Stream(Position { offset: u64::from_le_bytes(*offset), epoch })
            }
            8 | 9 => {
                let mut rest = body;
                let length = take_u32(&mut rest)? as usize;
                let excluded = Excluded::read(take(&mut rest, length)?)?;
                let publication = Publication::read(rest)?;
                match kind {
                    8 => Self::PublicationBut(excluded, publication),
                    _ => Self::EveryoneBut(excluded, publication),
                }
            }
            16 => Self::Board(body),
            unknown => return Err(PacketError::Kind(unknown)),
        })
    }

    /// Reads a single envelope, and nothing behind it.
    pub fn read_one(bytes: &'a [u8]) -> Result<Self, PacketError> {
        let mut alone = Packet { instance: "", epoch: Epoch(0), rest: bytes };
        let envelope = alone.next().ok_or(PacketError::Truncated)?;
        if alone.rest.is_empty() { envelope } else { Err(PacketError::Truncated) }
    }
}

/// A packet whose header was read; iterating it gives its envelopes in order.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    instance: &'a str,
    epoch: Epoch,
    rest: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads the header.
    pub fn read(mut bytes: &'a [u8]) -> Result<Self, PacketError> {
        let version = *take(&mut bytes, 1)?.first().ok_or(PacketError::Truncated)?;
        if version != VERSION {
            return Err(PacketError::Version(version));
        }
        let (epoch, rest) = bytes.split_first_chunk::<8>().ok_or(PacketError::Truncated)?;
        bytes = rest;
        let length = take(&mut bytes, 1)?[0] as usize;
        let instance = std::str::from_utf8(take(&mut bytes, length)?).map_err(|_| PacketError::Sender)?;
        Ok(Self { instance, epoch: Epoch(u64::from_le_bytes(*epoch)), rest: bytes })
    }

    /// Whether this very start of the instance sent it: an echo.
    pub fn is_from(&self, address: &Address) -> bool {
        self.epoch == address.epoch && self.instance == address.instance.as_str()
    }

    /// The place in the channel's stream of its first publication, if it begins by that: it is passed over.
    pub fn take_stream(&mut self) -> Option<Position> {
        let mut ahead = *self;
        if self.rest.first() != Some(&STREAM) {
            return None;
        }
        let Some(Ok(Envelope::Stream(first))) = ahead.next() else { return None };
        *self = ahead;
        Some(first)
    }

    /// Who sent it.
    pub fn sender(&self) -> Address {
        Address { instance: InstanceId::new(self.instance), epoch: self.epoch }
    }
}

impl<'a> Iterator for Packet<'a> {
    type Item = Result<Envelope<'a>, PacketError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let mut read = || {
            let kind = take(&mut self.rest, 1)?[0];
            let length = take_u32(&mut self.rest)?;
            Ok((kind, take(&mut self.rest, length as usize)?))
        };
        match read() {
            // An unknown kind is skipped by its length, so that a newer sender's other envelopes are read.
            Ok((kind, body)) => Some(Envelope::read(kind, body)),
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

pub(crate) fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], PacketError> {
    let (head, tail) = bytes.split_at_checked(length).ok_or(PacketError::Truncated)?;
    *bytes = tail;
    Ok(head)
}

pub(crate) fn take_u32(bytes: &mut &[u8]) -> Result<u32, PacketError> {
    if bytes.remaining() < 4 {
        return Err(PacketError::Truncated);
    }
    Ok(bytes.get_u32_le())
}

#[cfg(test)]
mod tests;
