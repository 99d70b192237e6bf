//! What a client of an endpoint of one's own may do.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::to_raw_value;
use tokio::sync::{Notify, SemaphorePermit, oneshot};

use super::{Shared, Stay};
use crate::{
    backplane::{Ack, Member},
    codec::centrifuge::single_line,
    endpoint::{Disconnect, ErrorCode, Refusal},
    hooks::{Asked, Granted, Verdict},
    message::ClientId,
    metrics::{ClientCommand, Rejection},
    registry::Client,
};

/// A connected client of an endpoint of one's own, which acts through this; dropping it is the client's end.
///
/// The rules are those of every client: permissions of namespaces, middleware, limits. Each error was counted, and
/// says what the client may be told. Data is whatever can be written as JSON; what is JSON already goes as a
/// [`RawValue`](serde_json::value::RawValue).
pub struct Guest {
    stay: Stay,
    client: Arc<Client>,
    /// A subscription may end earlier than anything before it.
    changed: Arc<Notify>,
}

impl Guest {
    pub(super) fn new(stay: Stay, client: Arc<Client>, changed: Arc<Notify>) -> Self {
        Self { stay, client, changed }
    }

    /// Its identity.
    pub fn id(&self) -> ClientId {
        self.client.id
    }

    /// The user that it is; empty for an anonymous client.
    pub fn user(&self) -> &str {
        &self.client.user
    }

    /// Has these bytes written to the client, behind what waits to be written. They are to be ready for the wire.
    pub fn reply(&self, bytes: &[u8]) {
        // A full outbox closes itself.
        let _ = self.stay.outbox.push(bytes);
    }

    /// Ends the connection, after what waits has been written; of several reasons the first stays.
    pub fn end(&self, reason: Disconnect) {
        self.stay.outbox.close(reason);
    }

    /// Subscribes to a channel, with a subscription token or without one (an empty one). Nothing that is published
    /// after this returns is missed; something that is published before may be pushed before.
    ///
    /// # Errors
    /// Why the client is not subscribed.
    pub async fn subscribe(&self, channel: &str, token: &str) -> Result<(), Refusal> {
        self.begin(ClientCommand::Subscribe).await?;
        let gateway = &self.shared().gateway;
        let info = match gateway.hooks.subscribe(channel) {
            None => None,
            Some(hook) => {
                let asked = gateway.ask_to_subscribe(hook, &self.client, channel, token);
                self.allowed(asked).await?.info
            }
        };
        let (tell, told) = oneshot::channel();
        let expires_at = gateway.subscribe(&self.client, channel, token, info, None, move |outcome| {
            // Nobody wants to know when the client has gone in the meantime.
            let _ = tell.send(outcome.map(drop));
        });
        if expires_at.is_some() {
            self.changed.notify_one();
        }
        self.counted(told.await.unwrap_or(Err(ErrorCode::Internal)))
    }

    /// Ends the subscription to a channel; ending one that does not exist is no error.
    ///
    /// # Errors
    /// No channel can have this name.
    pub async fn unsubscribe(&self, channel: &str) -> Result<(), Refusal> {
        self.begin(ClientCommand::Unsubscribe).await?;
        let gateway = &self.shared().gateway;
        let channel = self.counted(gateway.channel(channel))?;
        gateway.unsubscribe(&self.client, &channel);
        Ok(())
    }

    /// Publishes into a channel, and waits until the message has been taken.
    ///
    /// # Errors
    /// Why it was not published, or may not have been.
    pub async fn publish<T>(&self, channel: &str, data: &T) -> Result<(), Refusal>
    where
        T: Serialize + Sync + ?Sized,
    {
        self.begin(ClientCommand::Publish).await?;
        let gateway = &self.shared().gateway;
        let mut data = self.counted(json(data))?;
        if let Some(hook) = gateway.hooks.publish(channel) {
            let asked = serde_json::from_slice(&data).map_err(|_| ErrorCode::BadRequest);
            let asked = asked.and_then(|json| gateway.ask_to_publish(hook, &self.client, channel, json));
            data = self.allowed(asked).await?.data.unwrap_or(data);
        }
        let (ack, outcome) = Ack::channel();
        self.counted(gateway.publish(&self.client, channel, data, ack))?;
        outcome.await.map_err(|error| {
            gateway.hub.metrics.publish_failures.inc(error.into());
            ErrorCode::Internal.into()
        })
    }

    /// Hands data to the logic modules that take such; nobody says what they make of it.
    ///
    /// # Errors
    /// Why they were not given it.
    pub async fn send<T: Serialize + Sync + ?Sized>(&self, data: &T) -> Result<(), Refusal> {
        self.begin(ClientCommand::Send).await?;
        let data = self.counted(json(data))?;
        self.counted(self.shared().gateway.send(&self.client, data))
    }

    /// Calls a logic module, and gives back its answer as JSON.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn rpc<T>(&self, module: &str, data: &T) -> Result<Bytes, Refusal>
    where
        T: Serialize + Sync + ?Sized,
    {
        self.begin(ClientCommand::Rpc).await?;
        let data = self.counted(json(data))?;
        let _under_way = self.counted(self.question())?;
        self.counted(self.shared().gateway.call(&self.client, module, data).await)
    }

    /// Asks who is in a channel.
    ///
    /// # Errors
    /// Why the client is not told.
    pub async fn presence(&self, channel: &str) -> Result<Vec<Member>, Refusal> {
        self.begin(ClientCommand::Presence).await?;
        let gateway = &self.shared().gateway;
        let channel = self.counted(gateway.presence_channel(&self.client, channel))?;
        let _under_way = self.counted(self.question())?;
        let members = gateway.backplane.presence(&channel).await;
        self.counted(members.map_err(|_| ErrorCode::Internal))
    }

    fn shared(&self) -> &Shared {
        &self.stay.host.0
    }

    /// Before everything that the client does: a client that has ended does nothing more, and what was pushed to one
    /// that asks for much is written first, for it must not fill its own outbox while nobody empties it.
    async fn begin(&self, command: ClientCommand) -> Result<(), Refusal> {
        let unsent = self.stay.outbox.unsent().ok_or(ErrorCode::NotAvailable)?;
        let Shared { gateway, metrics, .. } = self.shared();
        metrics.received.inc(command);
        gateway.hub.registry.touch(&self.client);
        if unsent > self.stay.outbox.limit() / 4 {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Waits for what a hook says of something that the client wants.
    async fn allowed(&self, asked: Result<Asked, ErrorCode>) -> Result<Granted, Refusal> {
        let asked = self.counted(asked)?;
        let rejected = &self.shared().gateway.hub.metrics.rejected;
        match asked.await.unwrap_or(Verdict::Failed(ErrorCode::Internal)) {
            Verdict::Allowed(granted) => Ok(granted),
            Verdict::Failed(error) => self.counted(Err(error)),
            Verdict::Refused(refusal) => {
                rejected.inc(Rejection::Hook);
                Err(refusal.into())
            }
            Verdict::Ended(farewell) => {
                rejected.inc(Rejection::Hook);
                self.stay.outbox.close_with(farewell);
                Err(ErrorCode::Stopped.into())
            }
        }
    }

    /// Leave for one question.
    fn question(&self) -> Result<SemaphorePermit<'_>, ErrorCode> {
        self.shared().questions.try_acquire().map_err(|_| ErrorCode::TooManyRequests)
    }

    fn counted<T>(&self, outcome: Result<T, impl Into<Refusal>>) -> Result<T, Refusal> {
        outcome.map_err(Into::into).inspect_err(|why: &Refusal| {
            if let Some(rejection) = why.code().rejection() {
                self.shared().gateway.hub.metrics.rejected.inc(rejection);
            }
        })
    }
}

/// Data as one line of JSON.
fn json<T: Serialize + ?Sized>(data: &T) -> Result<Bytes, ErrorCode> {
    let value = to_raw_value(data).map_err(|_| ErrorCode::BadRequest)?;
    Ok(Bytes::from(single_line(&value).into_owned()))
}
