//! `endpoints.sse`: clients that only listen, over server-sent events.

use serde::{Deserialize, Serialize};

use super::{check_path, check_ping};
use crate::config::{place::Problem, units::Period};

/// The endpoint of server-sent events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sse {
    /// Whether it is there at all.
    pub enabled: bool,
    /// The path that clients open.
    pub path: String,
    /// How often the broker says that it is still there.
    pub ping_interval: Period,
    /// Whether events are compressed for clients that understand that.
    pub compression: bool,
}

impl Default for Sse {
    fn default() -> Self {
        Self {
            enabled: false,
            path: "/connection/uni_sse".into(),
            ping_interval: Period::from_secs(25),
            compression: true,
        }
    }
}

impl Sse {
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        check_path("endpoints.sse.path", &self.path, problems);
        check_ping("endpoints.sse.ping_interval", self.ping_interval, problems);
    }
}
