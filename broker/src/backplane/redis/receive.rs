//! What arrives from other instances: envelopes of channels go to the hub, the rest is questions and answers
//! between instances.

use std::sync::Arc;

use super::{bus::Bus, keys::Keys, probe::Probe, survey::Survey};
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
    pub(super) survey: Arc<Survey>,
}

impl Receiver {
    /// Takes one pub/sub message.
    pub(super) fn receive(&self, name: &[u8], payload: &[u8]) {
        if name == self.probe.name() {
            return self.probe.returned(payload);
        }
        let packet = match Packet::read(payload) {
            Ok(packet) => packet,
            Err(error) => return self.drop_one(error),
        };
        if packet.is_from(&self.hub.address) {
            return self.hub.metrics.envelopes_dropped.add(EnvelopeDrop::Own, packet.count() as u64);
        }
        let channel = self.keys.read_channel(name);
        let mut received = 0;
        for envelope in packet {
            match (envelope, channel) {
                (Err(error), _) => {
                    self.drop_one(error);
                    continue;
                }
                (Ok(Envelope::AskChannels(number, pattern)), None) => {
                    self.survey.asked(&self.hub, &self.bus, packet.sender(), number, pattern);
                }
                (Ok(Envelope::Channels(number, answer)), None) => {
                    self.survey.answered(&packet.sender(), number, answer);
                }
                (Ok(envelope), Some(channel)) => {
                    self.hub.deliver(channel, &envelope, Origin::Remote);
                }
                (Ok(_), None) => {
                    self.hub.metrics.envelopes_dropped.inc(EnvelopeDrop::NoTarget);
                    continue;
                }
            }
            received += 1;
        }
        self.hub.metrics.envelopes.add(Direction::Received, received);
    }

    fn drop_one(&self, error: PacketError) {
        let reason = match error {
            PacketError::Version(_) => EnvelopeDrop::Version,
            _ => EnvelopeDrop::Malformed,
        };
        self.hub.metrics.envelopes_dropped.inc(reason);
    }
}
