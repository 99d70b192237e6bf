//! How connections end, as the client is told.

use std::borrow::Cow;

use crate::metrics::label;

label! {
    /// Why a client's connection ends. Codes and words are those of the Centrifuge client protocol, whose
    /// clients come back after 3000–3499 and stay away after 3500–3999
    /// (<https://centrifugal.dev/docs/transports/client_protocol>).
    Disconnect {
        /// The client went by itself, or its connection broke.
        Gone = "connection_closed",
        /// This instance is leaving: come back, another will answer.
        Shutdown = "shutdown",
        /// The broker, or what it stands on, failed for now: come back.
        ServerError = "server_error",
        /// The token of the connection has expired.
        Expired = "expired",
        /// The client reads more slowly than it is sent to.
        Slow = "slow",
        /// This instance has as many clients as it may have: come back, another may answer.
        Full = "full",
        /// The client did not answer a ping.
        NoPong = "no_pong",
        /// The token is not valid.
        InvalidToken = "invalid_token",
        /// The application's backend, or a logic module, wants the client away.
        Forced = "forced",
        /// The application's backend, or a logic module, wants the client to connect anew.
        ForcedReconnect = "forced_reconnect",
        /// The client has sent nothing for too long: see the inactivity monitor.
        Inactive = "inactive",
        /// A hook wants the client away, in words of its own.
        Hook = "hook",
        /// What the client sent is not the protocol.
        BadRequest = "bad_request",
        /// The client opened a connection and did not say who it is.
        Stale = "stale",
        /// Another protocol than the endpoint speaks, such as binary frames on the JSON endpoint.
        InappropriateProtocol = "inappropriate_protocol",
        /// The client may not connect.
        PermissionDenied = "permission_denied",
        /// A frame is larger than allowed (WebSocket's own code).
        TooBig = "message_too_large",
        /// A text frame is not UTF-8 (WebSocket's own code).
        InvalidData = "invalid_data",
        /// The frames break the WebSocket protocol itself (its own code).
        ProtocolError = "protocol_error",
    }
}

impl Disconnect {
    /// The code of the closing frame.
    pub fn code(self) -> u16 {
        match self {
            Self::Gone => 3000,
            Self::Shutdown => 3001,
            Self::ServerError => 3004,
            Self::Expired => 3005,
            Self::Slow => 3008,
            Self::ForcedReconnect => 3011,
            Self::Full => 3011,
            Self::NoPong => 3012,
            Self::InvalidToken => 3500,
            Self::BadRequest => 3501,
            Self::Stale => 3502,
            Self::Forced | Self::Hook => 3503,
            Self::InappropriateProtocol => 3506,
            Self::PermissionDenied => 3507,
            // Of the range that is left to applications; the client stays away until its user acts.
            Self::Inactive => 4500,
            Self::ProtocolError => 1002,
            Self::InvalidData => 1007,
            Self::TooBig => 1009,
        }
    }

    /// The words of the closing frame.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Gone => "connection closed",
            Self::Shutdown => "shutdown",
            Self::ServerError => "internal server error",
            Self::Expired => "connection expired",
            Self::Slow => "slow",
            Self::Forced | Self::Hook => "force disconnect",
            Self::ForcedReconnect => "force reconnect",
            Self::Inactive => "inactive",
            Self::Full => "force reconnect",
            Self::NoPong => "no pong",
            Self::InvalidToken => "invalid token",
            Self::BadRequest => "bad request",
            Self::Stale => "stale",
            Self::InappropriateProtocol => "inappropriate protocol",
            Self::PermissionDenied => "permission denied",
            Self::ProtocolError => "protocol error",
            Self::InvalidData => "invalid data",
            Self::TooBig => "message too big",
        }
    }
}

/// The last words to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Farewell {
    /// The code of the closing frame.
    pub code: u16,
    /// Its words, which a closing frame has room for.
    pub reason: Cow<'static, str>,
}

impl From<Disconnect> for Farewell {
    fn from(reason: Disconnect) -> Self {
        Self { code: reason.code(), reason: reason.reason().into() }
    }
}

impl Farewell {
    /// Whether clients that are told so stay away: they come back after 3000–3499 and 4000–4499.
    pub fn stays_away(&self) -> bool {
        matches!(self.code, 3500..=3999 | 4500..)
    }
}
