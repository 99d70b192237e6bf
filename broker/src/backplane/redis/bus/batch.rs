//! What waits to be sent: a packet for each channel, in the order in which the channels were first spoken to.

use tokio::time::Instant;

use crate::{
    backplane::{Ack, Envelope, Unavailable},
    metrics::{EnvelopeDrop, Metrics},
};

/// A packet that has grown past this is followed by another one.
pub(super) const PACKET_LIMIT: usize = 512 * 1024;

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
    pub(super) fn push(&mut self, envelope: &Envelope<'_>, ack: Ack, queued: &mut usize) {
        let before = self.body.len();
        envelope.write(&mut self.body);
        *queued += self.body.len() - before;
        self.acks.push(ack);
        self.envelopes += 1;
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
