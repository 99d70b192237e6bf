//! What arrives from other instances, told apart by its pub/sub name.

use std::sync::Arc;

use super::{bus::Bus, keys::Keys, peers::Peers, probe::Probe};
use crate::{
    backplane::envelope::{Packet, PacketError},
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
        let packet = match Packet::read(payload) {
            Ok(packet) => packet,
            Err(error) => return self.drop_one(error),
        };
        let hub = &self.inbound.hub;
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

    fn drop_one(&self, error: PacketError) {
        let reason = match error {
            PacketError::Version(_) => EnvelopeDrop::Version,
            _ => EnvelopeDrop::Malformed,
        };
        self.inbound.hub.metrics.envelopes_dropped.inc(reason);
    }
}
