//! Members are told when their instance is cut off from the others, and when it is with them again.

use super::{Boards, Claim};
use crate::{
    backplane::Envelope,
    codec::presence::ToClient,
    endpoint::{Outbox, presence::encoder},
    metrics,
};

impl Boards {
    /// Tells the members of this instance, on all boards.
    pub(super) fn tell_all_whether_alone(&self, is_alone: bool) {
        let mut message = Vec::new();
        ToClient::Alone(is_alone).write(&mut message);
        for open in self.all() {
            self.hub.deliver(open.channel.as_str(), &Envelope::Board(&message), metrics::Origin::Local);
        }
    }
}

impl Claim {
    /// Tells a client that was just welcomed. It hears what all are told by now, so that what changes meanwhile reaches it
    /// one way or the other, and what it is told last is so.
    pub(in crate::endpoint::presence) fn tell_whether_alone(&self, outbox: &Outbox) {
        let alone = self.boards.hub.alone();
        let mut was_told = false;
        while *alone.borrow() != was_told {
            was_told = !was_told;
            let mut frame = Vec::new();
            encoder::write(&ToClient::Alone(was_told), &mut frame);
            // A full outbox closes itself.
            let _ = outbox.push(&frame);
        }
    }
}
