//! The `BrokerCluster` resource: what a user writes, what the operator answers, and its schema.
//!
//! Every doc comment in this module is shown by `kubectl explain` and printed in `docs/crd.md`, so it is written for
//! the person who writes the YAML. Every rule that the API server can check by itself stands beside its field, with a
//! message that says what to write instead.

// The derive `KubeSchema` repeats each struct, with its `pub`, inside a function.
#![allow(unreachable_pub)]

mod auth;
mod channels;
mod docs;
mod endpoints;
mod hooks;
mod limits;
mod logic;
mod middleware;
mod operation;
mod pages;
mod pods;
mod redis;
mod rules;
mod schema;
mod status;
mod webhook;

pub use auth::{Algorithm, Auth, Jwt, JwtKey, SecretKeyRef};
pub use channels::{Channels, History, Namespace, PresenceRule, PublishRule, ReadRule, SubscribeRule};
pub use docs::markdown;
pub use endpoints::{
    Act, Emitter, Endpoints, EventRule, HttpEndpoint, PresenceEndpoint, Profile, ProxyProtocol,
    SocketioEndpoint, SseEndpoint, TcpEndpoint, Tls, TlsVersion, Transport, UdpEndpoint, WebsocketEndpoint,
};
pub use hooks::{Hook, Hooks, OnFailure};
pub use limits::{HANDSHAKES, Limits, Rate, TOKEN_GRACE};
pub use logic::{Broadcaster, Inactivity, Logic, Mode, Module, Placement, Receives, WhenFull};
pub use middleware::{Keys, MessageRule, Middleware, Texts};
pub use operation::{DisruptionBudget, Drain, Log, LogFormat, LogLevel, Monitoring};
pub use pages::Pages;
pub use pods::{ExternalTrafficPolicy, ImagePullPolicy, PodTemplate, Service, ServiceType, SessionAffinity};
pub use redis::{
    EmptyDirStorage, ExternalRedis, ManagedRedis, PersistentStorage, Redis, RedisStorage, Topology,
};
pub use rules::MAX_NAME_LENGTH;
pub use schema::{definition, unknown_fields};
pub use status::{BrokerClusterStatus, InstanceStatus, RedisStatus};
pub use webhook::{Breaker, Webhook};

use k8s_openapi::api::core::v1::LocalObjectReference;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// What a cluster of message brokers should be.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[kube(
    group = "switchboard.dev",
    version = "v1alpha1",
    kind = "BrokerCluster",
    plural = "brokerclusters",
    singular = "brokercluster",
    shortname = "bc",
    category = "all",
    category = "switchboard",
    namespaced,
    status = "BrokerClusterStatus",
    derive = "PartialEq",
    cel,
    doc = "A cluster of message brokers: any number of instances, joined by a Redis, that clients connect to over \
           WebSocket, Socket.IO, server-sent events, TCP or UDP.",
    validation = rules::cluster_name(),
    validation = rules::cluster_has_a_spec(),
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(
        name = "Desired",
        type_ = "integer",
        json_path = ".spec.replicas",
        description = "Instances asked for"
    ),
    printcolumn(
        name = "Ready",
        type_ = "integer",
        json_path = ".status.readyReplicas",
        description = "Instances that take clients"
    ),
    printcolumn(
        name = "Redis",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"RedisReady\")].reason",
        description = "State of the Redis that joins the instances"
    ),
    printcolumn(
        name = "Connections",
        type_ = "integer",
        json_path = ".status.connections",
        description = "Clients connected to all instances, as last noted"
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "Why the cluster is ready or not"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Delivery",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"DataPathReady\")].reason",
        description = "Whether messages really cross between the instances",
        priority = "1"
    ),
    printcolumn(
        name = "Redis address",
        type_ = "string",
        json_path = ".status.redis.address",
        priority = "1"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = "1"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::one_redis(),
    validation = rules::hooks::of_known_namespaces("subscribe"),
    validation = rules::hooks::of_known_namespaces("publish"),
    validation = rules::middleware::of_known_endpoints(),
    validation = rules::socketio::calls_known_modules(),
    validation = rules::presence::boards_tell_who_comes(),
    validation = rules::presence::announcements_are_for_all(),
    validation = rules::pages::admin_asks_the_server_api(),
    validation = rules::pages::demo_has_an_endpoint(),
    validation = rules::pages::places()
)]
pub struct BrokerClusterSpec {
    /// How many instances run. `kubectl scale brokercluster/NAME --replicas=N` changes it too. When it is lowered, the
    /// instances leave one at a time, each after its clients were told to come back; 0 stops them all and keeps the
    /// Redis.
    #[serde(default = "two")]
    #[schemars(range(max = 1000))]
    #[x_kube(validation = rules::replicas())]
    pub replicas: i32,

    /// The broker's image. By default the one that this release of the operator was tested with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,

    /// When the images of the broker and of a managed Redis are pulled.
    #[serde(default)]
    pub image_pull_policy: ImagePullPolicy,

    /// Secrets of this namespace with the credentials for the images' registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub image_pull_secrets: Vec<LocalObjectReference>,

    /// How clients and servers connect: on port 8000 of the Service, and by TCP and UDP on ports of their own.
    #[serde(default)]
    pub endpoints: Endpoints,

    /// Pages for people, in a browser, on port 8000. None is there unless it is switched on.
    #[serde(default)]
    pub pages: Pages,

    /// Who may connect, and with what. Without `anonymous`, without `jwt` and without `hooks.connect.insteadOfToken` no
    /// client can connect and only the server API works; the condition `Ready` says so.
    #[serde(default)]
    pub auth: Auth,

    /// Programs of yours that are asked before clients connect, subscribe or publish, and told of those that have gone.
    #[serde(default)]
    pub hooks: Hooks,

    /// What may be done in channels.
    #[serde(default)]
    pub channels: Channels,

    /// Bounds that protect an instance from its clients.
    #[serde(default)]
    pub limits: Limits,

    /// Rules for what travels with messages.
    #[serde(default)]
    pub middleware: Middleware,

    /// The modules that receive messages beside the clients.
    #[serde(default)]
    pub logic: Logic,

    /// The Redis that joins the instances: exactly one of `managed` and `external`.
    #[serde(default)]
    pub redis: Redis,

    /// How an instance leaves: at scale-down, at a rollout, when its node is emptied.
    #[serde(default)]
    pub drain: Drain,

    /// What the instances log.
    #[serde(default)]
    pub log: Log,

    /// How the instances are found by monitoring.
    #[serde(default)]
    pub monitoring: Monitoring,

    /// How many instances may be missing at once while nodes are emptied.
    #[serde(default)]
    pub disruption_budget: DisruptionBudget,

    /// The Service that clients connect to.
    #[serde(default)]
    pub service: Service,

    /// The brokers' pods: resources, scheduling, extra containers.
    #[serde(default)]
    pub pod_template: PodTemplate,
}

/// The default of `spec.replicas`: with one instance there is nothing to join and nothing left at a rollout.
fn two() -> i32 {
    2
}
