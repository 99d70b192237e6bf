//! One client of the endpoint, from its coming to its going.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{
    Endpoint,
    events::come_back,
    hello::{Hello, Wanted},
};
use crate::{
    auth::Identity,
    channel::Recover,
    codec::sse::{Connect, Subscribed, write_connect},
    endpoint::{
        Disconnect, EndpointKind, ErrorCode, Greeting, Outbox,
        accept::{Peer, Place},
        gateway::End,
        session::advice,
    },
    hooks::{Refusal, Verdict},
    message::ClientId,
    metrics::{ClientCommand, Rejection},
    registry::Client,
};

/// A client that was let in. It goes when this is dropped.
pub(super) struct Session {
    endpoint: Arc<Endpoint>,
    pub(super) client: Arc<Client>,
    pub(super) outbox: Arc<Outbox>,
    /// When its token expires, in seconds since 1970.
    pub(super) token_expires: Option<u64>,
    ended: bool,
    _place: Place,
    /// A drain waits for it.
    _open: TaskTrackerToken,
}

/// Who is let in.
struct Newcomer {
    id: ClientId,
    identity: Identity,
    /// When it has to go by a hook, in seconds since 1970.
    end: Option<u64>,
}

impl Session {
    /// Lets a client in, if it may come, and subscribes it. With it comes the first event, which says so.
    pub(super) async fn begin(
        endpoint: &Arc<Endpoint>,
        hello: &Hello,
        peer: Peer,
    ) -> Result<(Self, Vec<u8>), End> {
        endpoint.metrics.received.inc(ClientCommand::Connect);
        let place = take_place(endpoint, peer)?;
        let newcomer = identify(endpoint, hello).await?;
        let session = Self::connect(endpoint, newcomer, place)?;
        let channels = session.subscribe(&hello.channels).await;
        // A subscription that failed for now may be had in a moment, and the stream could not bring it any more.
        if channels.iter().any(|(_, outcome)| outcome.as_ref().is_err_and(|refusal| refusal.temporary)) {
            session.outbox.close(Disconnect::ServerError);
        }
        let connect = Connect {
            client: session.client.id,
            node: endpoint.gateway.hub.address.instance.as_str(),
            ping: endpoint.settings.ping_interval.as_secs(),
            channels: &channels,
        };
        let mut opening = Vec::new();
        write_connect(&connect, come_back(), &mut opening);
        Ok((session, opening))
    }

    fn connect(endpoint: &Arc<Endpoint>, newcomer: Newcomer, place: Place) -> Result<Self, Disconnect> {
        let gateway = &endpoint.gateway;
        let outbox = Arc::new(Outbox::new(endpoint.settings.outbox_size));
        let Newcomer { id, identity, end } = newcomer;
        let token_expires = [identity.expires_at, end].into_iter().flatten().min();
        // A drain finds it among those who are coming, or among the clients.
        let newcomer = gateway.newcomer(outbox.clone());
        let encoder = endpoint.encoder.clone();
        let client = gateway.connect(id, identity, EndpointKind::Sse, outbox.clone(), encoder);
        gateway.no_newcomer(newcomer);
        let client = client?;
        endpoint.metrics.connects.inc();
        endpoint.metrics.connections.inc();
        let open = endpoint.connections.token();
        Ok(Self {
            endpoint: endpoint.clone(),
            client,
            outbox,
            token_expires,
            ended: false,
            _place: place,
            _open: open,
        })
    }

    /// Subscribes to what is wanted, and waits until it is known for each channel how that went. A hook is asked about
    /// one channel after the other, so that no client has more of its time than another.
    async fn subscribe(&self, wanted: &[Wanted]) -> Vec<(String, Subscribed)> {
        let gateway = &self.endpoint.gateway;
        // The first event brings what was missed of all of them.
        let room = self.outbox.limit() / wanted.len().max(1);
        let mut outcomes = Vec::with_capacity(wanted.len());
        for Wanted { channel, token, since } in wanted {
            self.endpoint.metrics.received.inc(ClientCommand::Subscribe);
            let (tell, told) = oneshot::channel();
            let refused = match self.ask(channel, token).await {
                Ok(info) => {
                    let recover = since.map(|since| Recover { since, room });
                    gateway.subscribe(&self.client, channel, token, info, recover, move |outcome| {
                        // Nobody wants to know when the client has gone in the meantime.
                        let _ = tell.send(outcome);
                    });
                    None
                }
                Err(refusal) => Some(refusal),
            };
            outcomes.push(async move {
                let outcome = match refused {
                    Some(refusal) => Err(refusal),
                    None => {
                        told.await.unwrap_or(Err(ErrorCode::Internal)).map_err(|error| self.refused(error))
                    }
                };
                (channel.clone(), outcome)
            });
        }
        join_all(outcomes).await
    }

    /// Asks the hook, if there is one, whether the client may subscribe, and what it says of the client there.
    async fn ask(&self, channel: &str, token: &str) -> Result<Option<Bytes>, Refusal> {
        let gateway = &self.endpoint.gateway;
        let Some(hook) = gateway.hooks.subscribe(channel) else { return Ok(None) };
        if self.outbox.closing().is_some() {
            return Err(self.refused(ErrorCode::PermissionDenied));
        }
        let asked = gateway.ask_to_subscribe(hook, &self.client, channel, token);
        let asked = asked.map_err(|error| self.refused(error))?;
        match asked.await.unwrap_or(Verdict::Failed(ErrorCode::Internal)) {
            Verdict::Allowed(granted) => Ok(granted.info),
            Verdict::Failed(error) => Err(self.refused(error)),
            Verdict::Refused(refusal) => {
                self.endpoint.refuse(Rejection::Hook);
                Err(refusal)
            }
            Verdict::Ended(farewell) => {
                self.outbox.close_with(farewell);
                Err(self.refused(ErrorCode::PermissionDenied))
            }
        }
    }

    /// Counts a refusal, as it is told.
    fn refused(&self, error: ErrorCode) -> Refusal {
        if let Some(reason) = error.rejection() {
            self.endpoint.refuse(reason);
        }
        error.into()
    }

    /// The time until a token expires, the client's or that of a subscription that there is; `None` when none does.
    pub(super) fn expires_in(client: &Client, token_expires: Option<u64>) -> Option<Duration> {
        let expires = [token_expires, client.first_expiry()].into_iter().flatten().min()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(Duration::from_secs(expires).saturating_sub(now))
    }

    /// The client has gone, for this reason.
    pub(super) fn end(&mut self, reason: Disconnect) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.endpoint.metrics.disconnects.inc(reason);
        self.endpoint.metrics.connections.dec();
        self.endpoint.gateway.disconnected(&self.client, reason);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A client that was to be closed may be gone, or cut off, before it could be told.
        self.end(self.outbox.closing().unwrap_or(Disconnect::Gone));
    }
}

fn take_place(endpoint: &Endpoint, peer: Peer) -> Result<Place, Disconnect> {
    endpoint.gateway.admit(&endpoint.admission, peer.0.ip()).map_err(advice)
}

/// Who comes, by its token and by what a hook says of it.
async fn identify(endpoint: &Endpoint, hello: &Hello) -> Result<Newcomer, End> {
    let id = ClientId::generate();
    let greeting = Greeting { token: &hello.token, name: hello.name.as_deref(), data: hello.data.as_deref() };
    let (identity, end) = endpoint.gateway.who_connects(id, EndpointKind::Sse, None, &greeting).await?;
    Ok(Newcomer { id, identity, end })
}
