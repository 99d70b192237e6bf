//! `spec.endpoints.tcp`.

use super::{ping_interval, pong_timeout};
use crate::crd::rules::{duration, endpoints as rules};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// The TCP endpoint.
#[derive(KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::pong_before_ping())]
pub struct TcpEndpoint {
    /// Whether it is offered.
    #[serde(default)]
    pub enabled: bool,

    /// Its port, on the pods and on the Service. UDP may have the same.
    #[serde(default = "port")]
    #[schemars(range(min = 1024, max = 65_535))]
    #[x_kube(validation = rules::tcp_port())]
    pub port: u16,

    /// How often the broker pings each client, in whole seconds. `0s`: never, for clients that cannot answer.
    #[serde(default = "ping_interval")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = rules::ping_interval_or_never())]
    pub ping_interval: String,

    /// How long a client may take to answer a ping before it is disconnected.
    #[serde(default = "pong_timeout")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = duration())]
    pub pong_timeout: String,
}

impl Default for TcpEndpoint {
    fn default() -> Self {
        Self { enabled: false, port: port(), ping_interval: ping_interval(), pong_timeout: pong_timeout() }
    }
}

fn port() -> u16 {
    8100
}
