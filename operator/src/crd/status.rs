//! `status`: what the operator saw and did.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator saw and did.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BrokerClusterStatus {
    /// The generation of the spec that this status speaks of.
    pub observed_generation: i64,

    /// How many instances exist.
    pub replicas: i32,

    /// How many of them take clients.
    pub ready_replicas: i32,

    /// The label selector of the instances' pods, for autoscalers.
    pub selector: String,

    /// How many clients are connected to all instances. It is noted when it changes by more than a tenth or when
    /// something else changes, so it can lag behind; the metric `switchboard_connections` is exact.
    pub connections: i64,

    /// The instances.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<InstanceStatus>,

    /// The Redis that joins them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis: Option<RedisStatus>,

    /// `Ready` (all instances take clients), `Progressing` (something is being changed), `Degraded` (something is
    /// wrong), `RedisReady`, `DataPathReady` (messages really cross between the instances).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// One instance.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InstanceStatus {
    /// The instance ID, which is the pod's name.
    pub id: String,

    /// Whether it takes clients.
    pub ready: bool,

    /// How many clients are connected to it, as last noted.
    pub connections: i64,
}

/// The Redis that joins the instances.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RedisStatus {
    /// `Standalone`, or `External`.
    pub topology: String,

    /// Where it is, as host and port.
    pub address: String,

    /// How many ready instances are connected to it.
    pub connected: i32,
}
