//! What arrives from other instances: envelopes of channels go to the hub, the rest is questions and answers
//! between instances.

use std::sync::Arc;

use super::{bus::Bus, keys::Keys, peers::Peers, probe::Probe, survey::Survey};
use crate::{
    backplane::{
        Envelope,
        envelope::{Packet, PacketError},
    },
    hub::Hub,
    metrics::{Direction, EnvelopeDrop, Origin},
};

/// Where the connection hands messages over.
pub(super) struct Receiver {
    pub(super) hub: Arc<Hub>,
    pub(super) keys: Keys,
    pub(super) bus: Arc<Bus>,
    pub(super) probe: Arc<Probe>,
    pub(super) peers: Arc<Peers>,
    pub(super) survey: Arc<Survey>,
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
        if packet.is_from(&self.hub.address) {
            return self.hub.metrics.envelopes_dropped.add(EnvelopeDrop::Own, packet.count() as u64);
        }
        let received = match channel {
            Some(channel) => {
                self.hub.deliver_all(channel, packet.filter_map(Result::ok), Origin::Remote);
                packet
                    .map(|envelope| envelope.map_err(|error| self.drop_one(error)))
                    .filter(Result::is_ok)
                    .count()
            }
            None => packet.filter(|envelope| self.answer(&packet, envelope)).count(),
        };
        self.hub.metrics.envelopes.add(Direction::Received, received as u64);
    }

    /// What another instance asked or answered; whether it was that.
    fn answer(&self, packet: &Packet<'_>, envelope: &Result<Envelope<'_>, PacketError>) -> bool {
        match *envelope {
            Ok(Envelope::AskChannels(number, pattern)) => {
                self.survey.asked(&self.hub, &self.bus, packet.sender(), number, pattern);
                return true;
            }
            Ok(Envelope::Channels(number, answer)) => {
                self.survey.answered(&packet.sender(), number, answer);
                return true;
            }
            Ok(_) => self.hub.metrics.envelopes_dropped.inc(EnvelopeDrop::NoTarget),
            Err(error) => self.drop_one(error),
        }
        false
    }

    fn drop_one(&self, error: PacketError) {
        let reason = match error {
            PacketError::Version(_) => EnvelopeDrop::Version,
            _ => EnvelopeDrop::Malformed,
        };
        self.hub.metrics.envelopes_dropped.inc(reason);
    }
}
