//! Which local clients are subscribed to which channel.
//!
//! A channel exists here while a local client is subscribed to it. The first subscriber makes the instance
//! listen to the channel on the backplane, the last one that leaves ends it. A client is told that it is
//! subscribed only after the backplane has confirmed, so that it misses nothing from then on.
//!
//! Locks are taken in the order client's announcements → shard → flow of a channel with history → topic → client's
//! subscriptions, and never held across an `.await`.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use ahash::{HashMap, RandomState};
use parking_lot::RwLock;
use tokio::sync::Semaphore;

use crate::{
    backplane::{Ack, Backplane, Unavailable},
    message::Channel,
    registry::Client,
};

mod recovery;
mod stream;
mod subscription;
mod topic;

pub use recovery::{Arrival, Joining, Recover, Recovery, Since};
use stream::Stream;
pub(crate) use subscription::Subscription;
pub use subscription::{Ended, Terms};
pub use topic::Topic;
use topic::Waiting;

const SHARDS: usize = 64;

/// Streams that may be read at a time.
const READING: usize = 64;

/// What is done when it is known how a subscription ended.
pub struct Confirm {
    /// Tells the client. A success is told under the topic's lock, so that no publication can reach the client
    /// before; it may do no more than fill the client's outbox.
    pub tell: Box<dyn FnOnce(Entered) + Send + Sync>,
    /// What else the subscription brings; nothing where nobody sees who is there, and no token said anything.
    pub then: Option<Entrance>,
    /// For a channel with history; the client is then told where it stands there.
    pub stream: Option<Box<Joining>>,
}

/// How a client enters a channel.
#[derive(Default)]
pub struct Entrance {
    /// What its token says; it holds from the time the client is let in, also while it waits.
    pub terms: Option<Terms>,
    /// Puts the client among those who are there. Called under the topic's lock and before the client is told, so
    /// that it finds itself when it asks at once; it must not block.
    pub enter: Option<Box<dyn FnOnce() + Send + Sync>>,
    /// Tells the others, outside every lock. The client may have left by then, so it is given the number of the
    /// attempt that this was: see [`Client::announce`].
    pub announce: Option<Announce>,
}

/// How a client's attempt ended; where it stands in the channel's stream, if the channel has history.
pub type Entered = Result<Option<Box<Arrival>>, SubscribeError>;

/// See [`Entrance::announce`].
pub type Announce = Box<dyn FnOnce(u64) + Send + Sync>;

/// Why a client could not be subscribed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// The client is subscribed to the channel, or has asked for it.
    #[error("already subscribed")]
    AlreadySubscribed,
    /// The client has as many subscriptions as it may have.
    #[error("too many channels")]
    LimitExceeded,
    /// The backplane cannot listen to the channel now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// All channels with local subscribers.
pub struct Channels {
    shards: [RwLock<HashMap<Channel, Arc<Topic>>>; SHARDS],
    hasher: RandomState,
    attempts: AtomicU64,
    /// How many more streams may be read.
    reading: Semaphore,
}

impl Default for Channels {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::default()),
            hasher: RandomState::new(),
            attempts: AtomicU64::new(0),
            reading: Semaphore::new(READING),
        }
    }
}

impl Channels {
    fn shard(&self, channel: &str) -> &RwLock<HashMap<Channel, Arc<Topic>>> {
        &self.shards[self.hasher.hash_one(channel) as usize % SHARDS]
    }

    /// Subscribes a client. `confirm` is told once how it ended, perhaps before this returns.
    pub fn subscribe(
        &self,
        client: &Arc<Client>,
        channel: &Channel,
        limit: usize,
        backplane: &dyn Backplane,
        mut confirm: Confirm,
    ) {
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed);
        let terms = confirm.then.as_mut().and_then(|entrance| entrance.terms.take());
        if let Err(error) = client.ask_for(channel, limit, Subscription::asked(attempt, terms)) {
            return (confirm.tell)(Err(error));
        }
        self.admit(channel, Waiting { client: client.clone(), attempt, confirm }, backplane);
    }

    /// Lets a client into the channel's topic, or has it wait there.
    fn admit(&self, channel: &Channel, mut waiting: Waiting, backplane: &dyn Backplane) {
        let mut closed: Option<Arc<Topic>> = None;
        loop {
            let topic = self.open(channel, closed.as_ref(), &waiting, backplane);
            match topic.admit(waiting) {
                Ok(()) => return,
                Err(again) => waiting = again,
            }
            closed = Some(topic);
        }
    }

    /// The channel's topic, made when there is none but the one that was found closed.
    fn open(
        &self,
        channel: &Channel,
        closed: Option<&Arc<Topic>>,
        waiting: &Waiting,
        backplane: &dyn Backplane,
    ) -> Arc<Topic> {
        let usable = |topic: &&Arc<Topic>| !closed.is_some_and(|closed| Arc::ptr_eq(closed, topic));
        if let Some(topic) = self.shard(channel.as_str()).read().get(channel).filter(usable) {
            return topic.clone();
        }
        let mut shard = self.shard(channel.as_str()).write();
        if let Some(topic) = shard.get(channel).filter(usable) {
            return topic.clone();
        }
        let stream = waiting.confirm.stream.as_ref().map(|joining| Stream::new(joining.gateway.clone()));
        let topic = Arc::new(Topic::opening(channel.clone(), stream));
        shard.insert(channel.clone(), topic.clone());
        // Under the shard's lock, so that the backplane hears subscribe and unsubscribe in their true order.
        let confirmed = topic.clone();
        backplane.subscribe(channel, Ack::then(move |outcome| confirmed.listens(outcome)));
        topic
    }

    /// Ends a client's subscription, or its wait for one; what it was, if it had been confirmed.
    pub fn unsubscribe(
        &self,
        client: &Client,
        channel: &Channel,
        backplane: &dyn Backplane,
    ) -> Option<Ended> {
        let subscription = client.subscriptions.lock().remove(channel)?;
        let ended = subscription.ended(client);
        if subscription.leave() {
            self.close_if_unused(channel, backplane);
        }
        ended
    }

    /// Ends a client's subscription if it is one of this topic; what it was.
    pub(crate) fn unsubscribe_from(&self, client: &Client, topic: &Arc<Topic>) -> Option<Ended> {
        let subscription = {
            let mut subscriptions = client.subscriptions.lock();
            subscriptions.get(&topic.channel).filter(|subscription| subscription.is_in(topic))?;
            subscriptions.remove(&topic.channel)?
        };
        let ended = subscription.ended(client);
        subscription.leave();
        ended
    }

    /// Closes a topic whose subscribers have missed something, and lets those who wait for it into a new one. Its
    /// subscribers are given back: each has to be told.
    pub(crate) fn abandon(&self, topic: &Arc<Topic>, backplane: &dyn Backplane) -> Vec<Arc<Client>> {
        let mut shard = self.shard(topic.channel.as_str()).write();
        let waiting = topic.close();
        if shard.get(&topic.channel).is_some_and(|current| Arc::ptr_eq(current, topic)) {
            shard.remove(&topic.channel);
            backplane.unsubscribe(&topic.channel);
        }
        drop(shard);
        waiting.into_iter().for_each(|waiting| self.admit(&topic.channel, waiting, backplane));
        let mut subscribers = Vec::new();
        topic.for_each(|client| subscribers.push(client.clone()));
        subscribers
    }

    /// Stops listening to a channel that nobody is subscribed to any more, or whose opening failed.
    pub fn close_if_unused(&self, channel: &Channel, backplane: &dyn Backplane) {
        let mut shard = self.shard(channel.as_str()).write();
        let Some(topic) = shard.get(channel) else { return };
        let (unwanted, closed) = topic.close_if_unused();
        if closed {
            shard.remove(channel);
            backplane.unsubscribe(channel);
        }
        drop(shard);
        unwanted.into_iter().for_each(Waiting::turn_away);
    }

    /// The channel's topic, if a local client is subscribed to it.
    pub fn get(&self, channel: &str) -> Option<Arc<Topic>> {
        self.shard(channel).read().get(channel).cloned()
    }

    /// How many channels have a local subscriber.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().len()).sum()
    }

    /// Whether no channel has a local subscriber.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many subscriptions the local clients have.
    pub fn subscriptions(&self) -> u64 {
        self.snapshot().iter().map(|topic| topic.len() as u64).sum()
    }

    /// All topics as they are now.
    pub fn snapshot(&self) -> Vec<Arc<Topic>> {
        self.shards.iter().flat_map(|shard| shard.read().values().cloned().collect::<Vec<_>>()).collect()
    }
}
