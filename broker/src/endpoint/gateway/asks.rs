//! What hooks are asked and told of a client.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::{Gateway, describe};
use crate::{
    auth::Identity,
    endpoint::{Disconnect, EndpointKind, ErrorCode},
    hooks::{Asked, ConnectHook, Gone, Hook, Question},
    message::ClientId,
    registry::Client,
};

/// What a client says when it connects. Has no `Debug`: tokens are secrets.
pub struct Greeting<'a> {
    /// Its token; empty when it has none.
    pub token: &'a str,
    /// What it calls itself.
    pub name: Option<&'a RawValue>,
    /// What it says beside.
    pub data: Option<&'a RawValue>,
}

impl Gateway {
    /// Asks whether somebody may connect who would be the client `id`; `verified` is who it is by its token.
    pub fn ask_to_connect(
        &self,
        connect: &ConnectHook,
        id: ClientId,
        verified: Option<&Identity>,
        transport: EndpointKind,
        greeting: &Greeting<'_>,
    ) -> Asked {
        let info = verified.map(|identity| describe(id, identity));
        // Whoever has verified a token keeps it.
        let token = Some(greeting.token).filter(|token| verified.is_none() && !token.is_empty());
        connect.hook.ask(&Question {
            client: id,
            user: verified.map(|identity| identity.user.as_str()),
            info: info.as_deref().and_then(json),
            metadata: None,
            transport: transport.as_str(),
            channel: None,
            data: greeting.data,
            name: greeting.name,
            token,
        })
    }

    /// Asks whether a client may subscribe, if nothing else stands against it.
    ///
    /// # Errors
    /// What does.
    pub fn ask_to_subscribe(
        &self,
        hook: &Arc<Hook>,
        client: &Client,
        channel: &str,
        token: &str,
    ) -> Result<Asked, ErrorCode> {
        let (known, _, _) = self.may_subscribe(client, channel, token)?;
        // One client must not have the hook asked more often than it can subscribe.
        client.may_ask_for(&known, self.limits.channels_per_client)?;
        Ok(hook.ask(&question(client, &client.info, channel, None)))
    }

    /// Asks whether a client may publish this, if nothing else stands against it.
    ///
    /// # Errors
    /// What does.
    pub fn ask_to_publish(
        &self,
        hook: &Arc<Hook>,
        client: &Client,
        channel: &str,
        data: &RawValue,
    ) -> Result<Asked, ErrorCode> {
        let (_, info) = self.may_publish(client, channel)?;
        Ok(hook.ask(&question(client, &info, channel, Some(data))))
    }
}

fn question<'a>(
    client: &'a Client,
    info: &'a Bytes,
    channel: &'a str,
    data: Option<&'a RawValue>,
) -> Question<'a> {
    Question {
        client: client.id,
        user: Some(&client.user),
        info: json(info),
        metadata: Some(client.metadata()),
        transport: client.endpoint.as_str(),
        channel: Some(channel),
        data,
        name: None,
        token: None,
    }
}

fn json(text: &[u8]) -> Option<&RawValue> {
    serde_json::from_slice(text).ok()
}

/// What is told of a client whose connection has ended for this reason.
pub(super) fn gone(client: &Client, reason: Disconnect) -> Gone {
    Gone {
        client: client.id,
        user: client.user.clone(),
        info: client.info.clone(),
        metadata: client.metadata(),
        transport: client.endpoint.as_str(),
        farewell: client.outbox.farewell(reason),
    }
}
