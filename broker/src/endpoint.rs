//! Where clients come in: the transports, and what each of them is given.

pub mod accept;
pub mod connection;
pub mod conversation;
pub mod custom;
pub mod disconnect;
pub mod error;
pub mod framing;
#[cfg(any(test, switchboard_fuzz))]
pub(crate) mod fuzz;
pub mod gateway;
pub mod http;
pub mod origin;
pub mod outbox;
pub mod presence;
pub mod session;
pub mod socketio;
pub mod sse;
pub mod tcp;
pub mod udp;
pub mod websocket;

pub use custom::{Credentials, Endpoint, Guest, Host, Newcomer, Outgoing};
pub use disconnect::{Disconnect, Farewell};
pub use error::{ErrorCode, Refusal};
pub use gateway::{Gateway, Greeting, Phase};
pub use outbox::Outbox;

/// A transport that clients connect through. The word is the label `endpoint` of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndpointKind {
    /// The Centrifuge client protocol over WebSocket.
    WebSocket,
    /// Socket.IO, over WebSocket or by requests.
    SocketIo,
    /// The unidirectional form of the protocol over server-sent events.
    Sse,
    /// Boards, over WebSocket.
    Presence,
    /// The same commands over TCP, one a line.
    Tcp,
    /// The same commands over UDP.
    Udp,
    /// One that is not built in: see [`Endpoint`].
    Custom(&'static str),
}

impl EndpointKind {
    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::SocketIo => "socketio",
            Self::Sse => "sse",
            Self::Presence => "presence",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Custom(name) => name,
        }
    }
}
