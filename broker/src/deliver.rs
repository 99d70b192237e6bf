//! The last step before the writers: an envelope becomes frames in the outboxes of local subscribers.

use std::{cell::RefCell, ops::Range, sync::Arc};

use smallvec::SmallVec;

use crate::{
    backplane::{Envelope, Excluded, Position, Publication},
    channel::Topic,
    codec::{Encoder, Push},
    endpoint::outbox::Refused,
    hub::Hub,
    message::{Channel, ClientId},
    metrics::{DeliveryFailure, Origin},
    registry::Client,
};

thread_local! {
    /// Where frames are encoded before they are copied to the outboxes: kept between messages, so that a
    /// delivery allocates nothing.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A scratch buffer that has grown past this is given back.
const SCRATCH_KEPT: usize = 256 * 1024;

impl Hub {
    /// Delivers an envelope of a channel to the channel's local subscribers, and says how many there were.
    /// Both a local message and one from another instance end here, each exactly once.
    pub fn deliver(&self, channel: &str, envelope: &Envelope<'_>, origin: Origin) -> usize {
        self.deliver_all(channel, std::iter::once(*envelope), origin)
    }

    /// Delivers an envelope of this instance, to all but one client.
    pub fn deliver_but(&self, except: Option<ClientId>, channel: &str, envelope: &Envelope<'_>) {
        let Some(except) = except else {
            self.deliver(channel, envelope, Origin::Local);
            return;
        };
        let Some(topic) = self.channels.get(channel) else { return };
        let mut fan_out = FanOut::new(push(&topic.channel, *envelope).into_iter());
        topic.for_each(|client| {
            if client.id != except {
                let _ = fan_out.push(client);
            }
        });
        fan_out.count(self, Origin::Local);
    }

    /// Delivers a publication that came by no stream to those of the channel's local subscribers that `wants` says.
    pub fn deliver_to_some(
        &self,
        channel: &str,
        publication: &Publication<'_>,
        origin: Origin,
        mut wants: impl FnMut(&Client) -> bool,
    ) {
        let Some(topic) = self.channels.get(channel) else { return };
        let mut fan_out = FanOut::new(push(&topic.channel, Envelope::Publication(*publication)).into_iter());
        topic.for_each(|client| {
            if wants(client) {
                let _ = fan_out.push(client);
            }
        });
        fan_out.count(self, origin);
    }

    /// Delivers envelopes of one channel in their order: what came together is encoded together, and is
    /// appended to each outbox at once.
    pub fn deliver_all<'a>(
        &self,
        channel: &str,
        envelopes: impl Iterator<Item = Envelope<'a>> + Clone,
        origin: Origin,
    ) -> usize {
        self.told(channel, envelopes.clone(), origin);
        let Some(topic) = self.channels.get(channel) else { return 0 };
        let pushes = envelopes.filter_map(|envelope| push(&topic.channel, envelope));
        self.fan_out_but(&topic, pushes, origin)
    }

    /// Delivers publications of a channel with history to the channel's local subscribers, in the stream's order; those
    /// that were delivered are passed over, and those that came too early wait for what lies between. `first` is the
    /// place of the first of them in the stream.
    pub fn deliver_kept<'a>(
        &self,
        channel: &str,
        first: Position,
        publications: impl Iterator<Item = Publication<'a>> + Clone,
        origin: Origin,
    ) {
        if let Some(topic) = self.channels.get(channel) {
            topic.receive(self, first, publications, origin);
        }
    }

    /// Delivers pushes to a topic's subscribers, and says how many that were.
    pub(crate) fn fan_out<'a>(
        &self,
        topic: &Topic,
        pushes: impl Iterator<Item = Push<'a>> + Clone,
        origin: Origin,
    ) -> usize {
        self.fan_out_but(topic, pushes.map(|push| (push, None)), origin)
    }

    /// The same, of which some may not get each.
    fn fan_out_but<'a>(
        &self,
        topic: &Topic,
        pushes: impl Iterator<Item = Addressed<'a>> + Clone,
        origin: Origin,
    ) -> usize {
        let mut fan_out = FanOut::new(pushes);
        topic.for_each(|client| {
            let _ = fan_out.push(client);
        });
        fan_out.count(self, origin)
    }

    /// Delivers a message to these clients and says which of them are not here, or no more.
    pub fn deliver_to(
        &self,
        clients: impl Iterator<Item = ClientId>,
        publication: &Publication<'_>,
        origin: Origin,
    ) -> SmallVec<[ClientId; 1]> {
        let mut fan_out = FanOut::new(std::iter::once((Push::Message(*publication), None)));
        let gone = clients
            .filter(|id| self.registry.get(*id).is_none_or(|client| fan_out.push(&client).is_err()))
            .collect();
        fan_out.count(self, origin);
        gone
    }

    /// Delivers a message to every client of this instance, but for those who are excluded, and says how many there were.
    pub fn deliver_to_everyone(
        &self,
        excluded: Option<Excluded<'_>>,
        publication: &Publication<'_>,
        origin: Origin,
    ) -> usize {
        let mut fan_out = FanOut::new(std::iter::once((Push::Message(*publication), excluded)));
        for client in self.registry.snapshot() {
            let _ = fan_out.push(&client);
        }
        fan_out.count(self, origin)
    }
}

/// What is delivered, and who does not get it of those that it goes to.
type Addressed<'a> = (Push<'a>, Option<Excluded<'a>>);

/// The same pushes for many clients: what came together is encoded together, once for each kind of connection.
struct FanOut<'a, P> {
    pushes: P,
    scratch: Vec<u8>,
    encoded: Option<Encoded<'a>>,
    delivered: u64,
    too_slow: u64,
    closing: u64,
    volatile: u64,
}

impl<'a, P: Iterator<Item = Addressed<'a>> + Clone> FanOut<'a, P> {
    fn new(pushes: P) -> Self {
        // A delivery within a delivery, which nothing does, would only find another buffer.
        let scratch = SCRATCH.take();
        Self { pushes, scratch, encoded: None, delivered: 0, too_slow: 0, closing: 0, volatile: 0 }
    }

    fn push(&mut self, client: &Client) -> Result<(), Refused> {
        // Clients of one endpoint share an encoder, so that nearly always one encoding serves all.
        let encoder = Arc::as_ptr(&client.encoder);
        let frames = match self.encoded.take() {
            Some(frames) if std::ptr::addr_eq(frames.encoder, encoder) => frames,
            _ => {
                let mut encoded = Encoded { encoder, parts: SmallVec::new() };
                let shows_boards = client.encoder.shows_boards();
                let shown = |(push, _): &Addressed<'_>| shows_boards || !matches!(push, Push::Board(_));
                for (push, excluded) in self.pushes.clone().filter(shown) {
                    let start = self.scratch.len();
                    client.encoder.encode(&push, &mut self.scratch);
                    let bytes = start..self.scratch.len();
                    encoded.add(bytes, client.encoder.is_volatile(&push), excluded);
                }
                encoded
            }
        };
        let mut outcome = Ok(());
        // Nothing to write is nothing to wake a writer for.
        for part in frames.parts.iter().filter(|part| !part.bytes.is_empty()) {
            if part.excluded.is_some_and(|excluded| excluded.has(client)) {
                continue;
            }
            let bytes = &self.scratch[part.bytes.clone()];
            if part.is_volatile && !client.outbox.is_empty() {
                self.volatile += part.count;
                continue;
            }
            outcome = client.outbox.push(bytes);
            match outcome {
                Ok(()) => self.delivered += part.count,
                Err(Refused::Full) => self.too_slow += part.count,
                Err(Refused::Closing) => self.closing += part.count,
            }
        }
        self.encoded = Some(frames);
        outcome
    }

    /// Counts what was done, and says how much was delivered.
    fn count(mut self, hub: &Hub, origin: Origin) -> usize {
        hub.metrics.deliveries.add(origin, self.delivered);
        if self.too_slow > 0 {
            hub.metrics.delivery_failures.add(DeliveryFailure::Slow, self.too_slow);
        }
        if self.closing > 0 {
            hub.metrics.delivery_failures.add(DeliveryFailure::Closed, self.closing);
        }
        if self.volatile > 0 {
            hub.metrics.delivery_failures.add(DeliveryFailure::Volatile, self.volatile);
        }
        if self.scratch.capacity() <= SCRATCH_KEPT {
            self.scratch.clear();
            SCRATCH.set(self.scratch);
        }
        self.delivered as usize
    }
}

/// Frames of all pushes as one encoder makes them, in the scratch buffer.
struct Encoded<'a> {
    encoder: *const dyn Encoder,
    parts: SmallVec<[Part<'a>; 1]>,
}

/// Frames that are pushed at once.
struct Part<'a> {
    bytes: Range<usize>,
    count: u64,
    is_volatile: bool,
    /// Who does not get them.
    excluded: Option<Excluded<'a>>,
}

impl<'a> Encoded<'a> {
    /// The frame of one more push.
    fn add(&mut self, bytes: Range<usize>, is_volatile: bool, excluded: Option<Excluded<'a>>) {
        let is_for_all = |last: &&mut Part<'_>| !last.is_volatile && last.excluded.is_none();
        let joins = !is_volatile && excluded.is_none();
        match self.parts.last_mut().filter(is_for_all).filter(|_| joins) {
            Some(last) => {
                last.bytes.end = bytes.end;
                last.count += 1;
            }
            None => self.parts.push(Part { bytes, count: 1, is_volatile, excluded }),
        }
    }
}

/// What subscribers of the channel are sent for an envelope; nothing for what is not theirs.
fn push<'a>(channel: &'a Channel, envelope: Envelope<'a>) -> Option<Addressed<'a>> {
    let push = match envelope {
        Envelope::Publication(publication) => Push::Publication(channel, publication, None),
        Envelope::PublicationBut(excluded, publication) => {
            return Some((Push::Publication(channel, publication, None), Some(excluded)));
        }
        Envelope::Join(client, info) => Push::Join(channel, client, info),
        Envelope::Leave(client, info) => Push::Leave(channel, client, info),
        Envelope::Board(b"") => return None,
        Envelope::Board(message) => Push::Board(message),
        Envelope::Everyone(_)
        | Envelope::EveryoneBut(..)
        | Envelope::Ask(..)
        | Envelope::Answer(..)
        | Envelope::Stream(_) => return None,
    };
    Some((push, None))
}
