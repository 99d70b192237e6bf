//! What hooks are asked and told of a client.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::{Gateway, describe};
use crate::{
    auth::Identity,
    endpoint::{Disconnect, EndpointKind, ErrorCode, Farewell},
    hooks::{Asked, ConnectHook, Gone, Granted, Hook, Question, Refusal, Verdict},
    message::ClientId,
    metrics::Rejection,
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

/// Why somebody is not let in.
pub struct End {
    /// As it is counted.
    pub reason: Disconnect,
    /// As it is told.
    pub farewell: Farewell,
}

impl From<Disconnect> for End {
    fn from(reason: Disconnect) -> Self {
        Self { reason, farewell: reason.into() }
    }
}

impl Gateway {
    /// Who would be the client `id`, and when its connection ends by a hook, in seconds since 1970. It is whoever an
    /// endpoint has `vouched` for, or else whoever the greeting's token says, or whoever the hook says.
    ///
    /// # Errors
    /// Why it may not connect; it was counted. There are no errors here that a client could stay with, only ends.
    pub async fn who_connects(
        &self,
        id: ClientId,
        transport: EndpointKind,
        vouched: Option<Identity>,
        greeting: &Greeting<'_>,
    ) -> Result<(Identity, Option<u64>), End> {
        let hook = self.hooks.connect.as_ref();
        let verified = match vouched {
            None if hook.is_some_and(|hook| hook.instead_of_token) => None,
            None => Some(self.identify(greeting.token)?),
            vouched => vouched,
        };
        let Some(hook) = hook else {
            return Ok((verified.ok_or(Disconnect::PermissionDenied)?, None));
        };
        let asked = self.ask_to_connect(hook, id, verified.as_ref(), transport, greeting);
        let granted = self.granted(asked.await.unwrap_or(Verdict::Failed(ErrorCode::Internal)))?;
        hook.identity(verified, granted).ok_or_else(|| {
            self.hub.metrics.rejected.inc(Rejection::NoToken);
            Disconnect::PermissionDenied.into()
        })
    }

    /// What a hook gives somebody whom it lets in.
    fn granted(&self, verdict: Verdict) -> Result<Granted, End> {
        let rejected = &self.hub.metrics.rejected;
        let farewell = match verdict {
            Verdict::Allowed(granted) => return Ok(granted),
            Verdict::Failed(error) => {
                rejected.inc(error.rejection().unwrap_or(Rejection::Unavailable));
                return Err(Disconnect::ServerError.into());
            }
            Verdict::Ended(farewell) => farewell,
            Verdict::Refused(Refusal { message, temporary, .. }) => {
                let like = if temporary { Disconnect::ServerError } else { Disconnect::PermissionDenied };
                Farewell { code: like.code(), reason: message.into() }
            }
        };
        rejected.inc(Rejection::Hook);
        Err(End { reason: Disconnect::Hook, farewell })
    }

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
