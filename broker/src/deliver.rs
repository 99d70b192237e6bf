//! The last step before the writers: an envelope becomes frames in the outboxes of local subscribers.

use std::{cell::RefCell, ops::Range, sync::Arc};

use crate::{
    backplane::Envelope,
    channel::Topic,
    codec::{Encoder, Push},
    endpoint::outbox::Refused,
    hub::Hub,
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
        let Some(topic) = self.channels.get(channel) else { return 0 };
        let push = match *envelope {
            Envelope::Publication(publication) => Push::Publication(&topic.channel, publication),
            Envelope::Join(client, info) => Push::Join(&topic.channel, client, info),
            Envelope::Leave(client, info) => Push::Leave(&topic.channel, client, info),
            Envelope::AskChannels(..) | Envelope::Channels(..) => return 0,
        };
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            let delivered = self.fan_out(&topic, &push, scratch, origin);
            if scratch.capacity() > SCRATCH_KEPT {
                *scratch = Vec::new();
            }
            delivered
        })
    }

    fn fan_out(&self, topic: &Topic, push: &Push<'_>, scratch: &mut Vec<u8>, origin: Origin) -> usize {
        let mut encoded: Option<(*const dyn Encoder, Range<usize>)> = None;
        let (mut delivered, mut too_slow, mut closing) = (0, 0, 0);
        topic.for_each(|client| {
            // Subscribers of one endpoint share an encoder, so that nearly always one encoding serves all.
            let encoder = Arc::as_ptr(&client.encoder);
            let frame = match &encoded {
                Some((same, frame)) if std::ptr::addr_eq(*same, encoder) => frame.clone(),
                _ => {
                    let start = scratch.len();
                    client.encoder.encode(push, scratch);
                    let frame = start..scratch.len();
                    encoded = Some((encoder, frame.clone()));
                    frame
                }
            };
            match client.outbox.push(&scratch[frame]) {
                Ok(()) => delivered += 1,
                Err(Refused::Full) => too_slow += 1,
                Err(Refused::Closing) => closing += 1,
            }
        });
        self.metrics.deliveries.add(origin, delivered as u64);
        if too_slow > 0 {
            self.metrics.delivery_failures.add(DeliveryFailure::Slow, too_slow);
        }
        if closing > 0 {
            self.metrics.delivery_failures.add(DeliveryFailure::Closed, closing);
        }
        delivered
    }
}
