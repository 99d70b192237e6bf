//! `endpoints.websocket`: clients over WebSocket.

use serde::{Deserialize, Serialize};

use super::{check_path, check_pings};
use crate::config::{place::Problem, units::Period};

/// The WebSocket endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Websocket {
    /// Whether it is there at all.
    pub enabled: bool,
    /// The path that clients open.
    pub path: String,
    /// How often the broker pings a client.
    pub ping_interval: Period,
    /// How long a client may take to answer a ping.
    pub pong_timeout: Period,
}

impl Default for Websocket {
    fn default() -> Self {
        Self {
            enabled: true,
            path: "/connection/websocket".into(),
            ping_interval: Period::from_secs(25),
            pong_timeout: Period::from_secs(8),
        }
    }
}

impl Websocket {
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        check_path("endpoints.websocket.path", &self.path, problems);
        check_pings("endpoints.websocket", self.ping_interval, self.pong_timeout, problems);
    }
}
