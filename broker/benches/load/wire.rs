//! What the generator speaks: raw Redis, or the broker's websocket protocol. The cases are written once and
//! run over either, so that both sides of a ratio pay for the same event loop and the same messages.

use std::fmt;

use crate::message::{Publication, Stamp};

#[path = "wire/redis.rs"]
pub(crate) mod redis;
#[path = "wire/websocket.rs"]
pub(crate) mod websocket;

/// A protocol of the generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// RESP2, as any Redis client.
    Redis,
    /// JSON commands in websocket text frames.
    WebSocket,
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
    /// The server wants a sign of life.
    Ping,
    /// The server closes the connection, with these last words.
    Closed(&'a [u8]),
    /// An error reply, or something that no case asked for.
    Unexpected(&'a [u8]),
}

/// What a new connection sends first, and what it sends once it is upgraded.
#[derive(Debug)]
pub(crate) struct Opening {
    /// Sent as soon as the connection stands.
    pub(crate) first: Vec<u8>,
    /// Sent on [`Said::Upgraded`].
    pub(crate) upgraded: Vec<u8>,
}

impl Wire {
    /// Opens a connection, with a subscription when a channel is given.
    pub(crate) fn opening(self, channel: Option<&str>) -> Opening {
        match self {
            Self::Redis => Opening {
                first: channel.map_or_else(|| redis::command(&["PING"]), |name| self.subscribe(name)),
                upgraded: Vec::new(),
            },
            Self::WebSocket => Opening { first: websocket::upgrade(), upgraded: websocket::connect(channel) },
        }
    }

    /// Subscribes to a channel.
    pub(crate) fn subscribe(self, channel: &str) -> Vec<u8> {
        match self {
            Self::Redis => redis::command(&["SUBSCRIBE", channel]),
            Self::WebSocket => websocket::frame(websocket::subscribe(channel).as_bytes()),
        }
    }

    /// Publishes on a channel.
    pub(crate) fn publication(self, channel: &str) -> Publication {
        Publication::new(|id, data| match self {
            Self::Redis => redis::command(&["PUBLISH", channel, data]),
            Self::WebSocket => websocket::frame(websocket::publish(id, channel, data).as_bytes()),
        })
    }

    /// The answer to [`Said::Ping`].
    pub(crate) fn pong(self) -> Vec<u8> {
        match self {
            Self::Redis => Vec::new(),
            Self::WebSocket => websocket::frame(b"{}"),
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
            Self::WebSocket if upgrading => websocket::read_upgrade(input, heard),
            Self::WebSocket => websocket::read(input, heard),
        }
    }
}

impl fmt::Display for Wire {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Redis => "raw redis",
            Self::WebSocket => "broker",
        })
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
