//! Which instance runs a module that runs on one of them.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::message::Address;

/// How long a lease of a role holds, unless it is renewed.
pub(crate) const ROLE_LEASE: Duration = Duration::from_secs(10);

/// How often it is renewed, or asked for.
pub(super) const ROLE_RENEW: Duration = Duration::from_secs(3);

/// So long before the lease's end the holder takes it for lost: clocks run differently, and answers take a while.
const MARGIN: Duration = Duration::from_secs(2);

/// Where a module runs, seen from this instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Here.
    Here,
    /// On this other instance.
    Elsewhere(Address),
    /// Not known at present.
    Unknown,
}

/// What was heard last of the lease.
#[derive(Default)]
pub(super) struct Holder(Mutex<Option<(Address, Instant)>>);

impl Holder {
    /// The lease was this instance's, or another's, when it was asked for at `asked`.
    pub(super) fn heard(&self, holder: Address, asked: Instant) {
        *self.0.lock() = Some((holder, asked));
    }

    /// Who holds the lease now.
    pub(super) fn place(&self, own: &Address) -> Place {
        match &*self.0.lock() {
            Some((holder, asked)) if asked.elapsed() < ROLE_LEASE - MARGIN => match holder == own {
                true => Place::Here,
                false => Place::Elsewhere(holder.clone()),
            },
            _ => Place::Unknown,
        }
    }
}
