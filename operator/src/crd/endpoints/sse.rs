//! `spec.endpoints.sse`.

use super::{enabled, ping_interval};
use crate::crd::rules::{duration, endpoints as rules};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// The endpoint of server-sent events.
#[derive(KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SseEndpoint {
    /// Whether it is offered, on port 8000.
    #[serde(default)]
    pub enabled: bool,

    /// Where it is.
    #[serde(default = "path")]
    #[schemars(length(max = 256))]
    #[x_kube(validation = rules::path())]
    pub path: String,

    /// How often a stream says that it is still there, in whole seconds.
    #[serde(default = "ping_interval")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = duration(), validation = rules::ping_interval())]
    pub ping_interval: String,

    /// Whether streams are compressed for clients that understand gzip.
    #[serde(default = "enabled")]
    pub compression: bool,
}

impl Default for SseEndpoint {
    fn default() -> Self {
        Self { enabled: false, path: path(), ping_interval: ping_interval(), compression: true }
    }
}

fn path() -> String {
    "/connection/uni_sse".into()
}
