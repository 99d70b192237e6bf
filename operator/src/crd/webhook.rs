//! `webhook` of logic modules and of hooks.

use crate::crd::{
    SecretKeyRef,
    rules::{duration, webhook as rules},
};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A program that is called by POSTs, and that replies what is to be done.
#[derive(KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::batch_wait(), validation = rules::ca())]
pub struct Webhook {
    /// The receiver: a container beside the broker, such as `http://127.0.0.1:7000/messages` (see
    /// `podTemplate.initContainers`), a Service, such as `http://game.default.svc:7000/messages`, or anything else that
    /// is reached by `http://` or `https://`.
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(
        validation = rules::url_scheme(),
        validation = rules::url_without_credentials(),
        validation = rules::url_form()
    )]
    pub url: String,

    /// The secret that requests are signed with: 32 random bytes or more. Absent: they are not signed, and the receiver
    /// cannot tell who calls. A changed Secret rolls the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeyRef>,

    /// Certificates in PEM that the receiver's is verified with, instead of the system's. A changed Secret rolls the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_ref: Option<SecretKeyRef>,

    /// How many messages that wait go together in one request. Of hooks only `disconnect` has more than 1: clients that have
    /// gone.
    #[serde(default = "batch")]
    #[schemars(range(min = 1, max = 1000))]
    pub batch: u32,

    /// How long is waited for more when fewer wait, such as `5ms`. Absent: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = duration())]
    pub batch_wait: Option<String>,

    /// How long one attempt may take, so that a receiver that hangs is tried again. Absent: as long as the
    /// `timeLimit` beside `webhook` leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = duration())]
    pub attempt_limit: Option<String>,

    /// How often a request that failed is tried again.
    #[serde(default = "retries")]
    #[schemars(range(min = 0, max = 100))]
    pub retries: u32,

    /// The first pause before that. Each is twice as long as the one before, up to 5 s.
    #[serde(default = "retry_delay")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = duration())]
    pub retry_delay: String,

    /// When a receiver that does not answer is left alone.
    #[serde(default)]
    pub breaker: Breaker,

    /// The largest answer that is read, such as `1Mi`.
    #[serde(default = "response_size")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = rules::response_size())]
    pub response_size: String,
}

/// When a receiver that does not answer is left alone.
#[derive(KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Breaker {
    /// After so many calls in a row that failed with all their retries.
    #[serde(default = "failures")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub failures: u32,

    /// For so long. Then one call tries.
    #[serde(default = "pause")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = duration())]
    pub pause: String,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { failures: failures(), pause: pause() }
    }
}

fn batch() -> u32 {
    1
}

fn retries() -> u32 {
    3
}

fn retry_delay() -> String {
    "100ms".into()
}

fn response_size() -> String {
    "1Mi".into()
}

fn failures() -> u32 {
    5
}

fn pause() -> String {
    "5s".into()
}
