//! The channel's side: who is subscribed, and who waits to be.

use std::sync::Arc;

use parking_lot::RwLock;
use slab::Slab;

use super::{
    Announce, Arrival, Confirm, Stream,
    recovery::Instead,
    stream::{Flow, Following},
};
use crate::{backplane::Unavailable, message::Channel, registry::Client};

/// One channel that local clients are subscribed to.
pub struct Topic {
    /// Its name.
    pub channel: Channel,
    state: RwLock<TopicState>,
    /// How its stream is followed, if it has history.
    pub(super) stream: Option<Box<Stream>>,
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
    pub(super) fn give_up(self, channel: &Channel, why: Unavailable) {
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

/// What is left to do for a client, outside every lock.
pub(super) enum Step {
    /// It is in; its join is told to the others.
    In(Option<(u64, Announce)>),
    /// It has left, or asked anew.
    Unwanted(Waiting),
    /// What it has missed is to be read first.
    Reads(Waiting),
    /// It cannot be let in now.
    Refused(Waiting),
}

impl Topic {
    /// A topic that the backplane is being asked for.
    pub(super) fn opening(channel: Channel, stream: Option<Stream>) -> Self {
        Self { channel, state: RwLock::default(), stream: stream.map(Box::new) }
    }

    /// Takes a subscriber in, or lets it wait for the backplane; gives it back when the topic is closed.
    pub(super) fn admit(self: &Arc<Self>, waiting: Waiting) -> Result<(), Waiting> {
        let mut flow = self.stream.as_ref().map(|stream| stream.lock());
        if flow.as_ref().is_some_and(|flow| flow.phase == Following::Broken) {
            return Err(waiting);
        }
        let mut state = self.state.write();
        match &mut state.phase {
            Phase::Open => {
                let step = self.activate(flow.as_deref_mut(), &mut state.subscribers, waiting);
                drop((flow, state));
                self.follow(step);
            }
            Phase::Awaited(queue) => queue.push(waiting),
            Phase::Opening => state.phase = Phase::Awaited(vec![waiting]),
            Phase::Failed(why) => {
                let why = *why;
                drop((flow, state));
                waiting.give_up(&self.channel, why);
            }
            Phase::Closed => return Err(waiting),
        }
        Ok(())
    }

    /// The backplane's answer. Whoever is told of a failure has the topic closed, so that the next asks anew.
    pub(super) fn confirmed(self: &Arc<Self>, outcome: Result<(), Unavailable>) {
        let mut flow = self.stream.as_ref().map(|stream| stream.lock());
        let mut state = self.state.write();
        if matches!(state.phase, Phase::Closed) {
            return;
        }
        let next = outcome.map_or_else(Phase::Failed, |()| Phase::Open);
        let Phase::Awaited(queue) = std::mem::replace(&mut state.phase, next) else { return };
        match outcome {
            Ok(()) => {
                let mut activate =
                    |waiting| self.activate(flow.as_deref_mut(), &mut state.subscribers, waiting);
                let steps: Vec<_> = queue.into_iter().map(&mut activate).collect();
                drop((flow, state));
                steps.into_iter().for_each(|step| self.follow(step));
            }
            Err(error) => {
                drop((flow, state));
                queue.into_iter().for_each(|waiting| waiting.give_up(&self.channel, error));
            }
        }
    }

    /// Does what is left to do. Called outside every lock.
    pub(super) fn follow(self: &Arc<Self>, step: Step) {
        match step {
            Step::In(None) => {}
            Step::In(Some((attempt, announce))) => announce(attempt),
            Step::Unwanted(waiting) => waiting.turn_away(),
            Step::Reads(waiting) => drop(tokio::spawn(self.clone().recover(waiting))),
            Step::Refused(waiting) => waiting.give_up(&self.channel, Unavailable::Disconnected),
        }
    }

    /// Under the topic's lock, and that of its flow: lets the client in, unless the stream is to be read first.
    fn activate(
        self: &Arc<Self>,
        flow: Option<&mut Flow>,
        subscribers: &mut Slab<Arc<Client>>,
        waiting: Waiting,
    ) -> Step {
        let arrival = match (flow, &waiting.confirm.stream) {
            (Some(flow), Some(joining)) => match flow.arrive(joining) {
                Ok(arrival) => Some(Box::new(arrival)),
                Err(Instead::Read) => {
                    flow.readers += 1;
                    return Step::Reads(waiting);
                }
                Err(Instead::Refuse) => return Step::Refused(waiting),
            },
            _ => None,
        };
        self.enter(subscribers, waiting, arrival)
    }

    /// Lets a client in that has read the stream. Called under the lock of the topic's flow.
    pub(super) fn enter_at(self: &Arc<Self>, waiting: Waiting, arrival: Arrival) -> Step {
        self.enter(&mut self.state.write().subscribers, waiting, Some(Box::new(arrival)))
    }

    /// Under the topic's lock: the client enters and is told, and no publication can come before that.
    fn enter(
        self: &Arc<Self>,
        subscribers: &mut Slab<Arc<Client>>,
        waiting: Waiting,
        arrival: Option<Box<Arrival>>,
    ) -> Step {
        let client = waiting.client.clone();
        let mut subscriptions = client.subscriptions.lock();
        let subscription = subscriptions.get_mut(&self.channel);
        let Some(subscription) = subscription.filter(|subscription| subscription.is(waiting.attempt)) else {
            return Step::Unwanted(waiting);
        };
        let Confirm { tell, then, .. } = waiting.confirm;
        let entrance = then.unwrap_or_default();
        if let Some(enter) = entrance.enter {
            enter();
        }
        tell(Ok(arrival));
        subscription.confirm(self.clone(), subscribers.insert(waiting.client));
        Step::In(entrance.announce.map(|announce| (waiting.attempt, announce)))
    }

    /// Takes a subscriber out; whether it was the last.
    pub(super) fn remove(&self, slot: usize) -> bool {
        let mut state = self.state.write();
        state.subscribers.remove(slot);
        state.subscribers.is_empty()
    }

    /// Closes when nobody is subscribed or waits; whether it is closed now, and who had left while it waited.
    pub(super) fn close_if_unused(&self) -> (Vec<Waiting>, bool) {
        let flow = self.stream.as_ref().map(|stream| stream.lock());
        let is_read = flow.as_ref().is_some_and(|flow| flow.readers > 0);
        let mut state = self.state.write();
        let unwanted = state.take_unwanted(&self.channel);
        let unused = !is_read && state.subscribers.is_empty() && !matches!(state.phase, Phase::Awaited(_));
        if unused {
            state.phase = Phase::Closed;
        }
        (unwanted, unused)
    }

    /// Takes nobody in any more; who waits to be.
    pub(super) fn close(&self) -> Vec<Waiting> {
        match std::mem::replace(&mut self.state.write().phase, Phase::Closed) {
            Phase::Awaited(queue) => queue,
            _ => Vec::new(),
        }
    }

    /// Whether it takes nobody in any more.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state.read().phase, Phase::Closed)
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
        channel::{Entered, Subscription},
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
        let topic = Arc::new(Topic::opening(Channel::trusted("room"), None));
        let (stays, leaves) = (client(), client());
        let told = Arc::new(Mutex::new(Vec::new()));
        for (attempt, client) in [(1, &stays), (2, &leaves)] {
            client.ask_for(&topic.channel, 10, Subscription::asked(attempt, None)).unwrap();
            let (told, of_topic) = (told.clone(), topic.clone());
            let tell = Box::new(move |outcome: Entered| {
                // Whoever is told of a failure looks at the channel again.
                if outcome.is_err() {
                    of_topic.close_if_unused();
                }
                told.lock().push((attempt, outcome));
            });
            let waiting = Waiting {
                client: client.clone(),
                attempt,
                confirm: Confirm { tell, then: None, stream: None },
            };
            assert!(topic.admit(waiting).is_ok());
        }
        // The unsubscribe is half done when the confirmation comes.
        leaves.subscriptions.lock().remove(&topic.channel);
        topic.confirmed(Ok(()));
        assert_eq!(*told.lock(), [(1, Ok(None)), (2, Err(Unavailable::Closed.into()))]);
        assert_eq!(topic.len(), 1);
    }
}
