//! The channel's side: who is subscribed, and who waits to be.

use std::sync::Arc;

use parking_lot::RwLock;
use slab::Slab;

use super::{Announce, Confirm};
use crate::{backplane::Unavailable, message::Channel, registry::Client};

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

/// A client that waits for the backplane.
pub(super) struct Waiting {
    pub(super) client: Arc<Client>,
    pub(super) attempt: u64,
    pub(super) confirm: Confirm,
}

impl TopicState {
    /// Takes out those who left while they waited. Nobody waits any more when none is left.
    fn take_unwanted(&mut self, channel: &Channel) -> Vec<Waiting> {
        let Phase::Awaited(queue) = &mut self.phase else { return Vec::new() };
        let unwanted = queue.extract_if(.., |waiting| !waiting.is_wanted(channel)).collect();
        if queue.is_empty() {
            self.phase = Phase::Opening;
        }
        unwanted
    }
}

impl Waiting {
    /// After a failure: the client may ask anew.
    fn give_up(self, channel: &Channel, why: Unavailable) {
        {
            let mut subscriptions = self.client.subscriptions.lock();
            if subscriptions.get(channel).is_some_and(|subscription| subscription.is(self.attempt)) {
                subscriptions.remove(channel);
            }
        }
        (self.confirm.tell)(Err(why.into()));
    }

    /// The client has left while it waited: it is told how that ended all the same. Called outside every lock,
    /// for a failure makes whoever is told look at the channel again.
    pub(super) fn turn_away(self) {
        (self.confirm.tell)(Err(Unavailable::Closed.into()));
    }

    /// Whether the client has not left, or asked anew, in the meantime.
    fn is_wanted(&self, channel: &Channel) -> bool {
        let subscriptions = self.client.subscriptions.lock();
        subscriptions.get(channel).is_some_and(|subscription| subscription.is(self.attempt))
    }
}

/// What is left to do for a client that has been told: its join is told to the others.
type Announcing = Option<(u64, Announce)>;

fn announce(announcing: impl IntoIterator<Item = (u64, Announce)>) {
    announcing.into_iter().for_each(|(attempt, announce)| announce(attempt));
}

impl Topic {
    /// A topic that the backplane is being asked for.
    pub(super) fn opening(channel: Channel) -> Self {
        Self { channel, state: RwLock::default() }
    }

    /// Takes a subscriber in, or lets it wait for the backplane; gives it back when the topic is closed.
    pub(super) fn admit(self: &Arc<Self>, waiting: Waiting) -> Result<(), Waiting> {
        let mut state = self.state.write();
        match &mut state.phase {
            Phase::Open => {
                let activated = self.activate(&mut state.subscribers, waiting);
                drop(state);
                match activated {
                    Ok(announcing) => announce(announcing),
                    Err(unwanted) => unwanted.turn_away(),
                }
            }
            Phase::Awaited(queue) => queue.push(waiting),
            Phase::Opening => state.phase = Phase::Awaited(vec![waiting]),
            Phase::Failed(why) => {
                let why = *why;
                drop(state);
                waiting.give_up(&self.channel, why);
            }
            Phase::Closed => return Err(waiting),
        }
        Ok(())
    }

    /// The backplane's answer. Whoever is told of a failure has the topic closed, so that the next asks anew.
    pub(super) fn confirmed(self: &Arc<Self>, outcome: Result<(), Unavailable>) {
        let mut state = self.state.write();
        if matches!(state.phase, Phase::Closed) {
            return;
        }
        let next = outcome.map_or_else(Phase::Failed, |()| Phase::Open);
        let Phase::Awaited(queue) = std::mem::replace(&mut state.phase, next) else { return };
        match outcome {
            Ok(()) => {
                let (mut announcing, mut unwanted) = (Vec::new(), Vec::new());
                for waiting in queue {
                    match self.activate(&mut state.subscribers, waiting) {
                        Ok(one) => announcing.extend(one),
                        Err(waiting) => unwanted.push(waiting),
                    }
                }
                drop(state);
                announce(announcing);
                unwanted.into_iter().for_each(Waiting::turn_away);
            }
            Err(error) => {
                drop(state);
                queue.into_iter().for_each(|waiting| waiting.give_up(&self.channel, error));
            }
        }
    }

    /// Under the topic's lock: the client enters and is told, and no publication can come before that. Gives back
    /// a client that has left, or asked anew.
    fn activate(
        self: &Arc<Self>,
        subscribers: &mut Slab<Arc<Client>>,
        waiting: Waiting,
    ) -> Result<Announcing, Waiting> {
        let client = waiting.client.clone();
        let mut subscriptions = client.subscriptions.lock();
        let subscription = subscriptions.get_mut(&self.channel);
        let Some(subscription) = subscription.filter(|subscription| subscription.is(waiting.attempt)) else {
            return Err(waiting);
        };
        let Confirm { tell, then } = waiting.confirm;
        let entrance = then.unwrap_or_default();
        if let Some(enter) = entrance.enter {
            enter();
        }
        tell(Ok(()));
        subscription.confirm(self.clone(), subscribers.insert(waiting.client));
        Ok(entrance.announce.map(|announce| (waiting.attempt, announce)))
    }

    /// Takes a subscriber out; whether it was the last.
    pub(super) fn remove(&self, slot: usize) -> bool {
        let mut state = self.state.write();
        state.subscribers.remove(slot);
        state.subscribers.is_empty()
    }

    /// Closes when nobody is subscribed or waits; whether it is closed now, and who had left while it waited.
    pub(super) fn close_if_unused(&self) -> (Vec<Waiting>, bool) {
        let mut state = self.state.write();
        let unwanted = state.take_unwanted(&self.channel);
        let unused = state.subscribers.is_empty() && !matches!(state.phase, Phase::Awaited(_));
        if unused {
            state.phase = Phase::Closed;
        }
        (unwanted, unused)
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

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;
    use crate::{
        channel::{SubscribeError, Subscription},
        codec::centrifuge::JsonOverWebSocket,
        endpoint::{EndpointKind, Outbox},
        message::ClientId,
    };

    fn client() -> Arc<Client> {
        let (outbox, encoder) = (Arc::new(Outbox::new(1024)), Arc::new(JsonOverWebSocket));
        let info = bytes::Bytes::from_static(b"{}");
        Arc::new(Client::connecting(ClientId::generate(), "", info, EndpointKind::WebSocket, outbox, encoder))
    }

    #[test]
    fn who_left_before_the_confirmation_is_answered_and_not_subscribed() {
        let topic = Arc::new(Topic::opening(Channel::trusted("room")));
        let (stays, leaves) = (client(), client());
        let told = Arc::new(Mutex::new(Vec::new()));
        for (attempt, client) in [(1, &stays), (2, &leaves)] {
            client.ask_for(&topic.channel, 10, Subscription::asked(attempt, None)).unwrap();
            let (told, of_topic) = (told.clone(), topic.clone());
            let tell = Box::new(move |outcome: Result<(), SubscribeError>| {
                // Whoever is told of a failure looks at the channel again.
                if outcome.is_err() {
                    of_topic.close_if_unused();
                }
                told.lock().push((attempt, outcome));
            });
            let waiting = Waiting { client: client.clone(), attempt, confirm: Confirm { tell, then: None } };
            assert!(topic.admit(waiting).is_ok());
        }
        // The unsubscribe is half done when the confirmation comes.
        leaves.subscriptions.lock().remove(&topic.channel);
        topic.confirmed(Ok(()));
        assert_eq!(*told.lock(), [(1, Ok(())), (2, Err(Unavailable::Closed.into()))]);
        assert_eq!(topic.len(), 1);
    }
}
