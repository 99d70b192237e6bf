//! `spec.endpoints.socketio`.

mod emitter;
mod event;

pub use emitter::Emitter;
pub use event::{Act, EventRule};

use super::{enabled, ping_interval};
use crate::crd::rules::{self, duration, duration_or_none, endpoints, socketio};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The Socket.IO endpoint.
#[derive(KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = socketio::namespaces_of_events(), validation = socketio::emitter_has_clients())]
pub struct SocketioEndpoint {
    /// Whether it is offered, on port 8000.
    #[serde(default)]
    pub enabled: bool,

    /// Where it is, as the clients' option `path` says it, without the slash at its end.
    #[serde(default = "path")]
    #[schemars(length(max = 256))]
    #[x_kube(validation = endpoints::path())]
    pub path: String,

    /// How clients may connect: by requests that wait (`polling`), by `websocket`.
    #[serde(default = "transports")]
    #[schemars(length(max = 2))]
    #[x_kube(validation = socketio::some_transport())]
    pub transports: Vec<Transport>,

    /// Whether clients that began with polling may move to a WebSocket.
    #[serde(default = "enabled")]
    pub upgrades: bool,

    /// How often a connection is pinged.
    #[serde(default = "ping_interval")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = duration())]
    pub ping_interval: String,

    /// How long a client may take to answer a ping before its connection ends.
    #[serde(default = "ping_timeout")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = duration())]
    pub ping_timeout: String,

    /// The largest body or frame of a client, and the largest event with all its attachments, such as `1Mi`. What is
    /// published is held to `limits.messageSize` as well.
    #[serde(default = "max_payload")]
    #[x_kube(validation = rules::size())]
    pub max_payload: Quantity,

    /// The name of a cookie that tells load balancers connections apart, such as `io`. Absent: none is set. It is not
    /// needed: a request that comes to another instance than its connection's is brought there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = socketio::cookie())]
    pub cookie: Option<String>,

    /// The namespaces of Socket.IO that clients may connect to. The rooms of `/staff` are channels of the namespace
    /// `staff`, which `channels.namespaces` has to list.
    #[serde(default = "namespaces")]
    #[schemars(length(max = 32), inner(length(max = 64)))]
    #[x_kube(
        validation = socketio::some_namespace(),
        validation = socketio::namespace_names(),
        validation = socketio::namespaces_once()
    )]
    pub namespaces: Vec<String>,

    /// The event that clients get for a publication that is none by itself.
    #[serde(default = "message_event")]
    #[schemars(length(max = 128))]
    #[x_kube(validation = socketio::event_name())]
    pub message_event: String,

    /// Events that a client does without that has not been given what was there before, such as `[cursor]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 128)))]
    pub volatile: Vec<String>,

    /// How long clients may take to answer what another client asks them.
    #[serde(default = "ack_timeout")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = duration())]
    pub ack_timeout: String,

    /// What clients' events do. Without rules and without a profile there are five: `join`, `leave`, `publish` (which does
    /// `forward`), `ask` and `presence`. An event without a rule does nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = socketio::events_once())]
    pub events: Vec<EventRule>,

    /// A ready set of rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,

    /// With a profile: how long users may be away before the others are told that they are offline. `0s`: not at all.
    #[serde(default = "offline_after")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = duration_or_none())]
    pub offline_after: String,

    /// Hearing what other programs emit with `@socket.io/redis-emitter` through the cluster's Redis. Whoever may publish there
    /// may emit, whatever tokens, channels and hooks say, and every instance reads every emit.
    #[serde(default)]
    pub emitter: Emitter,
}

impl Default for SocketioEndpoint {
    fn default() -> Self {
        Self {
            enabled: false,
            path: path(),
            transports: transports(),
            upgrades: true,
            ping_interval: ping_interval(),
            ping_timeout: ping_timeout(),
            max_payload: max_payload(),
            cookie: None,
            namespaces: namespaces(),
            message_event: message_event(),
            volatile: Vec::new(),
            ack_timeout: ack_timeout(),
            events: Vec::new(),
            profile: None,
            offline_after: offline_after(),
            emitter: Emitter::default(),
        }
    }
}

/// A way to connect.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// By requests that wait until there is something to be told.
    Polling,
    /// By a WebSocket.
    Websocket,
}

/// A ready set of rules, beside those of `events`, which replace rules of the same event. `chat`: conversations, who types,
/// and who is online.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Conversations, who types, and who is online.
    Chat,
}

fn path() -> String {
    "/socket.io".into()
}

fn transports() -> Vec<Transport> {
    vec![Transport::Polling, Transport::Websocket]
}

fn ping_timeout() -> String {
    "20s".into()
}

fn max_payload() -> Quantity {
    Quantity("1Mi".into())
}

fn namespaces() -> Vec<String> {
    vec!["/".into()]
}

fn message_event() -> String {
    "message".into()
}

fn offline_after() -> String {
    "5s".into()
}

fn ack_timeout() -> String {
    "5s".into()
}
