//! `spec.endpoints.presence`.

use super::{ping_interval, pong_timeout};
use crate::crd::rules::{self, duration, duration_or_none, endpoints, presence};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// The endpoint of boards: pages that several people look at together, with their cursors and selections.
#[derive(KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = endpoints::pong_before_ping())]
pub struct PresenceEndpoint {
    /// Whether it is offered, on port 8000.
    #[serde(default)]
    pub enabled: bool,

    /// Where it is. `/` for clients that open no path.
    #[serde(default = "path")]
    #[schemars(length(max = 256))]
    #[x_kube(validation = presence::path())]
    pub path: String,

    /// What stands before a board's name in its channel's: the board `plan` is the channel `board:plan`. Where
    /// `channels.namespaces` lists the namespace, it has to say `joinLeave: true`; where not, it is there by itself.
    #[serde(default = "channel_prefix")]
    #[schemars(length(max = 128))]
    #[x_kube(validation = presence::channel_prefix())]
    pub channel_prefix: String,

    /// The channel whose publications come to all clients of the endpoint, such as `announcements`. Its namespace has to
    /// let everybody subscribe, without `joinLeave`. Absent: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub announcements: Option<String>,

    /// How often the broker pings each client, in whole seconds.
    #[serde(default = "ping_interval")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = duration(), validation = endpoints::ping_interval())]
    pub ping_interval: String,

    /// How long a client may take to answer a ping before it is disconnected.
    #[serde(default = "pong_timeout")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = duration())]
    pub pong_timeout: String,

    /// After which time a member that does nothing is taken off its board. `0s`: never.
    #[serde(default = "idle_timeout")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = duration_or_none())]
    pub idle_timeout: String,

    /// How many movements of one member in a second others are told at most. The last one is always told.
    #[serde(default = "cursor_rate")]
    #[schemars(range(min = 1, max = 1000))]
    pub cursor_rate: u32,

    /// How long what happens on a board is gathered before it is told, at most `1s`.
    #[serde(default = "flush_interval")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = duration(), validation = presence::flush_interval())]
    pub flush_interval: String,

    /// Messages above this size are compressed, such as `1Ki`.
    #[serde(default = "compress_above")]
    #[x_kube(validation = rules::size())]
    pub compress_above: Quantity,
}

impl Default for PresenceEndpoint {
    fn default() -> Self {
        Self {
            enabled: false,
            path: path(),
            channel_prefix: channel_prefix(),
            announcements: None,
            ping_interval: ping_interval(),
            pong_timeout: pong_timeout(),
            idle_timeout: idle_timeout(),
            cursor_rate: cursor_rate(),
            flush_interval: flush_interval(),
            compress_above: compress_above(),
        }
    }
}

fn path() -> String {
    "/presence".into()
}

fn channel_prefix() -> String {
    "board:".into()
}

fn idle_timeout() -> String {
    "5m".into()
}

fn cursor_rate() -> u32 {
    30
}

fn flush_interval() -> String {
    "20ms".into()
}

fn compress_above() -> Quantity {
    Quantity("1Ki".into())
}
