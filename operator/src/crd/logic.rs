//! `spec.logic`.

use super::{
    Webhook,
    rules::{duration, logic as rules, webhook},
};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The modules that receive messages beside the clients.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Logic {
    /// The modules. Each has a name of its own and is exactly one thing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = rules::module_names())]
    pub modules: Vec<Module>,
}

/// One logic module.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::one_module(),
    validation = rules::monitor_works_alone(),
    validation = webhook::waits_within_the_limit()
)]
pub struct Module {
    /// What it is called by: the method of a client's `rpc`, a receiver in the server API.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = rules::module_name())]
    pub name: String,

    /// It sends every message that it gets to every client: `{}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broadcaster: Option<Broadcaster>,

    /// It disconnects clients that have sent nothing for long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inactivity: Option<Inactivity>,

    /// It is a program of yours in any language, which messages are POSTed to and which replies what is to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,

    /// What it gets of clients: what they `send`, and their `rpc` calls of its name. The server API and other modules
    /// reach it always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub receives: Vec<Receives>,

    /// `dispatched`: messages are handled side by side; `worker`: one after the other, in order.
    #[serde(default)]
    pub mode: Mode,

    /// How many messages are handled side by side.
    #[serde(default = "concurrency")]
    #[schemars(range(min = 1, max = 10_000))]
    pub concurrency: u32,

    /// How many messages may wait.
    #[serde(default = "queue")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub queue: u32,

    /// What happens when more come: `refuse` the new one, or `drop_oldest`.
    #[serde(default)]
    pub when_full: WhenFull,

    /// How long a message may take, such as `10s`.
    #[serde(default = "time_limit")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = duration())]
    pub time_limit: String,

    /// `receiving`: it runs on the instance that a message came in at; `one_instance`: on one of them, and another takes
    /// over when that one dies.
    #[serde(default)]
    pub placement: Placement,
}

/// The settings of a broadcaster: it has none.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Broadcaster {}

/// The settings of an inactivity monitor.
#[derive(KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inactivity {
    /// How long a client may be silent, such as `15m`.
    #[serde(default = "after")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = duration())]
    pub after: String,

    /// How often is looked, such as `10s`.
    #[serde(default = "every")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = duration())]
    pub every: String,
}

/// What of clients a module gets.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Receives {
    /// What they send without wanting an answer.
    Send,
    /// Their calls of its name.
    Rpc,
}

/// How messages are handed to a module.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Side by side.
    #[default]
    Dispatched,
    /// One after the other, in order.
    Worker,
}

/// What happens to a message that comes when as many wait as may.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// It is refused.
    #[default]
    Refuse,
    /// The one that has waited longest makes room.
    DropOldest,
}

/// Where a module runs.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// On the instance that the message came in at.
    #[default]
    Receiving,
    /// On one instance.
    OneInstance,
}

fn concurrency() -> u32 {
    64
}

fn queue() -> u32 {
    1000
}

fn time_limit() -> String {
    "10s".into()
}

fn after() -> String {
    "15m".into()
}

fn every() -> String {
    "10s".into()
}
