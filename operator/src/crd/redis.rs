//! `spec.redis`.

use super::{auth::SecretKeyRef, rules};
use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The Redis that joins the instances: exactly one of `managed` and `external`.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Redis {
    /// A Redis that the operator runs for this cluster alone, with a generated password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedRedis>,

    /// A Redis that you run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalRedis>,
}

/// A Redis run by the operator.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::one_storage())]
pub struct ManagedRedis {
    /// How Redis runs. `Standalone` is one Redis: while its pod restarts, messages reach only the clients of the
    /// instance they were published on.
    #[serde(default)]
    pub topology: Topology,

    /// Where Redis keeps its data: exactly one of `persistent` and `emptyDir`.
    #[serde(default)]
    pub storage: RedisStorage,

    /// Redis' image. By default the one that this release of the operator was tested with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,

    /// How much memory Redis may use for data before it refuses writes, such as `256Mi`. Absent: no limit. Leave room
    /// below the memory limit of `resources` for what Redis needs besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::size())]
    pub max_memory: Option<Quantity>,

    /// Processor and memory of Redis' container, as in a pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::resources())]
    pub resources: Option<ResourceRequirements>,
}

/// How a managed Redis runs.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum Topology {
    /// One Redis.
    #[default]
    Standalone,
}

/// Where a managed Redis keeps its data: exactly one of `persistent` and `emptyDir`.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::storage_kind_is_fixed())]
pub struct RedisStorage {
    /// A PersistentVolumeClaim, `data-NAME-redis-0`: the data outlives the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent: Option<PersistentStorage>,

    /// The node's disk: the data is gone with the pod. Clients reconnect and everything is written again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_dir: Option<EmptyDirStorage>,
}

/// A volume that outlives the pod.
#[derive(KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::storage_size_is_fixed(), validation = rules::storage_class_is_fixed())]
pub struct PersistentStorage {
    /// Size of the volume, such as `1Gi`. It cannot change after creation.
    #[x_kube(validation = rules::size())]
    pub size: Quantity,

    /// The storage class of the volume. Absent: the Kubernetes cluster's default. It cannot change after creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,

    /// Whether the volume is kept when the BrokerCluster is deleted. One of the same name takes it up again.
    #[serde(default)]
    pub retain: bool,
}

/// A directory on the node.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EmptyDirStorage {
    /// How large it may grow, such as `1Gi`; Redis' pod is replaced when it is passed. Absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::size())]
    pub size_limit: Option<Quantity>,
}

/// A Redis run by somebody else.
#[derive(KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::username_needs_password())]
pub struct ExternalRedis {
    /// Where it is: `redis://host:port/database`, or `rediss://` for TLS. Port (6379) and database (0) may be left out.
    /// No password here: see `passwordSecretRef`.
    #[schemars(length(max = 512))]
    #[x_kube(
        validation = rules::redis_url_without_credentials(),
        validation = rules::redis_url_scheme(),
        validation = rules::redis_url_form()
    )]
    pub url: String,

    /// The user of Redis' access control list. Absent: Redis' default user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub username: Option<String>,

    /// The Secret that holds the password. A changed Secret rolls the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret_ref: Option<SecretKeyRef>,

    /// What all keys and channels in Redis begin with. Absent: `switchboard.NAMESPACE.NAME`, so that two BrokerClusters
    /// can share a Redis without hearing each other. Give two the same prefix to join them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z0-9_.-]+$"))]
    pub prefix: Option<String>,
}
