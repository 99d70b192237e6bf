//! `spec.channels`.

use super::{limits::Rate, rules};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What may be done in channels.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Channels {
    /// Rules by namespace. The channel `news:eu` belongs to the namespace `news`, a channel without a prefix to the one
    /// with the empty name. When none is listed, the empty namespace exists with its defaults; a channel of an unknown
    /// namespace is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::namespace_names())]
    pub namespaces: Vec<Namespace>,
}

/// The rules of one namespace of channels.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Namespace {
    /// The namespace's name: what stands before the first `:` of a channel. Empty for channels without one.
    #[serde(default)]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::namespace_name())]
    pub name: String,

    /// Which clients may subscribe: `any`, only those whose `token` allows the channel, or `nobody`.
    #[serde(default)]
    pub subscribe: SubscribeRule,

    /// Which clients may publish: `any`, `subscribers` of the channel, or `nobody`. The server API always may.
    #[serde(default)]
    pub publish: PublishRule,

    /// Which clients may ask who is in a channel: `any`, its `subscribers`, or `nobody`.
    #[serde(default)]
    pub presence: PresenceRule,

    /// Whether subscribers are told when others join and leave.
    #[serde(default)]
    pub join_leave: bool,

    /// How many messages each client may publish into the namespace's channels. Past it they are refused for now.
    #[serde(default)]
    pub rate: Rate,

    /// Keeps the latest messages of each channel, so that clients that come back are given what they missed. Absent:
    /// nothing is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
}

/// What is kept of the messages of each channel.
#[derive(KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// How many messages of each channel are kept, in Redis.
    #[serde(default = "history_size")]
    #[schemars(range(min = 1, max = 10_000))]
    pub size: u32,

    /// How long they are kept after the last one, such as `10m`; at most 720h.
    #[serde(default = "history_ttl")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = rules::duration(), validation = rules::history_ttl())]
    pub ttl: String,

    /// Which clients may read what is kept: `any`, `subscribers` of the channel, or `nobody`. The server API always may.
    #[serde(default)]
    pub read: ReadRule,

    /// Whether clients that come back are given what they missed, where they ask for it as the clients' libraries do.
    #[serde(default = "recover")]
    pub recover: bool,
}

fn history_size() -> u32 {
    100
}

fn history_ttl() -> String {
    "10m".into()
}

fn recover() -> bool {
    true
}

/// Which clients may read what is kept.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadRule {
    /// Every client.
    Any,
    /// Clients subscribed to the channel.
    #[default]
    Subscribers,
    /// No client.
    Nobody,
}

/// Which clients may subscribe.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SubscribeRule {
    /// Every client.
    #[default]
    Any,
    /// Only clients whose token allows the channel.
    Token,
    /// No client.
    Nobody,
}

/// Which clients may publish.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PublishRule {
    /// Every client.
    Any,
    /// Clients subscribed to the channel.
    #[default]
    Subscribers,
    /// No client.
    Nobody,
}

/// Which clients may ask for presence.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PresenceRule {
    /// Every client.
    Any,
    /// Clients subscribed to the channel.
    #[default]
    Subscribers,
    /// No client.
    Nobody,
}
