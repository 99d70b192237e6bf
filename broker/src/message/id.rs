//! Identities of clients and messages.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::{now_ms, tick_ms};

/// The identity of one connected client, unique over all instances and for all time (UUIDv7).
///
/// In JSON it is the hyphenated text. Ids order by the time at which the clients connected.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(Uuid);

impl ClientId {
    /// A new identity.
    pub fn generate() -> Self {
        Self(uuid_v7(now_ms()))
    }

    /// Reads the hyphenated form back; `None` when it is not a UUID.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }

    /// Reads the sixteen bytes back.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The sixteen bytes, as they cross the backplane.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The identity of one message (UUIDv7: sorts by time).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct MessageId(pub Uuid);

impl MessageId {
    /// A new identity.
    pub fn generate() -> Self {
        Self(uuid_v7(tick_ms()))
    }
}

/// A new UUIDv7 without the state that the uuid crate shares between threads to order those of one millisecond.
fn uuid_v7(unix_ms: u64) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(unix_ms, &rand::random()).into_uuid()
}
