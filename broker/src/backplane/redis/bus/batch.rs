//! What waits to be sent: a packet for each channel, in the order in which the channels were first spoken to.

use tokio::time::Instant;

use crate::{
    backplane::{Ack, Envelope, Keep, Unavailable},
    metrics::{EnvelopeDrop, Metrics},
};

/// A packet that has grown past this is followed by another one.
const PACKET_LIMIT: usize = 512 * 1024;

/// A packet for a stream that has so many envelopes is followed by another one.
const SCRIPT_LIMIT: u64 = 500;

/// Buffers larger than this are not kept for the next batch, nor are more of them than this.
const KEPT_BUFFER: usize = 64 * 1024;
pub(super) const KEPT_PACKETS: usize = 256;

/// Packets to send. The slots past `used` are empty and keep their buffers.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) packets: Vec<Packet>,
    pub(super) used: usize,
    /// When its first envelope came.
    pub(super) since: Option<Instant>,
}

#[derive(Default)]
pub(super) struct Packet {
    /// The pub/sub name.
    pub(super) name: Vec<u8>,
    pub(super) body: Vec<u8>,
    pub(super) acks: Vec<Ack>,
    pub(super) envelopes: u64,
    /// For what goes into the channel's stream.
    pub(super) kept: Option<Box<KeptPacket>>,
}

/// What a packet for a channel's stream has beside others. Its name and its header are those of any; the script that
/// appends its envelopes to the stream is given each of them.
pub(super) struct KeptPacket {
    pub(super) keep: Keep,
    /// The key of the stream's end.
    pub(super) position: Vec<u8>,
    /// The key of the stream.
    pub(super) stream: Vec<u8>,
    /// Where the header ends in the body, and then each envelope.
    pub(super) ends: Vec<usize>,
}

impl Batch {
    /// Begins a packet and says where it is.
    pub(super) fn start(
        &mut self,
        head: &[u8],
        queued: &mut usize,
        name: impl FnOnce(&mut Vec<u8>),
    ) -> usize {
        if self.used == 0 {
            self.since = Some(Instant::now());
        }
        if self.used == self.packets.len() {
            self.packets.push(Packet::default());
        }
        let packet = &mut self.packets[self.used];
        name(&mut packet.name);
        packet.body.extend_from_slice(head);
        *queued += packet.name.len() + packet.body.len();
        self.used += 1;
        self.used - 1
    }

    /// Tells those who wait that it failed.
    pub(super) fn fail(&mut self, why: Unavailable, metrics: &Metrics) {
        for packet in &mut self.packets[..self.used] {
            count_dropped(metrics, why, packet.envelopes);
            packet.acks.drain(..).for_each(|ack| ack.done(Err(why)));
        }
        self.recycle();
    }

    pub(super) fn bytes(&self) -> usize {
        self.packets[..self.used].iter().map(|packet| packet.name.len() + packet.body.len()).sum()
    }

    /// Makes it empty, with its buffers ready to be used again.
    pub(super) fn recycle(&mut self) {
        self.packets.truncate(KEPT_PACKETS);
        for packet in self.packets.iter_mut().take(self.used) {
            packet.name.clear();
            packet.body.clear();
            packet.acks.clear();
            packet.envelopes = 0;
            packet.kept = None;
            if packet.body.capacity() > KEPT_BUFFER {
                packet.body = Vec::new();
            }
            if packet.acks.capacity() > KEPT_PACKETS {
                packet.acks = Vec::new();
            }
        }
        self.used = 0;
        self.since = None;
    }
}

impl Packet {
    /// What is to be kept of it; `None` for a packet of the other kind.
    pub(super) fn keep(&self) -> Option<Keep> {
        self.kept.as_ref().map(|kept| kept.keep)
    }

    /// Whether another one is to follow it.
    pub(super) fn is_full(&self) -> bool {
        // Redis does nothing else while it runs a script.
        self.body.len() >= PACKET_LIMIT || self.kept.is_some() && self.envelopes >= SCRIPT_LIMIT
    }

    pub(super) fn push(&mut self, envelope: &Envelope<'_>, ack: Ack, queued: &mut usize) {
        let before = self.body.len();
        envelope.write(&mut self.body);
        *queued += self.body.len() - before;
        self.acks.push(ack);
        self.envelopes += 1;
        if let Some(kept) = &mut self.kept {
            kept.ends.push(self.body.len());
        }
    }
}

/// Counts envelopes that were not sent.
pub(super) fn count_dropped(metrics: &Metrics, why: Unavailable, envelopes: u64) {
    let reason = match why {
        Unavailable::QueueFull => EnvelopeDrop::QueueFull,
        _ => EnvelopeDrop::Unavailable,
    };
    metrics.envelopes_dropped.add(reason, envelopes);
}
