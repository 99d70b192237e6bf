//! A client's side of its subscriptions.

use std::sync::Arc;

use bytes::Bytes;

use super::{SubscribeError, Topic};
use crate::{message::Channel, registry::Client};

/// What a subscription's token says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// How the client is described in the channel, if otherwise than elsewhere.
    pub info: Option<Bytes>,
    /// When the token expires, in seconds since 1970.
    pub expires_at: Option<u64>,
}

/// One subscription of a client, asked for or confirmed.
pub(crate) struct Subscription {
    /// Tells this attempt from another one for the same channel.
    attempt: u64,
    /// What its token says; most have none.
    terms: Option<Box<Terms>>,
    /// Once it is confirmed: the channel's topic, and the place among its subscribers.
    place: Option<(Arc<Topic>, usize)>,
    /// Whether the others were told that the client joined.
    announced: bool,
}

/// A confirmed subscription that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How the client was described in the channel.
    pub info: Bytes,
    /// Whether the others were told that it joined, so that they are to be told that it left.
    pub announced: bool,
}

impl Subscription {
    /// One that the backplane has not confirmed.
    pub(super) fn asked(attempt: u64, terms: Option<Terms>) -> Self {
        Self { attempt, terms: terms.map(Box::new), place: None, announced: false }
    }

    /// The backplane has confirmed it.
    pub(super) fn confirm(&mut self, topic: Arc<Topic>, slot: usize) {
        self.place = Some((topic, slot));
    }

    /// Whether it is this attempt.
    pub(super) fn is(&self, attempt: u64) -> bool {
        self.attempt == attempt
    }

    /// Whether it is one of this topic's.
    pub(super) fn is_in(&self, topic: &Arc<Topic>) -> bool {
        self.place.as_ref().is_some_and(|(place, _)| Arc::ptr_eq(place, topic))
    }

    /// What is to be known of it when it ends now.
    pub(super) fn ended(&self, client: &Client) -> Option<Ended> {
        self.place.as_ref().map(|_| Ended { info: self.info(client), announced: self.announced })
    }

    /// Takes the client out of the topic. Whether nobody may be left there.
    pub(super) fn leave(self) -> bool {
        self.place.is_none_or(|(topic, slot)| topic.remove(slot))
    }

    fn info(&self, client: &Client) -> Bytes {
        let said = self.terms.as_ref().and_then(|terms| terms.info.as_ref());
        said.unwrap_or(&client.info).clone()
    }
}

impl Client {
    /// Whether it could ask for a subscription to this channel now, of which it may have so many.
    pub fn may_ask_for(&self, channel: &Channel, limit: usize) -> Result<(), SubscribeError> {
        let subscriptions = self.subscriptions.lock();
        if subscriptions.contains_key(channel) {
            return Err(SubscribeError::AlreadySubscribed);
        }
        if subscriptions.len() >= limit {
            return Err(SubscribeError::LimitExceeded);
        }
        Ok(())
    }

    /// Notes that a subscription was asked for.
    pub(super) fn ask_for(
        &self,
        channel: &Channel,
        limit: usize,
        subscription: Subscription,
    ) -> Result<(), SubscribeError> {
        let mut subscriptions = self.subscriptions.lock();
        if subscriptions.contains_key(channel) {
            return Err(SubscribeError::AlreadySubscribed);
        }
        if subscriptions.len() >= limit {
            return Err(SubscribeError::LimitExceeded);
        }
        subscriptions.insert(channel.clone(), subscription);
        Ok(())
    }

    /// Whether it was let into the channel, for it is subscribed or waits for the backplane to confirm that; and
    /// what other clients may know of it there.
    pub fn standing_in(&self, channel: &Channel) -> (bool, Bytes) {
        match self.subscriptions.lock().get(channel) {
            Some(subscription) => (true, subscription.info(self)),
            None => (false, self.info.clone()),
        }
    }

    /// The same, without what others may know.
    pub fn is_in(&self, channel: &str) -> bool {
        self.subscriptions.lock().contains_key(channel)
    }

    /// When the first of its subscriptions' tokens expires, in seconds since 1970.
    pub fn first_expiry(&self) -> Option<u64> {
        let subscriptions = self.subscriptions.lock();
        subscriptions.values().filter_map(|subscription| subscription.terms.as_ref()?.expires_at).min()
    }

    /// The channels whose subscriptions' tokens have expired by `now`, in seconds since 1970.
    pub fn expired(&self, now: u64) -> Vec<Channel> {
        let expired = |subscription: &Subscription| {
            let end = subscription.terms.as_ref().and_then(|terms| terms.expires_at);
            end.is_some_and(|end| end <= now)
        };
        let subscriptions = self.subscriptions.lock();
        let expired = subscriptions.iter().filter(|(_, subscription)| expired(subscription));
        expired.map(|(channel, _)| channel.clone()).collect()
    }

    /// From now on the subscription to this channel expires then; whether there is one.
    pub fn renew(&self, channel: &Channel, expires_at: Option<u64>) -> bool {
        match self.subscriptions.lock().get_mut(channel) {
            Some(subscription) => {
                subscription.terms.get_or_insert_default().expires_at = expires_at;
                true
            }
            None => false,
        }
    }

    /// Tells the others that it joined, if this attempt is still its subscription to the channel.
    pub fn announce(&self, channel: &Channel, attempt: u64, tell: impl FnOnce()) {
        // Until they are told: a leave, which waits for its turn, must not overtake the join.
        let _turn = self.announcements.lock();
        let is_current = match self.subscriptions.lock().get_mut(channel) {
            Some(subscription) if subscription.is(attempt) => {
                subscription.announced = true;
                true
            }
            _ => false,
        };
        if is_current {
            tell();
        }
    }

    /// Tells the others that it left, if they know that it had joined.
    pub fn announce_end(&self, ended: &Ended, tell: impl FnOnce()) {
        if ended.announced {
            let _turn = self.announcements.lock();
            tell();
        }
    }
}
