//! The last step before the writers: an envelope becomes frames in the outboxes of local subscribers.

use std::{cell::RefCell, ops::Range, sync::Arc};

use crate::{
    backplane::Envelope,
    channel::Topic,
    codec::{Encoder, Push},
    endpoint::outbox::Refused,
    hub::Hub,
    message::Channel,
    metrics::{DeliveryFailure, Origin},
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

    /// Delivers envelopes of one channel in their order: what came together is encoded together, and is
    /// appended to each outbox at once.
    pub fn deliver_all<'a>(
        &self,
        channel: &str,
        envelopes: impl Iterator<Item = Envelope<'a>> + Clone,
        origin: Origin,
    ) -> usize {
        let Some(topic) = self.channels.get(channel) else { return 0 };
        let pushes = envelopes.filter_map(|envelope| push(&topic.channel, envelope));
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            let delivered = self.fan_out(&topic, pushes, scratch, origin);
            if scratch.capacity() > SCRATCH_KEPT {
                *scratch = Vec::new();
            }
            delivered
        })
    }

    fn fan_out<'a>(
        &self,
        topic: &Topic,
        pushes: impl Iterator<Item = Push<'a>> + Clone,
        scratch: &mut Vec<u8>,
        origin: Origin,
    ) -> usize {
        let mut encoded: Option<Encoded> = None;
        let (mut delivered, mut too_slow, mut closing) = (0, 0, 0);
        topic.for_each(|client| {
            // Subscribers of one endpoint share an encoder, so that nearly always one encoding serves all.
            let encoder = Arc::as_ptr(&client.encoder);
            let frames = match encoded.take() {
                Some(frames) if std::ptr::addr_eq(frames.encoder, encoder) => frames,
                _ => {
                    let start = scratch.len();
                    let count = pushes.clone().map(|push| client.encoder.encode(&push, scratch)).count();
                    Encoded { encoder, bytes: start..scratch.len(), count: count as u64 }
                }
            };
            match client.outbox.push(&scratch[frames.bytes.clone()]) {
                Ok(()) => delivered += frames.count,
                Err(Refused::Full) => too_slow += frames.count,
                Err(Refused::Closing) => closing += frames.count,
            }
            encoded = Some(frames);
        });
        self.metrics.deliveries.add(origin, delivered);
        if too_slow > 0 {
            self.metrics.delivery_failures.add(DeliveryFailure::Slow, too_slow);
        }
        if closing > 0 {
            self.metrics.delivery_failures.add(DeliveryFailure::Closed, closing);
        }
        delivered as usize
    }
}

/// Frames of all pushes as one encoder makes them, in the scratch buffer.
struct Encoded {
    encoder: *const dyn Encoder,
    bytes: Range<usize>,
    count: u64,
}

/// What subscribers of the channel are sent for an envelope; nothing for what is not theirs.
fn push<'a>(channel: &'a Channel, envelope: Envelope<'a>) -> Option<Push<'a>> {
    match envelope {
        Envelope::Publication(publication) => Some(Push::Publication(channel, publication)),
        Envelope::Join(client, info) => Some(Push::Join(channel, client, info)),
        Envelope::Leave(client, info) => Some(Push::Leave(channel, client, info)),
        Envelope::AskChannels(..) | Envelope::Channels(..) => None,
    }
}
