//! `limits`: what one client, and all of them together, may use.

use serde::{Deserialize, Serialize};

use super::place::Problem;
use super::units::{Period, Size};

/// Bounds on clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// One frame from a client.
    pub message_size: Size,
    /// Unsent bytes of one client; a client with more is disconnected as too slow.
    pub outbox_size: Size,
    /// Clients of this instance at a time, over all endpoints; 0: no limit.
    pub connections: usize,
    /// Clients from one address at a time, and connections from it that are not that far; 0: no limit.
    pub connections_per_address: usize,
    /// Connections that have not sent the head of a request yet; 0: no limit.
    pub handshakes: usize,
    /// Channels that one client may be subscribed to.
    pub channels_per_client: usize,
    /// Bytes of a channel's name.
    pub channel_length: usize,
    /// Messages of one client.
    pub rate: Rate,
    /// How long after the end of its token a client may bring a new one.
    pub token_grace: Period,
}

/// How many messages a client may send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rate {
    /// Messages a second, on the average; 0: no limit.
    pub per_second: u32,
    /// Messages at once; 0: as many as in a second.
    pub burst: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_size: Size::from_bytes(64 * 1024),
            outbox_size: Size::from_bytes(1024 * 1024),
            connections: 0,
            connections_per_address: 0,
            handshakes: 1024,
            channels_per_client: 128,
            channel_length: 255,
            rate: Rate::default(),
            token_grace: Period::from_secs(25),
        }
    }
}

impl Limits {
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        self.rate.check("limits.rate", problems);
        if self.message_size.bytes() == 0 {
            problems
                .push(Problem::of("limits.message_size", "is 0, so that no message fits; write 64KiB or so"));
        }
        if self.outbox_size < self.message_size {
            problems.push(Problem::of(
                "limits.outbox_size",
                format!(
                    "{} is less than message_size ({}), so that a message may never be delivered; make it larger",
                    self.outbox_size, self.message_size
                ),
            ));
        }
        for (key, value) in
            [("channels_per_client", self.channels_per_client), ("channel_length", self.channel_length)]
        {
            if value == 0 {
                problems.push(Problem::of(
                    format!("limits.{key}"),
                    "is 0, so that nobody can subscribe; write 1 or more",
                ));
            }
        }
    }
}

impl Rate {
    /// A burst without a rate would look like a limit and be none.
    pub(super) fn check(self, key: &str, problems: &mut Vec<Problem>) {
        if self.burst > 0 && self.per_second == 0 {
            problems.push(Problem::of(
                format!("{key}.burst"),
                "means nothing without per_second; write per_second too, or leave the key out",
            ));
        }
    }
}
