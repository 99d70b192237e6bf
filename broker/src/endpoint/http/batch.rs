//! Several commands in one request.

use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Api, Ask, Broadcast, Channels, Clients, Disconnect, Failed, History, HistoryRemove, Info, Method, Note,
    Presence, PresenceStats, Publish, Send, Subscribe, Unsubscribe,
};
use crate::metrics::ApiMethod;

/// Commands, one after the other or side by side; the replies come in their order either way.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Batch {
    commands: Vec<Command>,
    #[serde(default)]
    parallel: bool,
}

/// A method's name with what it is asked with.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Command {
    Publish(Publish),
    Broadcast(Broadcast),
    Send(Send),
    Ask(Ask),
    Channels(Channels),
    Info(Info),
    Presence(Presence),
    PresenceStats(PresenceStats),
    History(History),
    HistoryRemove(HistoryRemove),
    Clients(Clients),
    Subscribe(Subscribe),
    Unsubscribe(Unsubscribe),
    Disconnect(Disconnect),
    Note(Note),
}

impl Method for Batch {
    const LABEL: ApiMethod = ApiMethod::Batch;

    async fn run(self, api: &Api) -> Result<Value, Failed> {
        if self.commands.is_empty() {
            return Err(Failed::bad("commands is empty".to_owned()));
        }
        let commands = self.commands.into_iter().map(|command| command.run(api));
        let replies = if self.parallel {
            join_all(commands).await
        } else {
            let mut replies = Vec::new();
            for command in commands {
                replies.push(command.await);
            }
            replies
        };
        Ok(json!({"replies": replies}))
    }
}

impl Command {
    async fn run(self, api: &Api) -> Value {
        match self {
            Self::Publish(method) => reply(method, api).await,
            Self::Broadcast(method) => reply(method, api).await,
            Self::Send(method) => reply(method, api).await,
            Self::Ask(method) => reply(method, api).await,
            Self::Channels(method) => reply(method, api).await,
            Self::Info(method) => reply(method, api).await,
            Self::Presence(method) => reply(method, api).await,
            Self::PresenceStats(method) => reply(method, api).await,
            Self::History(method) => reply(method, api).await,
            Self::HistoryRemove(method) => reply(method, api).await,
            Self::Clients(method) => reply(method, api).await,
            Self::Subscribe(method) => reply(method, api).await,
            Self::Unsubscribe(method) => reply(method, api).await,
            Self::Disconnect(method) => reply(method, api).await,
            Self::Note(method) => reply(method, api).await,
        }
    }
}

/// The reply has the method's name, or an error.
async fn reply<M: Method>(method: M, api: &Api) -> Value {
    use crate::metrics::Label;
    api.received.inc(M::LABEL);
    match method.run(api).await {
        Ok(value) => json!({M::LABEL.as_str(): value}),
        Err(failed) => json!(api.counted(failed)),
    }
}
