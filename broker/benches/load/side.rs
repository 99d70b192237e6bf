//! Who is measured: servers, and the protocol that the generator speaks with them.

use std::fmt;

use crate::wire::Wire;

/// One side of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// One Redis alone.
    RawRedis,
    /// Two brokers and their Redis, by their own protocol.
    Broker,
    /// Two servers of Socket.IO on Node.js with its Redis adapter, and their Redis.
    Node,
    /// Two brokers and their Redis, by Socket.IO.
    BrokerSocketIo,
    /// Two brokers and their Redis, by the protocol of boards.
    BrokerBoards,
}

impl Side {
    /// What is spoken with it.
    pub(crate) fn wire(self) -> Wire {
        match self {
            Self::RawRedis => Wire::Redis,
            Self::Broker => Wire::WebSocket,
            Self::Node | Self::BrokerSocketIo => Wire::SocketIo,
            Self::BrokerBoards => Wire::Boards,
        }
    }
}

impl Side {
    /// What the table is called in which it is the second.
    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::RawRedis | Self::Broker => "redis",
            Self::Node | Self::BrokerSocketIo => "socketio",
            Self::BrokerBoards => "boards",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::RawRedis => "raw redis",
            Self::Node => "node",
            Self::Broker | Self::BrokerSocketIo | Self::BrokerBoards => "broker",
        })
    }
}
