//! `endpoints.tcp`: clients over TCP.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{check_pings, check_port};
use crate::config::{Admin, Client, listen, place::Problem, units::Period};

/// The TCP endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tcp {
    /// Whether it is there at all.
    pub enabled: bool,
    /// Its address, which it shares with no other endpoint.
    #[serde(deserialize_with = "listen::address")]
    pub address: SocketAddr,
    /// How often the broker pings a client; zero: never.
    pub ping_interval: Period,
    /// How long a client may take to answer a ping.
    pub pong_timeout: Period,
}

impl Default for Tcp {
    fn default() -> Self {
        Self {
            enabled: false,
            address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8100)),
            ping_interval: Period::from_secs(25),
            pong_timeout: Period::from_secs(8),
        }
    }
}

impl Tcp {
    pub(super) fn check(&self, client: &Client, admin: &Admin, problems: &mut Vec<Problem>) {
        if !self.ping_interval.get().is_zero() {
            check_pings("endpoints.tcp", self.ping_interval, self.pong_timeout, problems);
        }
        if self.enabled {
            let others = [("client", client.address), ("admin", admin.address)];
            check_port("endpoints.tcp.address", self.address, others, problems);
        }
    }
}
