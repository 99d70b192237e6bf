//! What a logic module is given: everything that it may do.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::{
    backplane::{Ack, Unavailable},
    cluster::{Answered, AskError, Asked, Change, Changed, Extent, Found, Page, Reach, Who},
    codec::centrifuge::single_line,
    endpoint::{Disconnect, ErrorCode, Refusal},
    message::{ClientId, Except, InstanceId, LogicName, Message, Rejection, Source, Target, Targets},
    pipeline::{Pipeline, Receipt},
    registry::{Metadata, Query},
};

/// What a logic module may do: send, look at all clients, disconnect them.
pub struct Context {
    name: LogicName,
    instance: InstanceId,
    /// Modules are part of what they send through, so they do not keep it alive.
    pipeline: Weak<Pipeline>,
    stop: CancellationToken,
}

/// Why a module could not send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The payload is not JSON, which is what clients are sent.
    #[error("the payload is not JSON: {0}")]
    Payload(String),
    /// A middleware has stopped the message.
    #[error("{}", .0.message)]
    Rejected(Rejection),
    /// The instance has ended.
    #[error("the instance has ended")]
    Ended,
}

impl Context {
    pub(super) fn new(name: LogicName, pipeline: &Arc<Pipeline>, stop: CancellationToken) -> Self {
        let instance = pipeline.cluster.hub.address.instance.clone();
        Self { name, instance, pipeline: Arc::downgrade(pipeline), stop }
    }

    /// One that can be stopped by itself.
    pub(super) fn child(&self) -> Self {
        let (name, instance) = (self.name.clone(), self.instance.clone());
        Self { name, instance, pipeline: self.pipeline.clone(), stop: self.stop.child_token() }
    }

    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// The module's own name.
    pub fn name(&self) -> &LogicName {
        &self.name
    }

    /// The instance that this runs on.
    pub fn instance(&self) -> &InstanceId {
        &self.instance
    }

    /// Sends a payload, which must be JSON, to one target, and says what became of it.
    pub async fn send(&self, target: Target, payload: impl Into<Bytes>) -> Result<Receipt, SendError> {
        self.send_to([target], payload, Metadata::new()).await
    }

    /// Sends a payload, which must be JSON, to several targets, with metadata.
    pub async fn send_to(
        &self,
        targets: impl IntoIterator<Item = Target>,
        payload: impl Into<Bytes>,
        metadata: Metadata,
    ) -> Result<Receipt, SendError> {
        let message = self.message(targets, payload.into(), metadata)?;
        let pipeline = self.pipeline.upgrade().ok_or(SendError::Ended)?;
        pipeline.send(message).await.map_err(SendError::Rejected)
    }

    /// The same, but for some of those in the channels, or of everyone. A channel with history keeps nothing of it.
    pub async fn send_except(
        &self,
        targets: impl IntoIterator<Item = Target>,
        except: Except,
        payload: impl Into<Bytes>,
        metadata: Metadata,
    ) -> Result<Receipt, SendError> {
        let message = self.message(targets, payload.into(), metadata)?.but(Some(except));
        let pipeline = self.pipeline.upgrade().ok_or(SendError::Ended)?;
        pipeline.send(message).await.map_err(SendError::Rejected)
    }

    /// Sends a payload, which must be JSON, to several targets, with metadata, and waits for none of them: local clients
    /// have it when this returns. Some may be excepted, as with [`Context::send_except`]. What it gives back ends when
    /// the backplane has taken what is for channels or everyone.
    pub fn post(
        &self,
        targets: Targets,
        except: Option<Except>,
        payload: Bytes,
        metadata: Metadata,
    ) -> Result<impl Future<Output = Result<(), Unavailable>> + Send + use<>, SendError> {
        let message = self.message(targets, payload, metadata)?.but(except);
        let pipeline = self.pipeline.upgrade().ok_or(SendError::Ended)?;
        let (ack, taken) = Ack::channel();
        pipeline.publish(message, ack).map_err(SendError::Rejected)?;
        Ok(taken)
    }

    /// Has clients of Socket.IO answer an event, a JSON array of its name and its arguments, on whatever instances they are.
    /// Each has so long, or else `endpoints.socketio.ack_timeout`.
    ///
    /// # Errors
    /// Why nobody was asked.
    pub async fn ask(
        &self,
        whom: Asked,
        event: impl Into<Bytes>,
        within: Option<Duration>,
    ) -> Result<Answered, AskError> {
        let message = self.message([], event.into(), Metadata::new());
        let message = message.map_err(|_| AskError::NoEvent("it is not JSON"))?;
        let pipeline = self.pipeline.upgrade().ok_or(Unavailable::Closed)?;
        pipeline.ask(message, whom, within).await
    }

    fn message(
        &self,
        targets: impl IntoIterator<Item = Target>,
        payload: Bytes,
        metadata: Metadata,
    ) -> Result<Message, SendError> {
        let payload = one_line(payload).map_err(|error| SendError::Payload(error.to_string()))?;
        let targets: Targets = targets.into_iter().collect();
        let mut message = Message::to(Source::Logic(self.name.clone()), targets, payload);
        message.metadata = metadata;
        Ok(message)
    }

    /// One page of the clients of all instances.
    pub async fn clients(&self, query: &Query) -> Result<Page, Unavailable> {
        self.pipeline.upgrade().ok_or(Unavailable::Closed)?.cluster.clients(query).await
    }

    /// The clients of this instance that are asked for: a page of them, at once.
    pub fn local_clients(&self, query: &Query) -> Page {
        let Some(pipeline) = self.pipeline.upgrade() else { return Page::default() };
        pipeline.cluster.local_clients(query)
    }

    /// Where a client is, and what is known of it.
    pub async fn find(&self, client: ClientId) -> Result<Option<Found>, Unavailable> {
        self.pipeline.upgrade().ok_or(Unavailable::Closed)?.cluster.find(client).await
    }

    /// Ends a client, or all clients of a user, on whichever instances. How many there were. A client in a namespace of
    /// Socket.IO goes out of that, and others on its connection go on, unless the reason tells it to come back.
    pub async fn disconnect(&self, who: &Who, reason: Disconnect) -> Result<usize, Unavailable> {
        self.end(who, reason, Extent::Client).await
    }

    /// The same with their connections, and so with whoever shares these.
    pub async fn disconnect_connection(&self, who: &Who, reason: Disconnect) -> Result<usize, Unavailable> {
        self.end(who, reason, Extent::Connection).await
    }

    pub(super) async fn end(
        &self,
        who: &Who,
        reason: Disconnect,
        extent: Extent,
    ) -> Result<usize, Unavailable> {
        let pipeline = self.pipeline.upgrade().ok_or(Unavailable::Closed)?;
        pipeline.cluster.disconnect(who, reason, extent).await.map(|(count, _)| count)
    }

    /// Subscribes clients to a channel, or ends that, on whichever instances, whatever the rules of the namespace say of
    /// those that ask for it themselves. What has become of them.
    ///
    /// # Errors
    /// No channel can have this name, its namespace is not configured, or not every instance has answered that may have
    /// such clients: what the others have done stays done.
    pub async fn change(&self, who: &Who, channel: &str, change: Change) -> Result<Changed, Refusal> {
        let pipeline = self.pipeline.upgrade();
        let gateway = pipeline.and_then(|pipeline| pipeline.cluster.gateway());
        let gateway = gateway.ok_or(ErrorCode::Internal)?;
        match gateway.change_subscriptions(who, channel, change).await? {
            Ok((changed, true)) => Ok(changed),
            Ok((_, false)) | Err(_) => Err(ErrorCode::Internal.into()),
        }
    }

    /// Notes texts of a client for all instances; an empty one removes what was noted under that name.
    pub async fn note(&self, client: ClientId, metadata: &Metadata) -> Reach {
        match self.pipeline.upgrade() {
            Some(pipeline) => pipeline.cluster.note(client, metadata).await,
            None => Reach::Unreachable,
        }
    }

    /// Ends when the module is to end.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Whether the module is to end.
    pub fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }
}

/// Checks that it is JSON, as it may stand in a line.
fn one_line(payload: Bytes) -> serde_json::Result<Bytes> {
    let json: &serde_json::value::RawValue = serde_json::from_slice(&payload)?;
    match single_line(json) {
        // The usual case: nothing is copied.
        std::borrow::Cow::Borrowed(text) if text.len() == payload.len() => Ok(payload),
        text => Ok(Bytes::from(text.into_owned())),
    }
}
