//! What a transport is given: everything a client can ask for, whatever protocol it speaks.

use std::{
    net::IpAddr,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU8, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;
use slab::Slab;
use smallvec::smallvec;

use super::{
    Disconnect, EndpointKind, ErrorCode, Outbox, Refusal,
    accept::{Admission, Place},
};
use crate::{
    auth::{Action, AuthError, Authenticator, Caller, Grant, Identity, Namespaces, permit},
    backplane::{Ack, Backplane, Envelope},
    channel::{Arrival, Confirm, Ended, Entered, Recover, SubscribeError},
    clock::now_ms,
    cluster::Answerer,
    codec::Encoder,
    config::{Limits, Namespace},
    hooks::Hooks,
    hub::Hub,
    keyring::Keyring,
    message::{Channel, ClientId, Message, Source, Target, Targets},
    metrics::{Origin, Rejection},
    pipeline::Pipeline,
    registry::Client,
};

mod asks;
mod entrance;
mod events;
mod history;
mod info;
mod orders;

pub use asks::{End, Greeting};
use info::describe;

/// Whether clients are let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not yet.
    Starting,
    /// Now.
    Open,
    /// No more.
    Draining,
}

/// The broker as transports see it.
pub struct Gateway {
    /// Clients and channels of this instance.
    pub hub: Arc<Hub>,
    /// What joins it to other instances.
    pub backplane: Arc<dyn Backplane>,
    /// The line that messages take.
    pub pipeline: Arc<Pipeline>,
    /// Who may connect.
    pub auth: Arc<Keyring>,
    /// Who may do what in which channel.
    pub namespaces: Namespaces,
    /// What a client may use.
    pub limits: Limits,
    /// What is asked of clients before they go on.
    pub hooks: Hooks,
    /// What answers the questions of other instances to an endpoint.
    pub answerer: OnceLock<Weak<dyn Answerer>>,
    phase: AtomicU8,
    /// Connections that have not said who they are.
    newcomers: Mutex<Slab<Arc<Outbox>>>,
}

impl Gateway {
    /// A gateway of these parts.
    pub fn new(pipeline: Arc<Pipeline>, auth: Authenticator, namespaces: Namespaces, limits: Limits) -> Self {
        let cluster = pipeline.cluster.clone();
        Self {
            hub: cluster.hub.clone(),
            backplane: cluster.backplane.clone(),
            pipeline,
            auth: Arc::new(Keyring::new(auth)),
            namespaces,
            limits,
            hooks: Hooks::default(),
            answerer: OnceLock::new(),
            phase: AtomicU8::new(Phase::Starting as u8),
            newcomers: Mutex::default(),
        }
    }

    /// The same with these hooks.
    #[must_use]
    pub fn with_hooks(self, hooks: Hooks) -> Self {
        Self { hooks, ..self }
    }

    /// From now on clients are let in, or no more.
    pub fn enter_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// Whether clients are let in.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Open,
            _ => Phase::Draining,
        }
    }

    /// A place for somebody who has come from this address; a refusal is counted.
    ///
    /// # Errors
    /// Why there is none.
    pub fn admit(&self, admission: &Arc<Admission>, from: IpAddr) -> Result<Place, Rejection> {
        let place = match self.phase() {
            Phase::Open => admission.connect(from),
            Phase::Starting | Phase::Draining => Err(Rejection::Draining),
        };
        place.inspect_err(|reason| self.hub.metrics.rejected.inc(*reason))
    }

    /// Who comes with this token; a refusal is counted.
    ///
    /// # Errors
    /// How the connection has to end.
    pub fn identify(&self, token: &str) -> Result<Identity, Disconnect> {
        self.auth.connect(token, now_ms() / 1000).map_err(|error| {
            let (reason, disconnect) = match error {
                AuthError::NoToken => (Rejection::NoToken, Disconnect::PermissionDenied),
                AuthError::Invalid(_) => (Rejection::InvalidToken, Disconnect::InvalidToken),
                AuthError::Expired => (Rejection::ExpiredToken, Disconnect::Expired),
            };
            self.hub.metrics.rejected.inc(reason);
            disconnect
        })
    }

    /// Notes a connection that has not said who it is, so that a drain ends it; the number is for
    /// [`Gateway::no_newcomer`].
    pub fn newcomer(&self, outbox: Arc<Outbox>) -> usize {
        let number = self.newcomers.lock().insert(outbox.clone());
        // The drain may have looked before this one was noted.
        if self.phase() == Phase::Draining {
            outbox.close(Disconnect::Shutdown);
        }
        number
    }

    /// The connection is a client now, or gone.
    pub fn no_newcomer(&self, number: usize) {
        self.newcomers.lock().remove(number);
    }

    /// Ends the connections that have not said who they are.
    pub fn close_newcomers(&self, reason: Disconnect) {
        self.newcomers.lock().iter().for_each(|(_, outbox)| outbox.close(reason));
    }

    /// Lets a client in that has said who it is, and is to have this new `id`.
    pub fn connect(
        &self,
        id: ClientId,
        identity: Identity,
        endpoint: EndpointKind,
        outbox: Arc<Outbox>,
        encoder: Arc<dyn Encoder>,
    ) -> Result<Arc<Client>, Disconnect> {
        if self.phase() != Phase::Open {
            return Err(Disconnect::Shutdown);
        }
        let info = describe(id, &identity);
        let client = Arc::new(Client::connecting(id, &identity.user, info, endpoint, outbox, encoder));
        self.hub.registry.insert(client.clone());
        self.backplane.register(client.record());
        Ok(client)
    }

    /// Forgets a client whose connection has ended, for this reason.
    pub fn disconnected(&self, client: &Arc<Client>, reason: Disconnect) {
        for channel in client.channels() {
            self.unsubscribe(client, &channel);
        }
        self.hub.registry.remove(client.id);
        self.backplane.unregister(client.id);
        self.hooks.disconnected(|| asks::gone(client, reason));
    }

    /// The channel of this name; the same allocation for all while somebody is subscribed to it.
    pub fn channel(&self, name: &str) -> Result<Channel, ErrorCode> {
        match self.hub.channels.get(name) {
            Some(topic) => Ok(topic.channel.clone()),
            None => Channel::parse(name, self.limits.channel_length).map_err(|_| ErrorCode::BadChannel),
        }
    }

    fn namespace(&self, channel: &Channel) -> Result<&Namespace, ErrorCode> {
        self.namespaces.of(channel.as_str()).ok_or(ErrorCode::UnknownChannel)
    }

    /// Subscribes a client, of whom `info` may say more in the channel than its token. `tell` is called once with the
    /// outcome; after a success nothing that is published from then on is missed, nor, in a channel with history, what
    /// it is to recover, if it is there. Returns when the token expires, in
    /// seconds since 1970, however the subscribing ends: what counts is [`Client::first_expiry`] when that time has
    /// come.
    pub fn subscribe(
        self: &Arc<Self>,
        client: &Arc<Client>,
        channel: &str,
        token: &str,
        info: Option<Bytes>,
        recover: Option<Recover>,
        tell: impl FnOnce(Result<Option<Box<Arrival>>, ErrorCode>) + Send + Sync + 'static,
    ) -> Option<u64> {
        let (channel, namespace, mut grant) = match self.may_subscribe(client, channel, token) {
            Ok(admitted) => admitted,
            Err(error) => {
                tell(Err(error));
                return None;
            }
        };
        let expires_at = grant.as_ref().and_then(|grant| grant.expires_at);
        if info.is_some() {
            grant = Some(Grant { info, expires_at });
        }
        self.enter(client, channel, namespace, (grant, recover), tell);
        expires_at
    }

    /// Subscribes a client that may be: the rest of [`Gateway::subscribe`].
    fn enter(
        self: &Arc<Self>,
        client: &Arc<Client>,
        channel: Channel,
        namespace: &Namespace,
        (grant, recover): (Option<Grant>, Option<Recover>),
        tell: impl FnOnce(Result<Option<Box<Arrival>>, ErrorCode>) + Send + Sync + 'static,
    ) {
        let then = self.entrance(client, &channel, namespace, grant);
        let stream = self.joining(namespace, recover);
        let tell = {
            let (gateway, channel) = (self.clone(), channel.clone());
            move |outcome: Entered| {
                match &outcome {
                    Ok(arrival) => gateway.count_recovery(arrival.as_deref()),
                    Err(SubscribeError::Unavailable(_)) => {
                        gateway.hub.channels.close_if_unused(&channel, &*gateway.backplane);
                    }
                    Err(_) => {}
                }
                tell(outcome.map_err(ErrorCode::from));
            }
        };
        let confirm = Confirm { tell: Box::new(tell), then, stream };
        let limit = self.limits.channels_per_client;
        self.hub.channels.subscribe(client, &channel, limit, &*self.backplane, confirm);
    }

    /// Whether a client may subscribe: the channel, its rules, and what its token gave.
    fn may_subscribe(
        &self,
        client: &Client,
        channel: &str,
        token: &str,
    ) -> Result<(Channel, &Namespace, Option<Grant>), ErrorCode> {
        let channel = self.channel(channel)?;
        let namespace = self.namespace(&channel)?;
        let grant = match token {
            "" => None,
            token => {
                let id = client.id.to_string();
                let grant = self.auth.subscribe(token, channel.as_str(), &id, &client.user, now_ms() / 1000);
                Some(grant.map_err(|error| match error {
                    AuthError::Expired => ErrorCode::TokenExpired,
                    AuthError::NoToken | AuthError::Invalid(_) => ErrorCode::PermissionDenied,
                })?)
            }
        };
        let caller = Caller { token: grant.is_some(), subscribed: false };
        permit(namespace, Action::Subscribe, caller).map_err(|_| ErrorCode::PermissionDenied)?;
        Ok((channel, namespace, grant))
    }

    /// Tells all subscribers, here and elsewhere.
    fn tell(&self, channel: &Channel, envelope: &Envelope<'_>) {
        self.backplane.publish(channel, envelope, Ack::ignore());
        self.hub.deliver(channel.as_str(), envelope, Origin::Local);
    }

    /// Ends a subscription; ending one that does not exist is no error.
    pub fn unsubscribe(&self, client: &Client, channel: &Channel) {
        if let Some(ended) = self.hub.channels.unsubscribe(client, channel, &*self.backplane) {
            self.has_left(client, channel, &ended);
        }
    }

    /// Tells the others that a client is no longer subscribed.
    fn has_left(&self, client: &Client, channel: &Channel, ended: &Ended) {
        if self.namespace(channel).is_ok_and(Namespace::tracks_presence) {
            self.backplane.leave(channel, client.id);
        }
        client.announce_end(ended, || self.tell(channel, &Envelope::Leave(client.id, &ended.info)));
    }

    /// The channel, if its rules let the client do this in it, and what others may know of the client there.
    fn channel_for(
        &self,
        client: &Client,
        action: Action,
        channel: &str,
    ) -> Result<(Channel, Bytes), ErrorCode> {
        let channel = self.channel(channel)?;
        let namespace = self.namespace(&channel)?;
        let (subscribed, info) = client.standing_in(&channel);
        permit(namespace, action, Caller { token: false, subscribed })
            .map_err(|_| ErrorCode::PermissionDenied)?;
        Ok((channel, info))
    }

    /// The channel, if the client may publish into it, and what others may know of the client there.
    fn may_publish(&self, client: &Client, channel: &str) -> Result<(Channel, Bytes), ErrorCode> {
        self.channel_for(client, Action::Publish, channel)
    }

    /// Publishes for a client. Either `ack` is told what the backplane said, or an error is returned.
    pub fn publish(&self, client: &Client, channel: &str, data: Bytes, ack: Ack) -> Result<(), Refusal> {
        let (channel, info) = match self.may_publish(client, channel) {
            Ok(found) => found,
            Err(error) => {
                ack.cancel();
                return Err(error.into());
            }
        };
        let message = message(client, info, smallvec![Target::Channel(channel)], data);
        self.pipeline.publish(message, ack).map_err(Refusal::from)
    }

    /// Hands a payload of a client to the logic modules that take such; nobody is told what they make of it.
    pub fn send(&self, client: &Client, data: Bytes) -> Result<(), Refusal> {
        let targets: Targets = self.pipeline.logic.for_sends().cloned().map(Target::Logic).collect();
        if targets.is_empty() {
            return Err(ErrorCode::NotAvailable.into());
        }
        let message = message(client, client.info.clone(), targets, data);
        self.pipeline.publish(message, Ack::ignore()).map_err(Refusal::from)
    }

    /// Calls a logic module for a client, and gives back its answer as JSON.
    pub async fn call(&self, client: &Client, logic: &str, data: Bytes) -> Result<Bytes, Refusal> {
        let modules = &self.pipeline.logic;
        let name = modules.for_calls(logic).ok_or(match modules.takes_calls() {
            true => ErrorCode::MethodNotFound,
            false => ErrorCode::NotAvailable,
        })?;
        let message = message(client, client.info.clone(), smallvec![Target::Logic(name.clone())], data);
        let answer = self.pipeline.call(name, message).await??;
        Ok(answer.unwrap_or_else(|| Bytes::from_static(b"null")))
    }

    /// The channel, if the client may see who is in it.
    pub fn presence_channel(&self, client: &Client, channel: &str) -> Result<Channel, ErrorCode> {
        self.channel_for(client, Action::Presence, channel).map(|(channel, _)| channel)
    }
}

/// A message of a client, of which others may know this.
fn message(client: &Client, info: Bytes, targets: Targets, data: Bytes) -> Message {
    let mut message = Message::to(Source::Client { id: client.id, info }, targets, data);
    message.endpoint = Some(client.endpoint.as_str());
    message
}
