//! `spec.podTemplate`, `spec.service` and the image pull policy: what the brokers' Kubernetes objects look like.

use super::rules;
use k8s_openapi::api::core::v1::{
    Affinity, Container, ResourceRequirements, Toleration, TopologySpreadConstraint, Volume,
};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// When an image is pulled.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum ImagePullPolicy {
    /// At every start.
    Always,
    /// When the node does not have it.
    #[default]
    IfNotPresent,
    /// Not at all.
    Never,
}

/// The Service that clients connect to.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::traffic_from_outside(), validation = rules::affinity_of_a_time())]
pub struct Service {
    /// How it is reached: inside the cluster, on a port of every node, or by a load balancer of the cloud.
    #[serde(rename = "type", default)]
    pub type_: ServiceType,

    /// Whether nodes pass connections from outside on to other nodes. `Cluster`: they do, and put their own address in the
    /// place of the client's. `Local`: they do not, so that clients keep their address, and only nodes with a broker take
    /// connections.
    #[serde(default)]
    pub external_traffic_policy: ExternalTrafficPolicy,

    /// Whether connections from one address go to one instance. Nothing needs it: instances are one to their clients.
    /// `ClientIP` saves a way where clients of Socket.IO poll, whose requests would otherwise come to one instance and be
    /// brought to another. It helps only while the Service sees the clients' own addresses: behind a proxy all would go to
    /// one instance.
    #[serde(default)]
    pub session_affinity: SessionAffinity,

    /// With `ClientIP`: for how many seconds after an address' last connection. Absent: three hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400))]
    pub session_affinity_seconds: Option<u32>,

    /// Annotations for the Service, such as a load balancer's settings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    #[x_kube(validation = rules::reserved_keys())]
    pub annotations: BTreeMap<String, String>,
}

/// The type of a Service.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum ServiceType {
    /// Inside the Kubernetes cluster.
    #[default]
    #[serde(rename = "ClusterIP")]
    ClusterIp,
    /// On a port of every node as well.
    NodePort,
    /// By a load balancer of the cloud as well.
    LoadBalancer,
}

/// Whether nodes pass connections from outside on to other nodes.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum ExternalTrafficPolicy {
    /// They do.
    #[default]
    Cluster,
    /// They do not.
    Local,
}

/// Whether connections from one address go to one instance.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum SessionAffinity {
    /// They go to any.
    #[default]
    None,
    /// They do, as long as it is there.
    #[serde(rename = "ClientIP")]
    ClientIp,
}

/// The brokers' pods.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodTemplate {
    /// More labels for the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    #[x_kube(validation = rules::reserved_keys())]
    pub labels: BTreeMap<String, String>,

    /// More annotations for the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    #[x_kube(validation = rules::reserved_keys())]
    pub annotations: BTreeMap<String, String>,

    /// Processor and memory of the broker's container, as in a pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::resources())]
    pub resources: Option<ResourceRequirements>,

    /// Labels that a node must have, as in a pod.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub node_selector: BTreeMap<String, String>,

    /// Taints of nodes that are tolerated, as in a pod (`kubectl explain pod.spec.tolerations`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub tolerations: Vec<Toleration>,

    /// Rules for the choice of nodes, as in a pod (`kubectl explain pod.spec.affinity`). Absent: instances of one
    /// cluster prefer different nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,

    /// How pods spread over zones and nodes, as in a pod (`kubectl explain pod.spec.topologySpreadConstraints`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,

    /// The pods' priority class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,

    /// Containers that start before the broker (`kubectl explain pod.spec.initContainers`). One with
    /// `restartPolicy: Always` is a sidecar: it runs beside the broker, starts before it and ends after its drain, so it
    /// is the place for a webhook's receiver. They reach the broker on `127.0.0.1:8000`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = rules::reserved_containers())]
    pub init_containers: Vec<Container>,

    /// Containers beside the broker (`kubectl explain pod.spec.containers`). They are told to end when the pod is, while
    /// the broker still drains: what the broker needs to the end belongs into `initContainers`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = rules::reserved_containers())]
    pub containers: Vec<Container>,

    /// Volumes for those containers (`kubectl explain pod.spec.volumes`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = rules::reserved_volumes())]
    pub volumes: Vec<Volume>,
}
