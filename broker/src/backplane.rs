//! What joins instances: each hands its envelopes to the others and learns where clients are.
//!
//! An envelope that arrives from another instance goes straight to [`Hub::deliver`](crate::hub::Hub::deliver) or to
//! [`Inbound::told`]: never to the router, so nothing loops, and middleware and logic run once, at the origin.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use serde::{Deserialize, Serialize};

use crate::{
    cluster::Inbound,
    message::{Address, Channel, ClientId},
    registry::ClientRecord,
};

mod ack;
pub mod departures;
pub mod envelope;
#[cfg(any(test, switchboard_fuzz))]
pub(crate) mod fuzz;
pub mod history;
pub mod memory;
pub mod redis;

use departures::Untold;

pub use ack::{Ack, Taken};
pub use departures::{Departing, Departures};
pub use envelope::{Envelope, Excluded, Publication};
pub use history::{Filter, Keep, Kept, Past, Position, StreamEpoch};

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
    /// The connection was lost while the message was under way to a stream: it may be there, or not.
    #[error("the connection was lost while it was under way, so that it may have been taken")]
    Uncertain,
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
            Self::Uncertain => "uncertain",
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

/// Where the directory found a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The instance that holds its connection.
    pub address: Address,
    /// What is known of it: its last message and metadata as they were up to a second ago.
    pub client: ClientRecord,
}

/// One member of a channel, as presence shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Which client.
    pub client: ClientId,
    /// The JSON object that describes it (see [`Source::Client`](crate::message::Source::Client)).
    pub info: Bytes,
}

/// Connections and distinct users among members.
pub fn count(members: &[Member]) -> (usize, usize) {
    #[derive(serde::Deserialize)]
    struct User<'a> {
        #[serde(borrow)]
        user: std::borrow::Cow<'a, str>,
    }
    let users = members.iter().filter_map(|member| serde_json::from_slice::<User<'_>>(&member.info).ok());
    let distinct: std::collections::HashSet<_> = users.map(|user| user.user).collect();
    (members.len(), distinct.len())
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
    /// The same in milliseconds; 0 of an instance of a version that does not tell. Whoever divides by the time between
    /// two records needs it so fine.
    #[serde(default)]
    pub uptime_ms: u64,
    /// Messages accepted for publishing since the start.
    #[serde(default)]
    pub published: u64,
    /// Messages handed to a client's outbox since the start.
    #[serde(default)]
    pub delivered: u64,
    /// Messages since the start that could not be published, or did not reach a client's outbox.
    #[serde(default)]
    pub failed: u64,
    /// Its connection to Redis, where there is to be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<RedisRecord>,
}

/// What an instance says of its connection to Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedisRecord {
    /// Whether it stands.
    pub connected: bool,
    /// The last round trip of the instance's probe, in microseconds; none before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_us: Option<u64>,
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

/// Hears what another program has published. It is called where messages are read, so it must not block.
pub type Hear = Box<dyn Fn(&[u8]) + Send + Sync>;

/// How long a question to the backplane may take before it is answered with [`Unavailable::Timeout`]: well under the
/// second that clients are promised, so that a busy machine keeps the promise too.
pub const ANSWER_WITHIN: Duration = Duration::from_millis(750);

/// What joins instances. Built in: [`memory`] and [`redis`].
///
/// One that keeps history overrides [`keeps_history`](Backplane::keeps_history) and the three calls behind it, and hands
/// what is published in a channel with history to [`Hub::deliver_kept`](crate::hub::Hub::deliver_kept), in the stream's
/// order, on every instance that has the channel subscribed, the publisher's own among them.
///
/// One that can lose the others calls [`Hub::cut_off`](crate::hub::Hub::cut_off) when it does, so that clients are told, and
/// [`Hub::rejoined`](crate::hub::Hub::rejoined) when it has joined them again, so that what was missed is read.
///
/// The calls that return nothing are made on the message path: they put the work into a bounded queue and
/// return at once; the [`Ack`] is told later. Calls for one channel take effect in the order of the calls.
///
/// Two brokers of one process, joined by its memory:
///
/// ```
/// use std::sync::Arc;
///
/// use switchboard::{
///     Broker,
///     backplane::{Backplane, memory::{Memory, MemoryBackplane}},
///     config::Config,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let memory = Arc::new(Memory::default());
/// let mut brokers = Vec::new();
/// for id in ["one", "two"] {
///     let text = format!("instance: {{id: {id}}}\nclient: {{address: 127.0.0.1:0}}\nadmin: {{address: 127.0.0.1:0}}");
///     let backplane = Arc::new(MemoryBackplane::joining(memory.clone()));
///     let settings = Config::parse("settings", &text, std::env::vars())?;
///     let broker = Broker::builder().settings(settings).backplane(backplane.clone()).start().await?;
///     brokers.push((broker, backplane));
/// }
/// let (_, backplane) = &brokers[0];
/// let ids: Vec<_> = backplane.instances().await?.into_iter().map(|instance| instance.id).collect();
/// assert_eq!(ids, ["one", "two"]);
/// for (broker, _) in brokers {
///     broker.drain().await;
/// }
/// # Ok(())
/// # }
/// ```
pub trait Backplane: Send + Sync + 'static {
    /// Begins: from now on what arrives is handed over. Returns when the instance may take clients: with a
    /// backplane that is away, either an error (it is required) or at once, to join when it comes.
    fn start(&self, inbound: Arc<Inbound>) -> BoxFuture<'_, Result<(), StartError>>;

    /// Sends an envelope to the other instances that have the channel subscribed.
    fn publish(&self, channel: &Channel, envelope: &Envelope<'_>, ack: Ack);

    /// Whether it keeps history. A broker whose configuration has channels with history does not start on one that
    /// keeps none.
    fn keeps_history(&self) -> bool {
        false
    }

    /// Puts a publication into the channel's stream, and delivers it to all instances, this one among them. `ack` is told
    /// its position; nothing, when there is no stream and nobody else: then the caller delivers it. After
    /// [`Unavailable::Uncertain`] it may have been taken; after any other failure it was not, and the caller delivers it
    /// here. Without history it is published like any other.
    fn publish_kept(&self, channel: &Channel, publication: &Publication<'_>, keep: Keep, ack: Ack) {
        let _ = keep;
        self.publish(channel, &Envelope::Publication(*publication), ack);
    }

    /// Reads from the channel's stream, which begins by that if there is none.
    fn history<'a>(
        &'a self,
        channel: &'a Channel,
        filter: Filter,
    ) -> BoxFuture<'a, Result<Past, Unavailable>> {
        let _ = (channel, filter);
        std::future::ready(Err(Unavailable::Refused)).boxed()
    }

    /// Forgets what is in the channel's stream; its position stays.
    fn remove_history<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<(), Unavailable>> {
        let _ = channel;
        std::future::ready(Err(Unavailable::Refused)).boxed()
    }

    /// Sends an envelope to other instances, whatever channels they have.
    fn tell(&self, audience: &Audience, envelope: &Envelope<'_>, ack: Ack);

    /// From the time the ack is told, envelopes of the channel arrive here.
    fn subscribe(&self, channel: &Channel, ack: Ack);

    /// The channel's envelopes are no longer wanted here.
    fn unsubscribe(&self, channel: &Channel);

    /// From the start on, has `hear` hear what other programs publish under names that begin so, beside the broker's own. It
    /// may be called before the start only. On a backplane that no other programs reach nothing is ever heard.
    fn foreign(&self, prefix: &str, hear: Hear) {
        let _ = (prefix, hear);
    }

    /// Puts a client of this instance into the directory.
    fn register(&self, client: ClientRecord);

    /// Something has changed of clients of this instance, such as when their last message came: the directory reads
    /// their records anew.
    fn touch(&self, clients: &[ClientId]);

    /// Takes a client of this instance out of the directory.
    fn unregister(&self, client: ClientId);

    /// Where each of these clients is connected, in their order; `None` where no living instance has it.
    fn locate<'a>(
        &'a self,
        clients: &'a [ClientId],
    ) -> BoxFuture<'a, Result<Vec<Option<Located>>, Unavailable>>;

    /// Takes the role of this name for ten seconds if nobody has it, or has it for another ten seconds if this
    /// instance has it. Who has it now; nobody if its time ran out just now.
    fn hold<'a>(&'a self, role: &'a str) -> BoxFuture<'a, Result<Option<Address>, Unavailable>>;

    /// Gives the role up, if this instance has it.
    fn release<'a>(&'a self, role: &'a str) -> BoxFuture<'a, ()>;

    /// Adds a local client to a channel's presence.
    fn enter(&self, channel: &Channel, member: Member);

    /// Takes a local client out of a channel's presence.
    fn leave(&self, channel: &Channel, client: ClientId);

    /// The members of a channel on all living instances.
    fn presence<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Vec<Member>, Unavailable>>;

    /// Who is in which room and who has gone, where that is told. On a backplane that does not keep it nobody is told who has
    /// gone.
    fn departing(&self) -> &dyn Departing {
        &Untold
    }

    /// The living instances, this one among them. An error when there were others and they cannot be asked for now.
    fn instances(&self) -> BoxFuture<'_, Result<Vec<InstanceRecord>, Unavailable>>;

    /// How often it has joined the others so far. A change means that what they said in between may have been missed.
    fn joins(&self) -> u64 {
        0
    }

    /// How it is now.
    fn health(&self) -> Health;

    /// Leaves in an orderly way: what is queued is sent, the directory, presence and lease are released.
    fn close(&self) -> BoxFuture<'_, ()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_instance_says_of_itself_is_understood() {
        let older = r#"{"id":"a","epoch":"1","version":"0.1.0","clients":2,"users":1,"channels":3,"subscriptions":4,"uptime":5}"#;
        let record: InstanceRecord = serde_json::from_str(older).unwrap();
        assert_eq!((record.clients, record.uptime, record.uptime_ms), (2, 5, 0));
        assert_eq!((record.published, record.delivered, record.failed, record.redis), (0, 0, 0, None));
    }
}
