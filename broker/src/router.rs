//! Where a message goes: a pure function of the message.

use crate::message::{Channel, Message, Target};

/// The steps a message takes after routing.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan<'a> {
    /// The channel whose subscribers get it, here and elsewhere.
    pub channel: &'a Channel,
}

/// Makes the plan for a message.
pub fn route(message: &Message) -> Plan<'_> {
    match &message.target {
        Target::Channel(channel) => Plan { channel },
    }
}
