//! One client of the endpoint, from its coming to its going.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

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
    codec::sse::{Connect, write_connect},
    endpoint::{
        Disconnect, EndpointKind, ErrorCode, Outbox,
        accept::{Peer, Place},
        session::advice,
    },
    metrics::ClientCommand,
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

impl Session {
    /// Lets a client in, if it may come, and subscribes it. With it comes the first event, which says so.
    pub(super) async fn begin(
        endpoint: &Arc<Endpoint>,
        hello: &Hello,
        peer: Peer,
    ) -> Result<(Self, Vec<u8>), Disconnect> {
        endpoint.metrics.received.inc(ClientCommand::Connect);
        let place = take_place(endpoint, peer)?;
        let identity = endpoint.gateway.identify(&hello.token)?;
        let session = Self::connect(endpoint, identity, place)?;
        let channels = session.subscribe(&hello.channels).await;
        // A subscription that failed for now may be had in a moment, and the stream could not bring it any more.
        if channels.iter().any(|(_, outcome)| outcome.is_err_and(ErrorCode::is_temporary)) {
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

    fn connect(endpoint: &Arc<Endpoint>, identity: Identity, place: Place) -> Result<Self, Disconnect> {
        let gateway = &endpoint.gateway;
        let outbox = Arc::new(Outbox::new(endpoint.settings.outbox_size));
        let token_expires = identity.expires_at;
        // A drain finds it among those who are coming, or among the clients.
        let newcomer = gateway.newcomer(outbox.clone());
        let client = gateway.connect(identity, EndpointKind::Sse, outbox.clone(), endpoint.encoder.clone());
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

    /// Subscribes to what is wanted, and waits until it is known for each channel how that went.
    async fn subscribe(&self, wanted: &[Wanted]) -> Vec<(String, Result<(), ErrorCode>)> {
        let gateway = &self.endpoint.gateway;
        let outcomes = wanted.iter().map(|Wanted { channel, token }| {
            self.endpoint.metrics.received.inc(ClientCommand::Subscribe);
            let (tell, told) = oneshot::channel();
            gateway.subscribe(&self.client, channel, token, move |outcome| {
                // Nobody wants to know when the client has gone in the meantime.
                let _ = tell.send(outcome);
            });
            async move { (channel.clone(), told.await.unwrap_or(Err(ErrorCode::Internal))) }
        });
        let outcomes = join_all(outcomes).await;
        for error in outcomes.iter().filter_map(|(_, outcome)| outcome.err()) {
            if let Some(reason) = error.rejection() {
                self.endpoint.refuse(reason);
            }
        }
        outcomes
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
        self.endpoint.gateway.disconnected(&self.client);
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
