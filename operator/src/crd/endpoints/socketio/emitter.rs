//! `spec.endpoints.socketio.emitter`.

use crate::crd::rules::socketio as rules;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Hearing what other programs emit with `@socket.io/redis-emitter`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Emitter {
    /// Whether it is heard at all.
    #[serde(default)]
    pub enabled: bool,

    /// What the names begin with that it publishes under: its option `key`.
    #[serde(default = "key")]
    #[schemars(length(max = 128))]
    #[x_kube(validation = rules::emitter_key())]
    pub key: String,
}

impl Default for Emitter {
    fn default() -> Self {
        Self { enabled: false, key: key() }
    }
}

fn key() -> String {
    "socket.io".into()
}
