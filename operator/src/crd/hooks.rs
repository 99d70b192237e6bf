//! `spec.hooks`.

use super::{
    Webhook,
    rules::{duration, hooks as rules, webhook},
};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Programs of yours that are asked, or told, of clients.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::one_answer_for_each(),
    validation = rules::token_of_connect(),
    validation = rules::token_without_an_answer(),
    validation = rules::gone_without_asking(),
    validation = rules::namespaces_of_channels()
)]
pub struct Hooks {
    /// Asked whether a client may connect, and who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<Hook>,

    /// Asked whether a client may subscribe to a channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscribe: Option<Hook>,

    /// Asked whether a client may publish this, and what is published instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<Hook>,

    /// Told, not asked: which clients have gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disconnect: Option<Hook>,
}

impl Hooks {
    /// Each that is there, with its name.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Hook)> {
        let Self { connect, subscribe, publish, disconnect } = self;
        [("connect", connect), ("subscribe", subscribe), ("publish", publish), ("disconnect", disconnect)]
            .into_iter()
            .filter_map(|(name, hook)| Some((name, hook.as_ref()?)))
    }

    /// Whether clients may connect without a token that is verified.
    pub fn instead_of_token(&self) -> bool {
        self.connect.as_ref().is_some_and(|hook| hook.instead_of_token)
    }
}

/// One hook.
#[derive(KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = webhook::waits_within_the_limit())]
pub struct Hook {
    /// Where your program is, and how it is called.
    pub webhook: Webhook,

    /// How long an answer may take, such as `3s`: all attempts, the pauses between them, and waiting for a turn.
    #[serde(default = "time_limit")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = duration())]
    pub time_limit: String,

    /// How many calls each instance makes side by side. Of `disconnect` there is one at a time.
    #[serde(default = "concurrency")]
    #[schemars(range(min = 1, max = 10_000))]
    pub concurrency: u32,

    /// How many clients of an instance may wait for an answer, or to be told of.
    #[serde(default = "pending")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub pending: u32,

    /// What becomes of whoever asks when there is no answer: `refuse` them for now, or `allow` them as without the hook.
    #[serde(default)]
    pub on_failure: OnFailure,

    /// Of `subscribe` and `publish`: the namespaces whose channels are asked about, such as `[room, ""]`. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(max = 64)))]
    #[x_kube(validation = rules::some_namespaces())]
    pub namespaces: Option<Vec<String>>,

    /// Of `connect`: whether clients need no token that brokers verify, for the answer says who they are. What a client
    /// gives as its token is passed on.
    #[serde(default)]
    pub instead_of_token: bool,
}

/// What becomes of whoever asks when there is no answer.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// It is refused for now.
    #[default]
    Refuse,
    /// It goes on as without the hook.
    Allow,
}

fn time_limit() -> String {
    "3s".into()
}

fn concurrency() -> u32 {
    64
}

fn pending() -> u32 {
    1000
}
