//! Code that receives messages and may send: the application's own, in the process of the broker.
//!
//! A module is one of three kinds. *Dispatched*: a task for each message, so many at a time. *Worker*: one message
//! after the other, strictly in order. *Passive*: work in the background; it never receives.
//!
//! Each says where it runs: on the instance that a message came in at, or as one for all instances, by a lease that
//! another instance takes over when the holder dies.

use std::time::Duration;

use bytes::{BufMut, Bytes};
use futures_util::future::{BoxFuture, FutureExt, ready};

use crate::message::Message;

mod broadcaster;
mod context;
mod inactivity;
mod module;
mod modules;
mod placement;
mod webhook;

pub use broadcaster::Broadcaster;
pub use context::{Context, SendError};
pub use inactivity::InactivityMonitor;
pub use modules::{Modules, NamedTwice};
pub use placement::Place;
pub(crate) use placement::ROLE_LEASE;
#[cfg(any(test, switchboard_fuzz))]
pub(crate) use webhook::fuzz as fuzz_replies;
pub use webhook::{Unusable, Webhook};

/// Code that receives messages and may send.
///
/// ```
/// use futures_util::future::{BoxFuture, FutureExt};
/// use switchboard::logic::{Context, Logic, Outcome};
/// use switchboard::message::Message;
///
/// /// Answers each call with what it was called with.
/// struct Echo;
///
/// impl Logic for Echo {
///     fn receive<'a>(&'a self, message: Message, _context: &'a Context) -> BoxFuture<'a, Outcome> {
///         async move { Ok(Some(message.payload)) }.boxed()
///     }
/// }
/// ```
pub trait Logic: Send + Sync + 'static {
    /// Handles one message. What it gives back answers a client's `rpc`; nobody hears of it otherwise. Dropped when it
    /// takes longer than its time limit, so it should keep nothing half done across an await.
    fn receive<'a>(&'a self, message: Message, context: &'a Context) -> BoxFuture<'a, Outcome> {
        drop((message, context));
        ready(Err(LogicError::Passive)).boxed()
    }

    /// Handles messages that waited together, where [`Settings::batch`] allows more than one: an outcome for each, in
    /// their order. All of them have one time limit. Without code of its own it handles one after the other.
    fn receive_batch<'a>(
        &'a self,
        messages: Vec<Message>,
        context: &'a Context,
    ) -> BoxFuture<'a, Vec<Outcome>> {
        async move {
            let mut outcomes = Vec::with_capacity(messages.len());
            for message in messages {
                outcomes.push(self.receive(message, context).await);
            }
            outcomes
        }
        .boxed()
    }

    /// Works in the background; called for passive modules only. It should end when [`Context::stopped`] says so, and
    /// is dropped a moment later. When it ends by itself, or panics, it is called again after a pause.
    fn run<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, ()> {
        context.stopped().boxed()
    }
}

/// What a module made of a message: an answer for whoever called, if there is one.
pub type Outcome = Result<Option<Bytes>, LogicError>;

/// Why a module did not handle a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogicError {
    /// There is no module of this name.
    #[error("no such logic module")]
    Unknown,
    /// The module works in the background and takes no messages.
    #[error("this logic module does not support invocation")]
    Passive,
    /// As many messages wait for the module as may.
    #[error("the logic module's queue is full")]
    QueueFull,
    /// A newer message took this one's place in the full queue.
    #[error("the logic module was too busy")]
    Dropped,
    /// The module took longer than it may.
    #[error("the logic module did not answer in time")]
    TimedOut,
    /// The module panicked.
    #[error("the logic module failed")]
    Panicked,
    /// The instance is shutting down.
    #[error("the instance is shutting down")]
    Stopping,
    /// The instance that runs the module is not known or does not answer at present, or the receiver of a webhook.
    #[error("the instance of the logic module cannot be reached")]
    Unreachable,
    /// The module, or a middleware before it, refuses the message: a sentence for the sender.
    #[error("{0}")]
    Refused(String),
    /// The module failed: a sentence for the log, not for the sender.
    #[error("the logic module failed: {0}")]
    Failed(String),
}

impl LogicError {
    /// Whether the same message may go through later.
    pub fn is_temporary(&self) -> bool {
        !matches!(self, Self::Unknown | Self::Passive | Self::Refused(_))
    }
}

/// How messages are handed to a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A task for each message, so many at a time.
    Dispatched(usize),
    /// One message after the other, strictly in order.
    Worker,
    /// None at all: it works in the background.
    Passive,
}

/// What happens to a message that comes when as many wait as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// It is refused.
    #[default]
    Refuse,
    /// The one that has waited longest makes room.
    DropOldest,
}

/// Where a module runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Placement {
    /// On the instance that the message came in at; a passive one on every instance.
    #[default]
    Receiving,
    /// On one instance of the cluster; another takes over when it dies.
    OneInstance,
}

/// How a module is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How messages are handed to it.
    pub kind: Kind,
    /// How many messages may wait for it.
    pub queue: usize,
    /// What happens when more come.
    pub when_full: WhenFull,
    /// How many messages that wait are handed to it together, at most. See [`Logic::receive_batch`].
    pub batch: usize,
    /// How long is waited for others when fewer are there.
    pub batch_wait: Duration,
    /// How long it may take for one message, or for those that it is handed together.
    pub time_limit: Duration,
    /// Where it runs.
    pub placement: Placement,
    /// Whether it gets what clients send without naming a module.
    pub takes_sends: bool,
    /// Whether clients may call it by its name.
    pub takes_calls: bool,
}

impl Settings {
    /// A module of this kind with 1,000 messages that may wait, refused past that, handed over one by one, 10 seconds
    /// for each, on the receiving instance, which clients do not reach by themselves.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            queue: 1000,
            when_full: WhenFull::Refuse,
            batch: 1,
            batch_wait: Duration::ZERO,
            time_limit: Duration::from_secs(10),
            placement: Placement::Receiving,
            takes_sends: false,
            takes_calls: false,
        }
    }
}

/// Appends an outcome, for another instance.
pub(crate) fn write_outcome(outcome: &Outcome, out: &mut Vec<u8>) {
    let (kind, text): (u8, &[u8]) = match outcome {
        Ok(None) => (0, b""),
        Ok(Some(data)) => (1, data),
        Err(LogicError::Unknown) => (2, b""),
        Err(LogicError::Passive) => (3, b""),
        Err(LogicError::QueueFull) => (4, b""),
        Err(LogicError::Dropped) => (5, b""),
        Err(LogicError::TimedOut) => (6, b""),
        Err(LogicError::Panicked) => (7, b""),
        Err(LogicError::Stopping) => (8, b""),
        Err(LogicError::Unreachable) => (9, b""),
        Err(LogicError::Refused(why)) => (10, why.as_bytes()),
        Err(LogicError::Failed(why)) => (11, why.as_bytes()),
    };
    out.put_u8(kind);
    out.put_slice(text);
}

/// Reads what [`write_outcome`] wrote; what is no outcome is that of an instance that cannot be understood.
pub(crate) fn read_outcome(bytes: &Bytes) -> Outcome {
    let text = || String::from_utf8_lossy(&bytes[1..]).into_owned();
    match bytes.first() {
        Some(0) => Ok(None),
        Some(1) => Ok(Some(bytes.slice(1..))),
        Some(2) => Err(LogicError::Unknown),
        Some(3) => Err(LogicError::Passive),
        Some(4) => Err(LogicError::QueueFull),
        Some(5) => Err(LogicError::Dropped),
        Some(6) => Err(LogicError::TimedOut),
        Some(7) => Err(LogicError::Panicked),
        Some(8) => Err(LogicError::Stopping),
        Some(10) => Err(LogicError::Refused(text())),
        Some(11) => Err(LogicError::Failed(text())),
        _ => Err(LogicError::Unreachable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_reads_back() {
        for outcome in [
            Ok(None),
            Ok(Some(Bytes::from_static(b"{\"a\":1}"))),
            Err(LogicError::Unknown),
            Err(LogicError::Passive),
            Err(LogicError::QueueFull),
            Err(LogicError::Dropped),
            Err(LogicError::TimedOut),
            Err(LogicError::Panicked),
            Err(LogicError::Stopping),
            Err(LogicError::Unreachable),
            Err(LogicError::Refused("not you".into())),
            Err(LogicError::Failed("no database".into())),
        ] {
            let mut bytes = Vec::new();
            write_outcome(&outcome, &mut bytes);
            assert_eq!(read_outcome(&bytes.into()), outcome);
        }
        for rubbish in [&b""[..], b"\xff"] {
            assert_eq!(read_outcome(&Bytes::from_static(rubbish)), Err(LogicError::Unreachable));
        }
    }
}
