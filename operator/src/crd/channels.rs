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
