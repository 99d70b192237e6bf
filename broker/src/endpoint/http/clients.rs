//! Methods about clients: `clients`, `disconnect`, `note`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Failed, Method, subscriptions::all_in};
use crate::{
    cluster::{Extent, Reach, Who},
    endpoint::{Disconnect as Reason, ErrorCode},
    message::ClientId,
    metrics::ApiMethod,
    registry::{Metadata, Query},
};

/// Which clients are to end.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Disconnect {
    #[serde(default)]
    client: Option<ClientId>,
    #[serde(default)]
    user: Option<String>,
    #[serde(default, rename = "in")]
    of_channel: Option<String>,
    /// Whether the client is told to come back.
    #[serde(default)]
    reconnect: bool,
    /// Whether whoever shares its connection ends too.
    #[serde(default)]
    connection: bool,
}

/// What is to be noted of a client; an empty text removes what was noted under the name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Note {
    client: ClientId,
    metadata: Metadata,
}

/// A page of the list of clients.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Clients(Query);

impl Method for Clients {
    const LABEL: ApiMethod = ApiMethod::Clients;

    async fn run(self, api: &Api) -> Result<Value, Failed> {
        if let Some(name) = &self.0.channel {
            let channel = api.gateway.channel(name)?;
            api.gateway.namespaces.of(channel.as_str()).ok_or(ErrorCode::UnknownChannel)?;
        }
        Ok(json!(api.gateway.pipeline.cluster.clients(&self.0).await?))
    }
}

impl Method for Disconnect {
    const LABEL: ApiMethod = ApiMethod::Disconnect;

    async fn run(self, api: &Api) -> Result<Value, Failed> {
        let who = match (self.client, self.user, self.of_channel) {
            (Some(client), None, None) => Who::Client(client),
            (None, Some(user), None) if !user.is_empty() => Who::User(user),
            (None, None, Some(name)) => all_in(api, name)?,
            _ => return Err(Failed::bad("write one of client, user and in".to_owned())),
        };
        let reason = if self.reconnect { Reason::ForcedReconnect } else { Reason::Forced };
        let extent = if self.connection { Extent::Connection } else { Extent::Client };
        match api.gateway.pipeline.cluster.disconnect(&who, reason, extent).await? {
            (count, true) => Ok(json!({"disconnected": count})),
            (count, false) => {
                let message =
                    format!("disconnected {count}; not every instance that may have more has answered");
                Err(Failed::of(ErrorCode::Internal, &message))
            }
        }
    }
}

impl Method for Note {
    const LABEL: ApiMethod = ApiMethod::Note;

    async fn run(self, api: &Api) -> Result<Value, Failed> {
        match api.gateway.pipeline.cluster.note(self.client, &self.metadata).await {
            Reach::Delivered => Ok(json!({})),
            Reach::Gone => Err(Failed::of(ErrorCode::NotFound, "no such client is connected")),
            Reach::Unreachable => {
                Err(Failed::of(ErrorCode::Internal, "the client's instance does not answer"))
            }
        }
    }
}
