//! `spec.limits`.

use super::rules;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// The default of `handshakes`.
pub const HANDSHAKES: u32 = 1024;

/// The default of `tokenGrace`.
pub const TOKEN_GRACE: &str = "25s";

/// Bounds that protect an instance from its clients.
#[derive(KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::outbox_holds_a_message())]
pub struct Limits {
    /// The largest frame that is taken from a client, such as `64Ki`.
    #[serde(default = "message_size")]
    #[x_kube(validation = rules::size())]
    pub message_size: Quantity,

    /// How many unsent bytes are kept for one client, such as `1Mi`. A client that falls further behind is disconnected
    /// and told to come back.
    #[serde(default = "outbox_size")]
    #[x_kube(validation = rules::size())]
    pub outbox_size: Quantity,

    /// How many clients one instance takes. 0: no limit.
    #[serde(default)]
    #[schemars(range(min = 0, max = 10_000_000))]
    pub connections: u32,

    /// How many clients one instance takes from one address, and as many connections that have not become one yet. 0: no
    /// limit. Of IPv6, all addresses with the same first 64 bits are one. Leave it at 0 where nodes or proxies put their
    /// own address in the place of the clients'.
    #[serde(default)]
    #[schemars(range(min = 0, max = 10_000_000))]
    pub connections_per_address: u32,

    /// How many connections one instance keeps that have not sent the head of their first request yet. When there are as
    /// many, the newest is closed. 0: no limit.
    #[serde(default = "handshakes")]
    #[schemars(range(min = 0, max = 10_000_000))]
    pub handshakes: u32,

    /// How many channels one client may be subscribed to.
    #[serde(default = "channels_per_client")]
    #[schemars(range(min = 1, max = 100_000))]
    pub channels_per_client: u32,

    /// How many bytes the name of a channel may have.
    #[serde(default = "channel_length")]
    #[schemars(range(min = 1, max = 65_535))]
    pub channel_length: u32,

    /// How many messages one client may send: publishes, sends and calls. Past it they are refused for now.
    #[serde(default)]
    pub rate: Rate,

    /// How long after the end of its token, or that of a subscription, a client may bring a new one before what it stands
    /// for ends, such as `25s`. Clients ask for a new token when the old one expires, so `0s` leaves them no time.
    #[serde(default = "token_grace")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = rules::duration_or_none())]
    pub token_grace: String,
}

/// How many messages a client may send.
#[derive(KubeSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::burst_needs_a_rate())]
pub struct Rate {
    /// Messages a second, on the average. 0: no limit.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub per_second: u32,

    /// Messages at once. 0: as many as in a second.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub burst: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_size: message_size(),
            outbox_size: outbox_size(),
            connections: 0,
            connections_per_address: 0,
            handshakes: handshakes(),
            channels_per_client: channels_per_client(),
            channel_length: channel_length(),
            rate: Rate::default(),
            token_grace: token_grace(),
        }
    }
}

fn message_size() -> Quantity {
    Quantity("64Ki".into())
}

fn outbox_size() -> Quantity {
    Quantity("1Mi".into())
}

fn channels_per_client() -> u32 {
    128
}

fn handshakes() -> u32 {
    HANDSHAKES
}

fn token_grace() -> String {
    TOKEN_GRACE.into()
}

fn channel_length() -> u32 {
    255
}
