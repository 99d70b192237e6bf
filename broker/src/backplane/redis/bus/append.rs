//! Packets for the streams of channels with history: each is one run of a script.

use tokio::time::Instant;

use super::{
    super::{
        resp,
        streams::{APPEND, appended},
    },
    batch::{KeptPacket, count_dropped},
};
use crate::{
    backplane::{Ack, Keep, Position, StreamEpoch, Unavailable},
    metrics::Metrics,
};

/// A packet for a stream that is being sent.
pub(super) struct Append {
    pub(super) kept: Box<KeptPacket>,
    /// The channel's pub/sub name.
    pub(super) name: Vec<u8>,
    pub(super) body: Vec<u8>,
}

/// A packet for a stream that the server had no script for, and those who wait for it.
pub(super) struct Again {
    pub(super) append: Box<Append>,
    pub(super) acks: Vec<Ack>,
    pub(super) envelopes: u64,
    /// When its batch's first envelope came.
    pub(super) since: Instant,
}

/// Gives the server the script.
pub(super) fn write_script(out: &mut Vec<u8>) {
    resp::write_command(&[b"SCRIPT", b"LOAD", APPEND.text.as_bytes()], out);
}

impl Append {
    /// Appends the command.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let KeptPacket { keep, position, stream, ends } = &*self.kept;
        let envelopes = ends.windows(2).map(|pair| &self.body[pair[0]..pair[1]]);
        resp::write_head(11 + envelopes.len(), out);
        for argument in [b"EVALSHA", APPEND.sha.as_bytes(), b"3", position, stream, &self.name] {
            resp::write_bulk(argument, out);
        }
        let numbers = [u128::from(keep.size()), keep.ttl().as_millis(), Keep::POSITION.as_millis()];
        for number in numbers {
            resp::write_bulk(number.to_string().as_bytes(), out);
        }
        resp::write_bulk(StreamEpoch::generate().as_str().as_bytes(), out);
        resp::write_bulk(&self.body[..ends[0]], out);
        envelopes.for_each(|envelope| resp::write_bulk(envelope, out));
    }

    /// Tells those who wait where in the stream their messages are.
    pub(super) fn tell(&self, reply: &[u8], acks: impl Iterator<Item = Ack>) {
        let first = resp::text(reply).and_then(appended);
        for (ack, place) in acks.zip(0..) {
            ack.told(match first {
                Some(Position { offset, epoch }) => Ok(Some(Position { offset: offset + place, epoch })),
                // It was carried out, whatever the answer means.
                None => Err(Unavailable::Uncertain),
            });
        }
    }
}

impl Again {
    pub(super) fn fail(self, why: Unavailable, metrics: &Metrics) {
        count_dropped(metrics, why, self.envelopes);
        self.acks.into_iter().for_each(|ack| ack.done(Err(why)));
    }
}
