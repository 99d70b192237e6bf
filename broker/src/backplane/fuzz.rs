//! What other instances and Redis send.

use super::{
    Envelope,
    envelope::{Packet, write_header},
};
use crate::cluster::Question;

pub(crate) use super::redis::fuzz as resp;

/// Packets, the envelopes in them, and the questions in these.
pub(crate) fn packets(bytes: &[u8]) {
    let Ok(packet) = Packet::read(bytes) else { return };
    let envelopes: Vec<_> = packet.collect();
    // A kind and a length each.
    assert!(envelopes.len() <= bytes.len() / 5 + 1);
    let good: Vec<_> = envelopes.into_iter().filter_map(Result::ok).collect();
    let mut written = Vec::new();
    write_header(&packet.sender(), &mut written);
    let header = written.len();
    good.iter().for_each(|envelope| envelope.write(&mut written));
    assert!(written.len() <= bytes.len(), "nothing is invented");
    let again = Packet::read(&written).expect("what was written is read");
    assert!(again.is_from(&packet.sender()));
    assert_eq!(again.collect::<Result<Vec<_>, _>>().as_deref(), Ok(&good[..]));
    // Cut within the last envelope, all the others are read.
    if let Some((_, others)) = good.split_last() {
        let cut = Packet::read(&written[..written.len() - 1]).expect("the header is whole");
        assert!(written.len() > header);
        assert!(cut.filter_map(Result::ok).eq(others.iter().copied()));
    }
    for envelope in good {
        if let Envelope::Ask(_, body) = envelope {
            question(body);
        }
    }
}

fn question(bytes: &[u8]) {
    let Ok(question) = Question::read(bytes) else { return };
    let mut written = Vec::new();
    question.write(&mut written);
    assert_eq!(Question::read(&written).expect("what was written is read"), question);
}
