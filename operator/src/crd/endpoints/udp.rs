//! `spec.endpoints.udp`.

use super::enabled;
use crate::crd::rules::duration;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// The UDP endpoint.
#[derive(KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UdpEndpoint {
    /// Whether it is offered.
    #[serde(default)]
    pub enabled: bool,

    /// Its port, on the pods and on the Service. TCP may have the same.
    #[serde(default = "port")]
    #[schemars(range(min = 1024, max = 65_535))]
    pub port: u16,

    /// How long a client may send nothing before its session ends.
    #[serde(default = "session_timeout")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = duration())]
    pub session_timeout: String,

    /// How many sessions one instance takes. They count as `limits.connections` too.
    #[serde(default = "sessions")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub sessions: u32,

    /// What several lines to a client are joined up to, in bytes. A longer line is a datagram by itself.
    #[serde(default = "datagram_size")]
    #[schemars(range(min = 508, max = 65_507))]
    pub datagram_size: u32,

    /// Whether a client has to prove that it receives where it says it is. Without, forged datagrams can have the broker
    /// send others more than they are themselves: only for networks in which nobody forges.
    #[serde(default = "enabled")]
    pub cookie: bool,
}

impl Default for UdpEndpoint {
    fn default() -> Self {
        Self {
            enabled: false,
            port: port(),
            session_timeout: session_timeout(),
            sessions: sessions(),
            datagram_size: datagram_size(),
            cookie: true,
        }
    }
}

fn port() -> u16 {
    8100
}

fn session_timeout() -> String {
    "1m".into()
}

fn sessions() -> u32 {
    10_000
}

fn datagram_size() -> u32 {
    1200
}
