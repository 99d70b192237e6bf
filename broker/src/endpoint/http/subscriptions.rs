//! Methods about subscriptions: `subscribe`, `unsubscribe`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Failed, Method};
use crate::{
    cluster::{Change, Who},
    endpoint::ErrorCode,
    message::ClientId,
    metrics::ApiMethod,
};

/// Who is to be subscribed to what.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Subscribe(OfClients);

/// Whose subscription is to end.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Unsubscribe(OfClients);

/// A channel, and all clients of a user or of another channel, or one client, who may be said to be the user's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfClients {
    channel: String,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    client: Option<ClientId>,
    #[serde(default, rename = "in")]
    of_channel: Option<String>,
}

/// All clients that are in this channel.
pub(super) fn all_in(api: &Api, name: String) -> Result<Who, Failed> {
    let channel = api.gateway.channel(&name)?;
    api.gateway.namespaces.of(channel.as_str()).ok_or(ErrorCode::UnknownChannel)?;
    Ok(Who::Channel(name))
}

impl OfClients {
    /// Does it to all of them. How many are subscribed now, or were.
    async fn change(self, api: &Api, change: Change) -> Result<usize, Failed> {
        let user = self.user.filter(|user| !user.is_empty());
        let who = match (self.client, user, self.of_channel) {
            (Some(client), Some(user), None) => Who::ClientOf(client, user),
            (Some(client), None, None) => Who::Client(client),
            (None, Some(user), None) => Who::User(user),
            (None, None, Some(name)) => all_in(api, name)?,
            (None, None, None) => {
                return Err(Failed::bad("nobody is named; write user, client or both, or in".to_owned()));
            }
            (_, _, Some(_)) => return Err(Failed::bad("write in without user and client".to_owned())),
        };
        let (changed, complete) = api.gateway.change_subscriptions(&who, &self.channel, change).await??;
        let done = changed.done;
        if changed.full > 0 {
            let full = changed.full;
            let message = format!(
                "{done} done; {full} have as many channels as they may have: see limits.channels_per_client"
            );
            return Err(Failed::of(ErrorCode::LimitExceeded, &message));
        }
        if changed.failed > 0 || !complete {
            let message = format!(
                "{done} done; others could not be, or not every instance that may have more has answered"
            );
            return Err(Failed::of(ErrorCode::Internal, &message));
        }
        Ok(done)
    }
}

impl Method for Subscribe {
    const LABEL: ApiMethod = ApiMethod::Subscribe;

    async fn run(self, api: &Api) -> Result<Value, Failed> {
        Ok(json!({"subscribed": self.0.change(api, Change::Subscribe).await?}))
    }
}

impl Method for Unsubscribe {
    const LABEL: ApiMethod = ApiMethod::Unsubscribe;

    async fn run(self, api: &Api) -> Result<Value, Failed> {
        Ok(json!({"unsubscribed": self.0.change(api, Change::Unsubscribe).await?}))
    }
}
