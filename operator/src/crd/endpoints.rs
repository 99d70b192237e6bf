//! `spec.endpoints`.

mod presence;
mod proxy_protocol;
mod socketio;
mod sse;
mod tcp;
mod tls;
mod udp;

pub use presence::PresenceEndpoint;
pub use proxy_protocol::ProxyProtocol;
pub use socketio::{Act, Emitter, EventRule, Profile, SocketioEndpoint, Transport};
pub use sse::SseEndpoint;
pub use tcp::TcpEndpoint;
pub use tls::{Tls, TlsVersion};
pub use udp::UdpEndpoint;

use super::rules::{duration, endpoints as rules};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// How clients and servers connect.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::one_endpoint(),
    validation = rules::endpoint_paths(),
    validation = rules::sse_path(),
    validation = rules::socketio_path(),
    validation = rules::presence_path(),
    validation = rules::description_path()
)]
pub struct Endpoints {
    /// WebSocket clients, in the Centrifuge client protocol.
    #[serde(default)]
    pub websocket: WebsocketEndpoint,

    /// Clients that only listen, by server-sent events.
    #[serde(default)]
    pub sse: SseEndpoint,

    /// Clients that speak Socket.IO, by polling and WebSocket.
    #[serde(default)]
    pub socketio: SocketioEndpoint,

    /// Boards: who is there, where their cursors are, and what they have selected, by WebSocket.
    #[serde(default)]
    pub presence: PresenceEndpoint,

    /// Clients over TCP, a JSON command a line, on a port of its own. It is not encrypted.
    #[serde(default)]
    pub tcp: TcpEndpoint,

    /// Clients over UDP, on a port of its own. It is not encrypted.
    #[serde(default)]
    pub udp: UdpEndpoint,

    /// The server API: your backend publishes and asks through it, with an API key.
    #[serde(default)]
    pub http: HttpEndpoint,

    /// TLS on port 8000: clients connect by `wss://` and `https://` then, and your backend too. Absent: the port speaks
    /// plainly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,

    /// Proxies that say for whom they connect to port 8000.
    #[serde(default)]
    pub proxy_protocol: ProxyProtocol,

    /// The web origins whose pages may connect, such as `https://app.example.com` or `https://*.example.com`. Empty allows only pages of the same
    /// host as the endpoint; `*` allows any. Clients that are not browsers send no origin and are not affected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 256)))]
    #[x_kube(validation = rules::allowed_origins())]
    pub allowed_origins: Vec<String>,
}

impl Endpoints {
    /// Whether there is one for clients.
    pub fn take_clients(&self) -> bool {
        self.websocket.enabled
            || self.sse.enabled
            || self.socketio.enabled
            || self.presence.enabled
            || self.tcp.enabled
            || self.udp.enabled
    }
}

/// The WebSocket endpoint.
#[derive(KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::pong_before_ping())]
pub struct WebsocketEndpoint {
    /// Whether it is offered.
    #[serde(default = "enabled")]
    pub enabled: bool,

    /// Where it is.
    #[serde(default = "websocket_path")]
    #[schemars(length(max = 256))]
    #[x_kube(validation = rules::path())]
    pub path: String,

    /// How often the broker pings each client, in whole seconds.
    #[serde(default = "ping_interval")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = duration(), validation = rules::ping_interval())]
    pub ping_interval: String,

    /// How long a client may take to answer a ping before it is disconnected.
    #[serde(default = "pong_timeout")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = duration())]
    pub pong_timeout: String,
}

impl Default for WebsocketEndpoint {
    fn default() -> Self {
        Self {
            enabled: enabled(),
            path: websocket_path(),
            ping_interval: ping_interval(),
            pong_timeout: pong_timeout(),
        }
    }
}

/// The server API.
#[derive(KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpEndpoint {
    /// Whether it is offered.
    #[serde(default = "enabled")]
    pub enabled: bool,

    /// Where it is; its methods are below, such as `/api/publish`.
    #[serde(default = "http_path")]
    #[schemars(length(max = 256))]
    #[x_kube(validation = rules::path())]
    pub path: String,
}

impl Default for HttpEndpoint {
    fn default() -> Self {
        Self { enabled: enabled(), path: http_path() }
    }
}

fn enabled() -> bool {
    true
}

fn websocket_path() -> String {
    "/connection/websocket".into()
}

fn http_path() -> String {
    "/api".into()
}

fn ping_interval() -> String {
    "25s".into()
}

fn pong_timeout() -> String {
    "8s".into()
}
