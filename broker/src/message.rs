//! What travels through the broker, and the names of what it travels between.

use std::{borrow::Borrow, collections::BTreeMap, fmt, sync::Arc};

use bytes::Bytes;
use uuid::Uuid;

/// The identity of one connected client, unique over all instances and for all time (UUIDv7).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(Uuid);

impl ClientId {
    /// A new identity.
    pub fn generate() -> Self {
        Self(uuid_v7())
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

/// The stable name of one running broker: in Kubernetes the pod's name, such as `chat-0`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct InstanceId(Arc<str>);

impl InstanceId {
    /// Takes a name as it is; the configuration has checked it.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which start of an instance is meant: ordinals come back after a restart, epochs never do.
/// Microseconds since 1970 at the start, so that the newer of two is the greater.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// Where a message can be sent to reach one start of one instance.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Address {
    /// The instance's stable name.
    pub instance: InstanceId,
    /// Which start of it.
    pub epoch: Epoch,
}

impl Address {
    /// The address of an instance that starts now.
    pub fn starting_now(instance: InstanceId) -> Self {
        let since_1970 = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Self { instance, epoch: Epoch(since_1970.as_micros() as u64) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.instance, self.epoch)
    }
}

/// The name of a channel. Cheap to clone: the name is shared.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Channel(Arc<str>);

/// Why a text cannot be the name of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChannelNameError {
    /// The name is empty.
    #[error("the channel's name is empty")]
    Empty,
    /// The name is longer than the configuration allows.
    #[error("the channel's name has {length} bytes; at most {limit} are allowed")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The name has a control character.
    #[error("the channel's name has a control character")]
    ControlCharacter,
}

impl Channel {
    /// Checks a name that came from outside and takes it.
    pub fn parse(name: &str, limit: usize) -> Result<Self, ChannelNameError> {
        if name.is_empty() {
            return Err(ChannelNameError::Empty);
        }
        if name.len() > limit {
            return Err(ChannelNameError::TooLong { length: name.len(), limit });
        }
        if name.chars().any(char::is_control) {
            return Err(ChannelNameError::ControlCharacter);
        }
        Ok(Self(name.into()))
    }

    /// Takes a name that another instance has checked before.
    pub fn trusted(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Channel {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// The identity of one message (UUIDv7: sorts by time).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct MessageId(pub Uuid);

impl MessageId {
    /// A new identity.
    pub fn generate() -> Self {
        Self(uuid_v7())
    }
}

/// A new UUIDv7 without the state that the uuid crate shares between threads to order those of one millisecond.
fn uuid_v7() -> Uuid {
    let since_1970 = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(since_1970.as_millis() as u64, &rand::random()).into_uuid()
}

/// Who sent a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A connected client. `info` is the public description of it that subscribers see: a JSON
    /// object with `user`, `client` and, where the token brought them, `conn_info` and `chan_info`.
    Client {
        /// Which client.
        id: ClientId,
        /// What others may know of it.
        info: Bytes,
    },
    /// The HTTP server API.
    Api,
}

/// Whom a message is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Everyone who is subscribed to the channel, on every instance.
    Channel(Channel),
}

/// Whether a message goes on through the pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It goes on.
    #[default]
    Accepted,
    /// It stops here, for this reason.
    Rejected(Rejection),
}

/// Why a message was stopped: what the sender is told and what is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// A short fixed word for the counter's label.
    pub reason: &'static str,
    /// A sentence for the sender.
    pub message: String,
}

/// One message on its way through the pipeline.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its identity.
    pub id: MessageId,
    /// Who sent it.
    pub source: Source,
    /// Whom it is for.
    pub target: Target,
    /// What it says; on the JSON protocols a JSON value without raw line breaks.
    pub payload: Bytes,
    /// What travels with it to the receivers.
    pub metadata: BTreeMap<String, String>,
    /// Notes of the middleware, which stay on this instance.
    pub tags: BTreeMap<String, String>,
    /// Whether it goes on.
    pub state: State,
}

impl Message {
    /// A new accepted message without metadata.
    pub fn new(source: Source, target: Target, payload: Bytes) -> Self {
        Self {
            id: MessageId::generate(),
            source,
            target,
            payload,
            metadata: BTreeMap::new(),
            tags: BTreeMap::new(),
            state: State::Accepted,
        }
    }

    /// Lets the message go on.
    pub fn accept(&mut self) {
        self.state = State::Accepted;
    }

    /// Stops the message.
    pub fn reject(&mut self, reason: &'static str, message: impl Into<String>) {
        self.state = State::Rejected(Rejection { reason, message: message.into() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channel_names_are_checked() {
        assert_eq!(Channel::parse("", 10), Err(ChannelNameError::Empty));
        assert_eq!(Channel::parse("abc", 2), Err(ChannelNameError::TooLong { length: 3, limit: 2 }));
        assert_eq!(Channel::parse("a\nb", 10), Err(ChannelNameError::ControlCharacter));
        assert_eq!(Channel::parse("chat:один", 255).unwrap().as_str(), "chat:один");
    }

    #[test]
    fn a_later_start_has_a_greater_epoch() {
        let first = Address::starting_now(InstanceId::new("chat-0"));
        let mut second = Address::starting_now(InstanceId::new("chat-0"));
        while second.epoch == first.epoch {
            second = Address::starting_now(InstanceId::new("chat-0"));
        }
        assert!(second.epoch > first.epoch);
    }
}
