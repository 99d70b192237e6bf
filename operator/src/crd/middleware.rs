//! `spec.middleware`.

use super::rules::middleware as rules;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The rules that every message passes.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Middleware {
    /// For what comes in from clients and the server API, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub receive: Vec<MessageRule>,

    /// For what goes to clients, also from logic, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub send: Vec<MessageRule>,
}

impl Middleware {
    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.receive.is_empty() && self.send.is_empty()
    }
}

/// One rule of middleware: what a message must have, must not have, loses and is given, in this order.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::does_something(),
    validation = rules::message_of_a_refusal(),
    validation = rules::not_its_opposite("metadata"),
    validation = rules::not_its_opposite("tags")
)]
pub struct MessageRule {
    /// Only for what came in by these: `websocket`, `socketio`, `sse`, `presence`, `tcp`, `udp`, `http` (the server API), or
    /// an endpoint that the broker of your `image` adds. Empty: for everything. What logic sends has come in by none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 64)))]
    pub endpoints: Vec<String>,

    /// A message without one of these is refused.
    #[serde(default, skip_serializing_if = "Keys::is_empty")]
    pub require: Keys,

    /// A message with one of these is refused.
    #[serde(default, skip_serializing_if = "Keys::is_empty")]
    pub forbid: Keys,

    /// These are taken away.
    #[serde(default, skip_serializing_if = "Keys::is_empty")]
    pub strip: Keys,

    /// These are put in, over what is there.
    #[serde(default, skip_serializing_if = "Texts::is_empty")]
    pub set: Texts,

    /// The sentence that the sender of a refused message is told. Absent: what the rule says by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub message: Option<String>,
}

/// Keys of what travels with a message, or of what is noted of it.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Keys {
    /// Keys of what travels with it to its receivers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 64)))]
    pub metadata: Vec<String>,

    /// Keys of the middleware's own notes, which nobody else sees.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 64)))]
    pub tags: Vec<String>,
}

impl Keys {
    fn is_empty(&self) -> bool {
        self.metadata.is_empty() && self.tags.is_empty()
    }
}

/// What is put in, by its key.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Texts {
    /// What travels with it to its receivers, as texts by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    #[x_kube(validation = rules::named())]
    pub metadata: BTreeMap<String, String>,

    /// The middleware's own notes, which nobody else sees, as texts by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    #[x_kube(validation = rules::named())]
    pub tags: BTreeMap<String, String>,
}

impl Texts {
    fn is_empty(&self) -> bool {
        self.metadata.is_empty() && self.tags.is_empty()
    }
}
