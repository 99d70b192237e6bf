//! Which local clients are subscribed to which channel.
//!
//! A channel exists here while a local client is subscribed to it. The first subscriber makes the instance
//! listen to the channel on the backplane, the last one that leaves ends it. A client is told that it is
//! subscribed only after the backplane has confirmed, so that it misses nothing from then on.
//!
//! Locks are taken in the order shard → topic → client's subscriptions, and never held across an `.await`.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use ahash::{HashMap, RandomState};
use parking_lot::RwLock;
use slab::Slab;

use crate::{
    backplane::{Ack, Backplane, Unavailable},
    message::Channel,
    registry::Client,
};

const SHARDS: usize = 64;

/// One channel that local clients are subscribed to.
pub struct Topic {
    /// Its name.
    pub channel: Channel,
    state: RwLock<TopicState>,
}

#[derive(Default)]
struct TopicState {
    subscribers: Slab<Arc<Client>>,
    phase: Phase,
}

#[derive(Default)]
enum Phase {
    /// The backplane was asked to listen and has not confirmed.
    #[default]
    Opening,
    /// Envelopes arrive.
    Open,
    /// The backplane refused at once, before anybody waited.
    Failed(Unavailable),
    /// The last subscriber left; whoever still holds this topic must look the channel up again.
    Closed,
    /// As `Opening`, with clients that wait for the confirmation.
    Awaited(Vec<Waiting>),
}

struct Waiting {
    client: Arc<Client>,
    attempt: u64,
    confirm: Confirm,
}

/// What is done when it is known how a subscription ended.
pub struct Confirm {
    /// Tells the client. Called under the topic's lock, so that no publication can reach the client before;
    /// it may do no more than fill the client's outbox.
    pub tell: Box<dyn FnOnce(Result<(), SubscribeError>) + Send + Sync>,
    /// Done after a success, outside every lock.
    pub then: Then,
}

type Then = Option<Box<dyn FnOnce() + Send + Sync>>;

/// A client's side of a subscription.
pub(crate) enum Subscription {
    /// Asked for, not confirmed.
    Pending {
        /// Tells this attempt from another one for the same channel.
        attempt: u64,
    },
    /// Confirmed.
    Active {
        /// The channel's topic.
        topic: Arc<Topic>,
        /// The place among its subscribers.
        slot: usize,
    },
}

impl Subscription {
    pub(crate) fn is_active(&self) -> bool {
        matches!(self, Self::Active { .. })
    }
}

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
}

impl Default for Channels {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::default()),
            hasher: RandomState::new(),
            attempts: AtomicU64::new(0),
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
        confirm: Confirm,
    ) {
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = client.ask_for(channel, limit, attempt) {
            return (confirm.tell)(Err(error));
        }
        let mut waiting = Waiting { client: client.clone(), attempt, confirm };
        let mut closed: Option<Arc<Topic>> = None;
        loop {
            let topic = self.open(channel, closed.as_ref(), backplane);
            match topic.admit(waiting) {
                Ok(then) => {
                    if let Some(then) = then {
                        then();
                    }
                    return;
                }
                Err(again) => waiting = again,
            }
            closed = Some(topic);
        }
    }

    /// The channel's topic, made when there is none but the one that was found closed.
    fn open(&self, channel: &Channel, closed: Option<&Arc<Topic>>, backplane: &dyn Backplane) -> Arc<Topic> {
        let usable = |topic: &&Arc<Topic>| !closed.is_some_and(|closed| Arc::ptr_eq(closed, topic));
        if let Some(topic) = self.shard(channel.as_str()).read().get(channel).filter(usable) {
            return topic.clone();
        }
        let mut shard = self.shard(channel.as_str()).write();
        if let Some(topic) = shard.get(channel).filter(usable) {
            return topic.clone();
        }
        let topic = Arc::new(Topic { channel: channel.clone(), state: RwLock::default() });
        shard.insert(channel.clone(), topic.clone());
        // Under the shard's lock, so that the backplane hears subscribe and unsubscribe in their true order.
        let confirmed = topic.clone();
        backplane.subscribe(channel, Ack::then(move |outcome| confirmed.confirmed(outcome)));
        topic
    }

    /// Ends a client's subscription, or its wait for one; whether it had been confirmed.
    pub fn unsubscribe(&self, client: &Client, channel: &Channel, backplane: &dyn Backplane) -> bool {
        let Some(subscription) = client.subscriptions.lock().remove(channel) else { return false };
        let was_active = subscription.is_active();
        if let Subscription::Active { topic, slot } = subscription {
            let mut state = topic.state.write();
            state.subscribers.remove(slot);
            if !state.subscribers.is_empty() {
                return true;
            }
        }
        self.close_if_unused(channel, backplane);
        was_active
    }

    /// Stops listening to a channel that nobody is subscribed to any more, or whose opening failed.
    pub fn close_if_unused(&self, channel: &Channel, backplane: &dyn Backplane) {
        let mut shard = self.shard(channel.as_str()).write();
        let Some(topic) = shard.get(channel) else { return };
        let (gone, unused) = {
            let mut state = topic.state.write();
            let gone = state.take_gone(channel);
            let unused = state.subscribers.is_empty() && !matches!(state.phase, Phase::Awaited(_));
            if unused {
                state.phase = Phase::Closed;
            }
            (gone, unused)
        };
        if unused {
            shard.remove(channel);
            backplane.unsubscribe(channel);
        }
        drop(shard);
        gone.into_iter().for_each(|waiting| (waiting.confirm.tell)(Err(Unavailable::Closed.into())));
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

impl Client {
    /// Notes that a subscription was asked for.
    fn ask_for(&self, channel: &Channel, limit: usize, attempt: u64) -> Result<(), SubscribeError> {
        let mut subscriptions = self.subscriptions.lock();
        if subscriptions.contains_key(channel) {
            return Err(SubscribeError::AlreadySubscribed);
        }
        if subscriptions.len() >= limit {
            return Err(SubscribeError::LimitExceeded);
        }
        subscriptions.insert(channel.clone(), Subscription::Pending { attempt });
        Ok(())
    }
}

impl TopicState {
    /// Takes out those who left while they waited. Nobody waits any more when none is left.
    fn take_gone(&mut self, channel: &Channel) -> Vec<Waiting> {
        let Phase::Awaited(queue) = &mut self.phase else { return Vec::new() };
        let gone = queue.extract_if(.., |waiting| !waiting.is_wanted(channel)).collect();
        if queue.is_empty() {
            self.phase = Phase::Opening;
        }
        gone
    }
}

impl Waiting {
    /// After a failure: the client may ask anew.
    fn give_up(self, channel: &Channel, why: Unavailable) {
        if self.is_wanted(channel) {
            self.client.subscriptions.lock().remove(channel);
        }
        (self.confirm.tell)(Err(why.into()));
    }

    /// Whether the client has not left, or asked anew, in the meantime.
    fn is_wanted(&self, channel: &Channel) -> bool {
        let subscriptions = self.client.subscriptions.lock();
        matches!(subscriptions.get(channel), Some(Subscription::Pending { attempt }) if *attempt == self.attempt)
    }
}

impl Topic {
    /// Takes a subscriber in, or lets it wait for the backplane; gives it back when the topic is closed.
    fn admit(self: &Arc<Self>, waiting: Waiting) -> Result<Then, Waiting> {
        let mut state = self.state.write();
        match &mut state.phase {
            Phase::Open => Ok(self.activate(&mut state.subscribers, waiting)),
            Phase::Awaited(queue) => {
                queue.push(waiting);
                Ok(None)
            }
            Phase::Opening => {
                state.phase = Phase::Awaited(vec![waiting]);
                Ok(None)
            }
            Phase::Failed(why) => {
                let why = *why;
                drop(state);
                waiting.give_up(&self.channel, why);
                Ok(None)
            }
            Phase::Closed => Err(waiting),
        }
    }

    /// The backplane's answer. Whoever is told of a failure has the topic closed, so that the next asks anew.
    fn confirmed(self: &Arc<Self>, outcome: Result<(), Unavailable>) {
        let mut state = self.state.write();
        if matches!(state.phase, Phase::Closed) {
            return;
        }
        let next = outcome.map_or_else(Phase::Failed, |()| Phase::Open);
        let Phase::Awaited(queue) = std::mem::replace(&mut state.phase, next) else { return };
        match outcome {
            Ok(()) => {
                let then: Vec<_> = queue
                    .into_iter()
                    .filter_map(|waiting| self.activate(&mut state.subscribers, waiting))
                    .collect();
                drop(state);
                then.into_iter().for_each(|then| then());
            }
            Err(error) => {
                drop(state);
                queue.into_iter().for_each(|waiting| waiting.give_up(&self.channel, error));
            }
        }
    }

    /// Under the topic's lock: the client is told first, and no publication can come before that.
    fn activate(self: &Arc<Self>, subscribers: &mut Slab<Arc<Client>>, waiting: Waiting) -> Then {
        let mut subscriptions = waiting.client.subscriptions.lock();
        let subscription = subscriptions.get_mut(&self.channel)?;
        if !matches!(subscription, Subscription::Pending { attempt } if *attempt == waiting.attempt) {
            return None;
        }
        (waiting.confirm.tell)(Ok(()));
        let slot = subscribers.insert(waiting.client.clone());
        *subscription = Subscription::Active { topic: self.clone(), slot };
        waiting.confirm.then
    }

    /// Calls `visit` for each subscriber.
    pub fn for_each(&self, mut visit: impl FnMut(&Arc<Client>)) {
        for (_, client) in &self.state.read().subscribers {
            visit(client);
        }
    }

    /// How many local clients are subscribed.
    pub fn len(&self) -> usize {
        self.state.read().subscribers.len()
    }

    /// Whether nobody is subscribed (any more).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
