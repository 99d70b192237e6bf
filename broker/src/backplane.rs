//! What joins instances: each hands its envelopes to the others and learns where clients are.
//!
//! An envelope that arrives from another instance goes straight to [`Hub::deliver`](crate::hub::Hub::deliver):
//! never to the router, so nothing loops, and middleware and logic run once, at the origin.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::{
    hub::Hub,
    message::{Address, Channel, ClientId},
};

pub mod envelope;
pub mod memory;
pub mod redis;

pub use envelope::{Envelope, Publication};

/// Why the backplane could not do what was asked. Each is temporary: the same call may go through later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// There is no connection now.
    #[error("the backplane is not connected")]
    Disconnected,
    /// The answer did not come in time.
    #[error("the backplane did not answer in time")]
    Timeout,
    /// More is waiting to be sent than the bounded queue holds.
    #[error("the backplane's queue is full")]
    QueueFull,
    /// The server refused the command.
    #[error("the backplane refused the command")]
    Refused,
    /// This instance is shutting down.
    #[error("the instance is shutting down")]
    Closed,
}

impl Unavailable {
    /// The counter's label.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::Timeout => "timeout",
            Self::QueueFull => "queue_full",
            Self::Refused => "refused",
            Self::Closed => "closed",
        }
    }
}

/// Told once how a request ended. An `Ack` that is dropped untold says [`Unavailable::Closed`], so that
/// nobody waits for an answer that never comes.
pub struct Ack(Option<Box<Then>>);

type Then = dyn FnOnce(Result<(), Unavailable>) + Send;

impl Ack {
    /// Nobody wants to know.
    pub fn ignore() -> Self {
        Self(None)
    }

    /// Calls `then` with the outcome, on whichever task learns it: it must not block.
    pub fn then(then: impl FnOnce(Result<(), Unavailable>) + Send + 'static) -> Self {
        Self(Some(Box::new(then)))
    }

    /// An `Ack` and the future of its outcome.
    pub fn channel() -> (Self, impl Future<Output = Result<(), Unavailable>> + Send) {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let ack = Self::then(move |outcome| {
            let _ = sender.send(outcome);
        });
        (ack, async { receiver.await.unwrap_or(Err(Unavailable::Closed)) })
    }

    /// Nothing was asked of the backplane after all, and whoever waits is told by other means.
    pub fn cancel(mut self) {
        self.0 = None;
    }

    /// Tells the outcome.
    pub fn done(mut self, outcome: Result<(), Unavailable>) {
        if let Some(then) = self.0.take() {
            then(outcome);
        }
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        if let Some(then) = self.0.take() {
            then(Err(Unavailable::Closed));
        }
    }
}

/// Whom an envelope that belongs to no channel is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// Every instance but the sender.
    Everyone,
    /// One start of one instance.
    Instance(Address),
}

/// What the directory keeps of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRecord {
    /// Which client.
    pub id: ClientId,
    /// The user that it authenticated as; empty for anonymous.
    pub user: String,
    /// The endpoint that it came through.
    pub endpoint: &'static str,
    /// When it connected, in milliseconds since 1970.
    pub connected: u64,
}

/// Where the directory found a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The instance that holds its connection.
    pub address: Address,
    /// The user that it authenticated as; empty for anonymous.
    pub user: String,
    /// When it connected, in milliseconds since 1970.
    pub connected: u64,
    /// When its last message came in, in milliseconds since 1970.
    pub last_message: u64,
}

/// One member of a channel, as presence shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Which client.
    pub client: ClientId,
    /// The JSON object that describes it (see [`Source::Client`](crate::message::Source::Client)).
    pub info: Bytes,
}

/// What an instance says of itself with each renewal of its lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceRecord {
    /// The instance's stable name.
    pub id: String,
    /// Which start of it, in hexadecimal.
    pub epoch: String,
    /// The broker's version.
    pub version: String,
    /// Connected clients.
    pub clients: u64,
    /// Distinct users of them.
    pub users: u64,
    /// Channels with a local subscriber.
    pub channels: u64,
    /// Subscriptions of local clients.
    pub subscriptions: u64,
    /// Seconds since the start.
    pub uptime: u64,
}

/// What `/healthz` says of the backplane.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Health {
    /// `memory`, `standalone`, …
    pub mode: &'static str,
    /// Whether this instance can reach the others now.
    pub connected: bool,
    /// Why not, when it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The last round trip of the probe that the instance sends to itself, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe_ms: Option<f64>,
    /// How long ago the last probe came back, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe_age_ms: Option<u64>,
    /// The addresses of the other instances whose hello arrived here within the last ten seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heard: Option<Vec<String>>,
    /// Bytes that wait to be sent.
    pub queued_bytes: usize,
}

/// Why a backplane could not start.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub String);

/// How long a question to the backplane may take before it is answered with [`Unavailable::Timeout`]: well under the
/// second that clients are promised, so that a busy machine keeps the promise too.
pub const ANSWER_WITHIN: Duration = Duration::from_millis(750);

/// What joins instances. Built in: [`memory`] and [`redis`].
///
/// The calls that return nothing are made on the message path: they put the work into a bounded queue and
/// return at once; the [`Ack`] is told later. Calls for one channel take effect in the order of the calls.
pub trait Backplane: Send + Sync + 'static {
    /// Begins: from now on what arrives goes to the hub. Returns when the instance may take clients: with a
    /// backplane that is away, either an error (it is required) or at once, to join when it comes.
    fn start(&self, hub: Arc<Hub>) -> BoxFuture<'_, Result<(), StartError>>;

    /// Sends an envelope to the other instances that have the channel subscribed.
    fn publish(&self, channel: &Channel, envelope: &Envelope<'_>, ack: Ack);

    /// Sends an envelope to other instances, whatever channels they have.
    fn tell(&self, audience: &Audience, envelope: &Envelope<'_>, ack: Ack);

    /// From the time the ack is told, envelopes of the channel arrive here.
    fn subscribe(&self, channel: &Channel, ack: Ack);

    /// The channel's envelopes are no longer wanted here.
    fn unsubscribe(&self, channel: &Channel);

    /// Puts a client of this instance into the directory.
    fn register(&self, client: ClientRecord);

    /// Takes a client of this instance out of the directory.
    fn unregister(&self, client: ClientId);

    /// Where a client is connected; `None` when no living instance has it.
    fn locate(&self, client: ClientId) -> BoxFuture<'_, Result<Option<Located>, Unavailable>>;

    /// Adds a local client to a channel's presence.
    fn enter(&self, channel: &Channel, member: Member);

    /// Takes a local client out of a channel's presence.
    fn leave(&self, channel: &Channel, client: ClientId);

    /// The members of a channel on all living instances.
    fn presence<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Vec<Member>, Unavailable>>;

    /// The channels that match the glob pattern and have subscribers on living instances, with how many.
    fn channels<'a>(&'a self, pattern: &'a str) -> BoxFuture<'a, Result<BTreeMap<String, u64>, Unavailable>>;

    /// The living instances, this one among them.
    fn instances(&self) -> BoxFuture<'_, Result<Vec<InstanceRecord>, Unavailable>>;

    /// How it is now.
    fn health(&self) -> Health;

    /// Leaves in an orderly way: what is queued is sent, the directory, presence and lease are released.
    fn close(&self) -> BoxFuture<'_, ()>;
}
