//! Holds each client to so many messages a second.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::NoOpMiddleware,
    state::keyed::DefaultKeyedStateStore,
};

use super::Middleware;
use crate::{
    auth::namespace_of,
    config::Rate,
    message::{ClientId, Message, Source, Target},
};

/// After so many messages, clients that have been silent are forgotten.
const FORGET_EVERY: u32 = 16_384;

type Limiter<C> =
    RateLimiter<ClientId, DefaultKeyedStateStore<ClientId>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// How many messages each client may send, at all or into the channels of one namespace. The server API and logic
/// modules may send as many as they like.
pub struct ClientRate<C: Clock = DefaultClock> {
    /// Only messages for channels of this namespace count.
    namespace: Option<String>,
    limiter: Limiter<C>,
    checks: AtomicU32,
}

impl ClientRate {
    /// This rate; `None` when it is no limit. A burst of 0 is a second's messages.
    pub fn new(namespace: Option<&str>, rate: Rate) -> Option<Self> {
        Self::by(namespace, rate, DefaultClock::default())
    }
}

impl<C: Clock> ClientRate<C> {
    fn by(namespace: Option<&str>, rate: Rate, clock: C) -> Option<Self> {
        let per_second = NonZeroU32::new(rate.per_second)?;
        let burst = NonZeroU32::new(rate.burst).unwrap_or(per_second);
        let quota = Quota::per_second(per_second).allow_burst(burst);
        Some(Self {
            namespace: namespace.map(str::to_owned),
            limiter: RateLimiter::new(quota, DefaultKeyedStateStore::default(), clock),
            checks: AtomicU32::new(0),
        })
    }

    fn counts(&self, message: &Message) -> bool {
        let Some(namespace) = &self.namespace else { return true };
        message.targets.iter().any(
            |target| matches!(target, Target::Channel(channel) if namespace_of(channel.as_str()) == namespace),
        )
    }
}

impl<C: Clock + Send + Sync + 'static> Middleware for ClientRate<C>
where
    C::Instant: Send + Sync,
{
    fn process(&self, message: &mut Message) {
        let Source::Client { id, .. } = message.source else { return };
        if !self.counts(message) {
            return;
        }
        if self.limiter.check_key(&id).is_err() {
            message.postpone("rate", "more messages than allowed; send them more slowly");
        }
        if self.checks.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            self.limiter.retain_recent();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use governor::clock::FakeRelativeClock;

    use super::*;
    use crate::message::{Channel, State};

    fn message(id: ClientId, channel: &str) -> Message {
        let source = Source::Client { id, info: Bytes::new() };
        Message::new(source, Target::Channel(Channel::trusted(channel)), Bytes::from_static(b"1"))
    }

    fn passes(rate: &impl Middleware, mut message: Message) -> bool {
        rate.process(&mut message);
        message.state == State::Accepted
    }

    #[test]
    fn a_burst_passes_and_then_so_many_a_second_for_each_client() {
        let clock = FakeRelativeClock::default();
        let rate = ClientRate::by(None, Rate { per_second: 2, burst: 3 }, clock.clone()).unwrap();
        let (ann, bob) = (ClientId::generate(), ClientId::generate());
        let sent = |id, count| (0..count).filter(|_| passes(&rate, message(id, "news"))).count();
        assert_eq!(sent(ann, 10), 3);
        assert_eq!(sent(bob, 10), 3, "one client's messages are not another's");
        clock.advance(Duration::from_secs(1));
        assert_eq!(sent(ann, 10), 2);
        let mut api = message(ann, "news");
        api.source = Source::Api;
        assert!(passes(&rate, api));
    }

    #[test]
    fn a_namespace_counts_its_own_messages_only() {
        let clock = FakeRelativeClock::default();
        let rate = ClientRate::by(Some("chat"), Rate { per_second: 1, burst: 0 }, clock).unwrap();
        let ann = ClientId::generate();
        assert!(passes(&rate, message(ann, "chat:1")));
        assert!(!passes(&rate, message(ann, "chat:2")));
        assert!(passes(&rate, message(ann, "news:1")));
        assert!(passes(&rate, message(ann, "chat")), "that is a channel without a namespace");
    }

    #[test]
    fn silent_clients_are_forgotten() {
        let clock = FakeRelativeClock::default();
        let rate = ClientRate::by(None, Rate { per_second: 1, burst: 1 }, clock.clone()).unwrap();
        for _ in 0..FORGET_EVERY - 1 {
            assert!(passes(&rate, message(ClientId::generate(), "news")));
        }
        clock.advance(Duration::from_secs(2));
        assert!(passes(&rate, message(ClientId::generate(), "news")));
        assert_eq!(rate.limiter.len(), 1);
        assert!(ClientRate::new(None, Rate::default()).is_none(), "no limit by default");
    }
}
