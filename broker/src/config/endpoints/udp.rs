//! `endpoints.udp`: clients over UDP.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::config::{
    listen,
    place::Problem,
    units::{Period, Size},
};

/// The largest datagram that can be sent.
const LARGEST: Size = Size::from_bytes(65_507);
/// What every host takes (RFC 791: 576 bytes, with the largest headers); less would only cost.
const SMALLEST: Size = Size::from_bytes(508);

/// The UDP endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Udp {
    /// Whether it is there at all.
    pub enabled: bool,
    /// Its address.
    #[serde(deserialize_with = "listen::address")]
    pub address: SocketAddr,
    /// How long a session lasts that nothing comes from.
    pub session_timeout: Period,
    /// Sessions at a time.
    pub sessions: usize,
    /// What several lines to one client are joined up to.
    pub datagram_size: Size,
    /// Whether a client has to prove that it receives at its address before it is sent anything large.
    pub cookie: bool,
}

impl Default for Udp {
    fn default() -> Self {
        Self {
            enabled: false,
            address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8100)),
            session_timeout: Period::from_secs(60),
            sessions: 10_000,
            datagram_size: Size::from_bytes(1200),
            cookie: true,
        }
    }
}

impl Udp {
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        if self.session_timeout.get().is_zero() {
            problems.push(Problem::of(
                "endpoints.udp.session_timeout",
                "is 0s, so that every session would end at once; write 60s or so",
            ));
        }
        if self.sessions == 0 {
            problems.push(Problem::of(
                "endpoints.udp.sessions",
                "is 0, so that nobody can connect; write 1 or more",
            ));
        }
        if !(SMALLEST..=LARGEST).contains(&self.datagram_size) {
            problems.push(Problem::of(
                "endpoints.udp.datagram_size",
                format!("{} is not from {SMALLEST} to {LARGEST}; write 1200", self.datagram_size),
            ));
        }
    }
}
