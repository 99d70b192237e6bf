//! What arrives from other instances, whatever backplane it came through.

use std::sync::{Arc, Weak};

use tokio::sync::Semaphore;

use super::{Asks, Changed, Counts, Order, Question, Subscribing};
use crate::{
    backplane::{Ack, Audience, Backplane, Envelope},
    endpoint::{Disconnect, Gateway},
    hub::Hub,
    logic::Modules,
    message::Address,
    metrics::{EnvelopeDrop, Label, Origin},
};

/// Questions that take a while, such as for lists, and are answered at a time. More are left unanswered, and whoever
/// asks makes do with what others say.
const ANSWERING: usize = 8;

/// An endpoint that answers what the same endpoint of other instances asks.
pub trait Answerer: Send + Sync {
    /// Another instance asks this; `answer` is to be called with what it is told. Whether the question could be read.
    /// It must not block.
    fn asked(self: Arc<Self>, question: &[u8], answer: Answering) -> bool;
}

/// Takes the answer to a question of another instance.
pub type Answering = Box<dyn FnOnce(&[u8]) + Send>;

/// Where a backplane hands over what arrives from other instances. Nothing of it is routed again: a message that was
/// sent elsewhere has passed the middleware there.
pub struct Inbound {
    /// Where envelopes of channels are delivered.
    pub hub: Arc<Hub>,
    asks: Arc<Asks>,
    logic: Arc<Modules>,
    /// The way that answers take. The backplane owns this value, not the other way round.
    backplane: Weak<dyn Backplane>,
    gateway: Subscribing,
    answering: Arc<Semaphore>,
}

impl Inbound {
    pub(super) fn new(
        hub: Arc<Hub>,
        asks: Arc<Asks>,
        logic: Arc<Modules>,
        backplane: Weak<dyn Backplane>,
        gateway: Subscribing,
    ) -> Self {
        let answering = Arc::new(Semaphore::new(ANSWERING));
        Self { hub, asks, logic, backplane, gateway, answering }
    }

    /// From now on orders about subscriptions are carried out by this gateway, for others and for logic.
    pub fn serve(&self, gateway: &Arc<Gateway>) {
        let _ = self.gateway.set(Arc::downgrade(gateway));
    }

    /// Takes an envelope that belongs to no channel; whether it was meant for this instance and could be read.
    pub fn told(self: &Arc<Self>, from: &Address, envelope: &Envelope<'_>) -> bool {
        let known = match envelope {
            Envelope::Everyone(publication) => {
                self.hub.deliver_to_everyone(None, publication, Origin::Remote);
                true
            }
            Envelope::EveryoneBut(excluded, publication) => {
                self.hub.deliver_to_everyone(Some(*excluded), publication, Origin::Remote);
                true
            }
            Envelope::Ask(number, question) => self.asked(from, *number, question),
            Envelope::Answer(number, answer) => self.asks.answered(from, *number, answer),
            Envelope::Publication(_)
            | Envelope::PublicationBut(..)
            | Envelope::Join(..)
            | Envelope::Leave(..)
            | Envelope::Board(_)
            | Envelope::Stream(_) => false,
        };
        if !known {
            self.hub.metrics.envelopes_dropped.inc(EnvelopeDrop::NoTarget);
        }
        known
    }

    fn asked(self: &Arc<Self>, from: &Address, number: u64, question: &[u8]) -> bool {
        let question = match Question::read(question) {
            Ok(question) => question,
            Err(error) => {
                tracing::warn!(%from, %error, "another instance asks what this one does not understand");
                return false;
            }
        };
        let (inbound, from) = (self.clone(), from.clone());
        match question {
            // In its order: no task of its own.
            Question::Deliver(recipients, publication) => {
                let gone = self.hub.deliver_to(recipients.iter(), &publication, Origin::Remote);
                let gone: Vec<[u8; 16]> = gone.iter().map(|client| *client.as_bytes()).collect();
                self.answer(from, number, gone.as_flattened());
            }
            Question::Call(call, payload) => {
                let answered = move |outcome: crate::logic::Outcome| {
                    let mut bytes = Vec::new();
                    crate::logic::write_outcome(&outcome, &mut bytes);
                    inbound.answer(from, number, &bytes);
                };
                self.logic.called(call, payload, answered);
            }
            Question::Endpoint(question) => {
                let gateway = self.gateway.get().and_then(Weak::upgrade);
                let answerer = gateway.and_then(|gateway| gateway.answerer.get()?.upgrade());
                let answer = Box::new(move |bytes: &[u8]| inbound.answer(from, number, bytes));
                return answerer.is_some_and(|answerer| answerer.asked(question, answer));
            }
            Question::Order(order) => {
                let Ok(turn) = self.answering.clone().try_acquire_owned() else { return true };
                tokio::spawn(async move {
                    let answer = inbound.obey(order).await;
                    let bytes = serde_json::to_vec(&answer).unwrap_or_default();
                    inbound.answer(from, number, &bytes);
                    drop(turn);
                });
            }
        }
        true
    }

    async fn obey(&self, order: Order) -> serde_json::Value {
        use serde_json::json;
        match order {
            Order::Channels(pattern) => {
                json!(self.hub.matching_channels(&pattern).into_iter().collect::<Counts>())
            }
            Order::Clients(query) => json!(self.hub.list(&query)),
            Order::Disconnect { who, reason, extent } => {
                let reason = Disconnect::ALL.iter().find(|known| known.as_str() == reason);
                json!(self.hub.disconnect(&who, reason.copied().unwrap_or(Disconnect::Forced), extent))
            }
            Order::Change { who, channel, change } => match self.gateway.get().and_then(Weak::upgrade) {
                Some(gateway) => json!(gateway.change_here(&who, &channel, change).await),
                None => json!(Changed { failed: self.hub.clients(&who).len(), ..Changed::default() }),
            },
            Order::Note(client, metadata) => json!(self.hub.note(client, &metadata)),
        }
    }

    fn answer(&self, from: Address, number: u64, bytes: &[u8]) {
        let Some(backplane) = self.backplane.upgrade() else { return };
        backplane.tell(&Audience::Instance(from), &Envelope::Answer(number, bytes), Ack::ignore());
    }
}
