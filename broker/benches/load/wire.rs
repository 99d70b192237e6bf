//! What the generator speaks: raw Redis, the broker's websocket protocol, Socket.IO, or that of boards. The cases are
//! written once and run over any that can do the work, so that both sides of a ratio pay for the same event loop and the same messages.

use crate::message::{Publication, Stamp};

#[path = "wire/boards.rs"]
pub(crate) mod boards;
#[path = "wire/redis.rs"]
pub(crate) mod redis;
#[path = "wire/socketio.rs"]
pub(crate) mod socketio;
#[path = "wire/websocket.rs"]
pub(crate) mod websocket;

/// A protocol of the generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// RESP2, as any Redis client.
    Redis,
    /// JSON commands in websocket text frames.
    WebSocket,
    /// Socket.IO in websocket text frames.
    SocketIo,
    /// Boards in websocket binary frames. Their members publish nothing: they move.
    Boards,
}

/// One thing that a server said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said<'a> {
    /// The websocket is open; commands may follow.
    Upgraded,
    /// The server knows this connection and serves it.
    Ready,
    /// A subscription stands.
    Subscribed,
    /// A publication was accepted.
    Published,
    /// A message of a channel.
    Message(Stamp),
    /// What a member of a board is told, as it came.
    Told(&'a [u8]),
    /// The server wants a sign of life.
    Ping,
    /// The server closes the connection, with these last words.
    Closed(&'a [u8]),
    /// An error reply, or something that no case asked for.
    Unexpected(&'a [u8]),
}

/// What a new connection sends first, once it is upgraded, and once it is served.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    /// Sent as soon as the connection stands.
    pub(crate) first: Vec<u8>,
    /// Sent on [`Said::Upgraded`].
    pub(crate) upgraded: Vec<u8>,
    /// Sent on [`Said::Ready`].
    pub(crate) ready: Vec<u8>,
}

impl Wire {
    /// Opens a connection, with a subscription when a channel is given.
    pub(crate) fn opening(self, channel: Option<&str>) -> Opening {
        match self {
            Self::Redis => Opening {
                first: channel.map_or_else(|| redis::command(&["PING"]), |name| self.subscribe(name)),
                ..Opening::default()
            },
            Self::WebSocket => Opening {
                first: websocket::upgrade(),
                upgraded: websocket::connect(channel),
                ..Opening::default()
            },
            Self::SocketIo => Opening {
                first: socketio::upgrade(),
                upgraded: socketio::connect(),
                ready: channel.map(socketio::join).unwrap_or_default(),
            },
            Self::Boards => Opening {
                first: boards::upgrade(),
                upgraded: channel.map_or_else(boards::pong, boards::join),
                ..Opening::default()
            },
        }
    }

    /// Subscribes to a channel.
    pub(crate) fn subscribe(self, channel: &str) -> Vec<u8> {
        match self {
            Self::Redis => redis::command(&["SUBSCRIBE", channel]),
            Self::WebSocket => websocket::frame(websocket::subscribe(channel).as_bytes()),
            Self::SocketIo => socketio::join(channel),
            Self::Boards => boards::join(channel),
        }
    }

    /// Publishes on a channel; nothing on a board.
    pub(crate) fn publication(self, channel: &str) -> Publication {
        Publication::new(|id, data| match self {
            Self::Redis => redis::command(&["PUBLISH", channel, data]),
            Self::WebSocket => websocket::frame(websocket::publish(id, channel, data).as_bytes()),
            Self::SocketIo => socketio::publish(id, channel, data),
            Self::Boards => Vec::new(),
        })
    }

    /// The answer to [`Said::Ping`].
    pub(crate) fn pong(self) -> Vec<u8> {
        match self {
            Self::Redis => Vec::new(),
            Self::WebSocket => websocket::frame(b"{}"),
            Self::SocketIo => socketio::pong(),
            Self::Boards => boards::pong(),
        }
    }

    /// Reads all that is complete in `input` and returns how many bytes that was. `upgrading` is true while a
    /// websocket's HTTP answer is still to come.
    ///
    /// # Errors
    /// When the bytes are not the protocol's.
    pub(crate) fn read(
        self,
        input: &[u8],
        upgrading: bool,
        heard: impl FnMut(Said<'_>),
    ) -> Result<usize, Garbled> {
        match self {
            Self::Redis => redis::read(input, heard),
            Self::WebSocket | Self::SocketIo | Self::Boards if upgrading => {
                websocket::read_upgrade(input, heard)
            }
            Self::WebSocket => websocket::read(input, heard),
            Self::SocketIo => socketio::read(input, heard),
            Self::Boards => boards::read(input, heard),
        }
    }
}

/// Bytes that are not the protocol's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}: {1:?}")]
pub(crate) struct Garbled(&'static str, String);

impl Garbled {
    fn new(what: &'static str, bytes: &[u8]) -> Self {
        Self(what, excerpt(bytes))
    }
}

/// The beginning of what a server said, for people.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).trim_end().to_owned()
}
