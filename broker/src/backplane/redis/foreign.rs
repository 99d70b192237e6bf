//! What other programs publish on the same Redis, for those who asked to hear it.
//!
//! Names that begin with something are one pattern. Redis compares each PUBLISH, also those of the brokers, with every
//! pattern that anybody has subscribed to, once for all instances that have the same one.

use super::resp;
use crate::backplane::Hear;

/// Who hears what.
#[derive(Default)]
pub(super) struct Foreign(Vec<(Vec<u8>, Hear)>);

impl Foreign {
    /// Has one more hear what is published under names that begin so.
    pub(super) fn add(&mut self, prefix: &str, hear: Hear) {
        self.0.push((pattern(prefix), hear));
    }

    /// The patterns to listen to.
    pub(super) fn patterns(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|(pattern, _)| &**pattern)
    }

    /// Appends the command that begins it; whether there is anything to hear.
    pub(super) fn write(&self, out: &mut Vec<u8>) -> bool {
        if self.0.is_empty() {
            return false;
        }
        resp::write_head(self.0.len() + 1, out);
        resp::write_bulk(b"PSUBSCRIBE", out);
        self.patterns().for_each(|pattern| resp::write_bulk(pattern, out));
        true
    }

    /// Hands over a message that came by this pattern.
    pub(super) fn receive(&self, pattern: &[u8], payload: &[u8]) {
        self.0.iter().filter(|(own, _)| own == pattern).for_each(|(_, hear)| hear(payload));
    }
}

/// The glob pattern of names that begin so.
fn pattern(prefix: &str) -> Vec<u8> {
    let mut pattern = Vec::with_capacity(prefix.len() + 1);
    for byte in prefix.bytes() {
        if matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\') {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
    pattern.push(b'*');
    pattern
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    #[test]
    fn a_prefix_is_a_pattern_that_means_nothing_else() {
        assert_eq!(pattern("socket.io#/#"), b"socket.io#/#*");
        assert_eq!(pattern(r"a*[b]?\c"), br"a\*\[b\]\?\\c*");
    }

    #[test]
    fn a_message_is_heard_by_those_of_its_pattern_only() {
        let heard: [Arc<AtomicUsize>; 2] = Default::default();
        let mut foreign = Foreign::default();
        for (heard, prefix) in heard.iter().zip(["a", "ab"]) {
            let heard = heard.clone();
            let hear = move |payload: &[u8]| {
                heard.fetch_add(payload.len(), Ordering::Relaxed);
            };
            foreign.add(prefix, Box::new(hear));
        }
        foreign.receive(b"ab*", b"123");
        foreign.receive(b"c*", b"12");
        assert_eq!(heard.map(|heard| heard.load(Ordering::Relaxed)), [0, 3]);
        let mut out = Vec::new();
        assert!(foreign.write(&mut out));
        assert_eq!(out, b"*3\r\n$10\r\nPSUBSCRIBE\r\n$2\r\na*\r\n$3\r\nab*\r\n");
    }
}
