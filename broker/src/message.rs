//! What travels through the broker, and the names of what it travels between.

use std::{collections::BTreeMap, fmt, sync::Arc};

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

mod address;
mod channel;
mod id;

pub use address::{Address, Epoch, InstanceId};
pub use channel::{Channel, ChannelNameError};
pub use id::{ClientId, MessageId};

/// The name of a logic module, the same on every instance. Cheap to clone: the name is shared.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LogicName(Arc<str>);

impl LogicName {
    /// Takes a name as it is.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LogicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for LogicName {
    fn borrow(&self) -> &str {
        &self.0
    }
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
    /// A logic module.
    Logic(LogicName),
    /// The HTTP server API.
    Api,
}

/// Whom a message is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Everyone who is subscribed to the channel, on every instance.
    Channel(Channel),
    /// One client, whichever instance it is connected to.
    Client(ClientId),
    /// Every client of every instance.
    Everyone,
    /// A logic module, where it runs for this instance.
    Logic(LogicName),
    /// A logic module on this instance, whether or not that is where it runs for the sender.
    LogicAt(LogicName, InstanceId),
}

/// Whom a message is for; most have one target.
pub type Targets = SmallVec<[Target; 1]>;

/// Who of all that a message is for does not get it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Except {
    /// These clients.
    pub clients: Vec<ClientId>,
    /// Whoever is subscribed to one of these channels.
    pub channels: Vec<Channel>,
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
    /// Whether the same message may go through later.
    pub is_temporary: bool,
}

/// One message on its way through the pipeline.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its identity.
    pub id: MessageId,
    /// Who sent it.
    pub source: Source,
    /// The name of the endpoint that it came in by, on the instance where it did; nothing has come in of what logic
    /// sends.
    pub endpoint: Option<&'static str>,
    /// Whom it is for.
    pub targets: Targets,
    /// A client that is not to get it, of those who would: one of this instance.
    pub except: Option<ClientId>,
    /// Who else is not to get it, on whatever instances: of those in its channels, or of everyone. A channel with history
    /// keeps a message for all, and so takes none with this, unless it is to [keep nothing](Self::skip_history) of it.
    pub left_out: Option<Box<Except>>,
    /// What it says; on the JSON protocols a JSON value without raw line breaks.
    pub payload: Bytes,
    /// What travels with it to the receivers.
    pub metadata: BTreeMap<String, String>,
    /// Notes of the middleware, which stay on this instance.
    pub tags: BTreeMap<String, String>,
    /// Whether it goes on.
    pub state: State,
    /// Whether whoever sent it waits for what logic answers.
    pub wants_answer: bool,
    /// Whether nothing of it is kept in channels with history: it comes and goes there as it does in others.
    pub skip_history: bool,
}

impl Message {
    /// A new accepted message without metadata, for one target.
    pub fn new(source: Source, target: Target, payload: Bytes) -> Self {
        Self::to(source, smallvec![target], payload)
    }

    /// A new accepted message without metadata, for several targets.
    pub fn to(source: Source, targets: Targets, payload: Bytes) -> Self {
        Self {
            id: MessageId::generate(),
            source,
            endpoint: None,
            targets,
            except: None,
            left_out: None,
            payload,
            metadata: BTreeMap::new(),
            tags: BTreeMap::new(),
            state: State::Accepted,
            wants_answer: false,
            skip_history: false,
        }
    }

    /// The same for fewer: what channels with history would keep for all is not kept then.
    #[must_use]
    pub fn but(mut self, except: Option<Except>) -> Self {
        self.skip_history |= except.is_some();
        self.left_out = except.map(Box::new);
        self
    }

    /// Lets the message go on.
    pub fn accept(&mut self) {
        self.state = State::Accepted;
    }

    /// Stops the message.
    pub fn reject(&mut self, reason: &'static str, message: impl Into<String>) {
        self.state = State::Rejected(Rejection { reason, message: message.into(), is_temporary: false });
    }

    /// Stops the message for now: its sender may try again.
    pub fn postpone(&mut self, reason: &'static str, message: impl Into<String>) {
        self.state = State::Rejected(Rejection { reason, message: message.into(), is_temporary: true });
    }
}
