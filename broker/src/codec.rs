//! Bytes ↔ commands, without I/O: what each protocol looks like on the wire.

use crate::{
    backplane::{Position, Publication},
    endpoint::Farewell,
    message::{Channel, ClientId},
};

pub mod centrifuge;
pub mod engineio;
pub mod lines;
pub mod presence;
pub mod socketio;
pub mod sse;
pub mod websocket;

/// Something that is delivered to a client without being asked for.
#[derive(Debug, Clone, Copy)]
pub enum Push<'a> {
    /// Something was published in a channel; with its number in the channel's stream, if it has history.
    Publication(&'a Channel, Publication<'a>, Option<u64>),
    /// A client joined a channel; the bytes describe it (a JSON object).
    Join(&'a Channel, ClientId, &'a [u8]),
    /// A client left a channel.
    Leave(&'a Channel, ClientId, &'a [u8]),
    /// Something happened on the board that a channel is: a [message](presence::ToClient) of its protocol.
    Board(&'a [u8]),
    /// Something was sent to this client itself.
    Message(Publication<'a>),
    /// The server has subscribed the client to a channel; where it stands in the channel's stream, if it has history.
    Subscribe(&'a Channel, Option<Position>),
    /// The server has ended the client's own subscription to a channel.
    Unsubscribe(&'a Channel, Unsubscribe),
}

/// Why the server ends a subscription. Clients subscribe again after codes from 2500 on
/// (<https://centrifugal.dev/docs/server/codes>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsubscribe {
    /// The application's backend wants it.
    Server,
    /// Its token has expired.
    Expired,
    /// Something of the channel has passed the client by that cannot be made up for here.
    Insufficient,
}

impl Unsubscribe {
    /// The number.
    pub fn code(self) -> u16 {
        match self {
            Self::Server => 2000,
            Self::Insufficient => 2500,
            Self::Expired => 2501,
        }
    }

    /// The words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Server => "server unsubscribe",
            Self::Insufficient => "insufficient state",
            Self::Expired => "subscription expired",
        }
    }
}

/// How pushes look on one kind of connection. One encoding is made for all subscribers that share an encoder
/// and is copied to their outboxes.
pub trait Encoder: Send + Sync {
    /// Appends the push to `out`, framed for the wire.
    fn encode(&self, push: &Push<'_>, out: &mut Vec<u8>);

    /// The namespace of Socket.IO that clients of this kind are in.
    fn namespace(&self) -> Option<&str> {
        None
    }

    /// Whether clients of this kind are shown what happens on boards, beside joins, leaves and publications. Others are
    /// never given a [`Push::Board`].
    fn shows_boards(&self) -> bool {
        false
    }

    /// Whether a client that has anything unread does without this push.
    fn is_volatile(&self, _push: &Push<'_>) -> bool {
        false
    }
}

/// How all that the server sends looks on a kind of connection on which clients give commands.
pub trait Framer: Encoder {
    /// Appends one JSON text without line feeds, which `write` appends, framed for the wire.
    fn frame(&self, out: &mut Vec<u8>, write: &mut dyn FnMut(&mut Vec<u8>));

    /// Appends what tells the client that its connection ends, and why.
    fn end(&self, farewell: &Farewell, out: &mut Vec<u8>);
}
