//! `spec.drain`, `spec.log`, `spec.monitoring` and `spec.disruptionBudget`: how the instances are run.

use super::rules;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How an instance leaves: it stops taking clients, tells those it has to come back (they land on another instance),
/// sends what is queued, and ends.
#[derive(KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Drain {
    /// How long all of it may take, in seconds.
    #[serde(default = "grace_period_seconds")]
    #[x_kube(validation = rules::drain_grace())]
    pub grace_period_seconds: i64,

    /// How many clients are told to leave per second; faster when the grace period asks for it.
    #[serde(default = "pace")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub pace: u32,
}

impl Default for Drain {
    fn default() -> Self {
        Self { grace_period_seconds: grace_period_seconds(), pace: pace() }
    }
}

fn grace_period_seconds() -> i64 {
    25
}

fn pace() -> u32 {
    500
}

/// What the instances log.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Log {
    /// The least important level that is logged.
    pub level: LogLevel,

    /// `text` for people, `json` for log collectors.
    pub format: LogFormat,
}

/// A log level.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Only what failed.
    Error,
    /// And what may become a failure.
    Warn,
    /// And what happens once.
    #[default]
    Info,
    /// And what happens per client.
    Debug,
    /// Everything.
    Trace,
}

/// The form of log lines.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For log collectors.
    Json,
}

/// How the instances are found by monitoring.
#[derive(JsonSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Monitoring {
    /// Whether the pods carry the annotations `prometheus.io/scrape`, `port` and `path`.
    pub annotations: bool,
}

impl Default for Monitoring {
    fn default() -> Self {
        Self { annotations: true }
    }
}

/// How many instances may be missing at once while nodes are emptied (`kubectl drain`).
#[derive(KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DisruptionBudget {
    /// Whether there is a PodDisruptionBudget.
    #[serde(default = "enabled")]
    pub enabled: bool,

    /// How many instances may be missing at once: a number or a percentage.
    #[serde(default = "max_unavailable")]
    #[x_kube(validation = rules::max_unavailable())]
    pub max_unavailable: IntOrString,
}

impl Default for DisruptionBudget {
    fn default() -> Self {
        Self { enabled: enabled(), max_unavailable: max_unavailable() }
    }
}

fn enabled() -> bool {
    true
}

fn max_unavailable() -> IntOrString {
    IntOrString::Int(1)
}
