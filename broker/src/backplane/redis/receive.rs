//! What arrives from other instances, told apart by its pub/sub name.

use std::sync::Arc;

use super::{bus::Bus, foreign::Foreign, keys::Keys, peers::Peers, probe::Probe};
use crate::{
    backplane::{
        Envelope, Position,
        envelope::{Packet, PacketError},
    },
    cluster::Inbound,
    metrics::{Direction, EnvelopeDrop, Origin},
};

/// Where the connection hands messages over.
pub(super) struct Receiver {
    pub(super) inbound: Arc<Inbound>,
    pub(super) keys: Keys,
    pub(super) bus: Arc<Bus>,
    pub(super) probe: Arc<Probe>,
    pub(super) peers: Arc<Peers>,
    pub(super) foreign: Arc<Foreign>,
}

impl Receiver {
    /// Takes one pub/sub message.
    pub(super) fn receive(&self, name: &[u8], payload: &[u8]) {
        match self.keys.read_channel(name) {
            Some(channel) => self.packet(Some(channel), payload),
            None if name == self.probe.name() => self.probe.returned(payload),
            None if self.peers.receive(&self.bus, name, payload) => {}
            None => self.packet(None, payload),
        }
    }

    /// Takes a packet: of a channel, or for this instance.
    fn packet(&self, channel: Option<&str>, payload: &[u8]) {
        let mut packet = match Packet::read(payload) {
            Ok(packet) => packet,
            Err(error) => return self.drop_one(error),
        };
        let hub = &self.inbound.hub;
        if let Some(channel) = channel
            && let Some(first) = packet.take_stream()
        {
            return self.stream(channel, first, packet);
        }
        if packet.is_from(&hub.address) {
            return hub.metrics.envelopes_dropped.add(EnvelopeDrop::Own, packet.count() as u64);
        }
        let readable = packet.filter_map(|envelope| envelope.map_err(|error| self.drop_one(error)).ok());
        let received = match channel {
            Some(channel) => {
                hub.deliver_all(channel, packet.filter_map(Result::ok), Origin::Remote);
                readable.count()
            }
            None => {
                let sender = packet.sender();
                readable.filter(|envelope| self.inbound.told(&sender, envelope)).count()
            }
        };
        hub.metrics.envelopes.add(Direction::Received, received as u64);
    }

    /// Takes publications of a channel's stream. Those of this instance too: all of them come to it in their order by
    /// this way, and by no other.
    fn stream(&self, channel: &str, first: Position, packet: Packet<'_>) {
        let hub = &self.inbound.hub;
        let readable = |envelope| match envelope {
            Ok(Envelope::Publication(publication)) => Some(publication),
            _ => None,
        };
        let count = packet
            .map(|envelope| envelope.map_err(|error| self.drop_one(error)))
            .filter(Result::is_ok)
            .count();
        let origin = match packet.is_from(&hub.address) {
            true => Origin::Local,
            false => {
                hub.metrics.envelopes.add(Direction::Received, count as u64);
                Origin::Remote
            }
        };
        // Only whole packets have their numbers: of another one the rest is read from the stream.
        if packet.map(readable).all(|publication| publication.is_some()) {
            hub.deliver_kept(channel, first, packet.filter_map(readable), origin);
        }
    }

    fn drop_one(&self, error: PacketError) {
        let reason = match error {
            PacketError::Version(_) => EnvelopeDrop::Version,
            _ => EnvelopeDrop::Malformed,
        };
        self.inbound.hub.metrics.envelopes_dropped.inc(reason);
    }
}
