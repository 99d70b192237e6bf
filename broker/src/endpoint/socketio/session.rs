//! One connection, whatever transport it has at the time.

use std::{collections::HashMap, sync::Arc};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{Endpoint, Namespace, asks::Unanswered, request::Fault, sid};
use crate::{
    clock::now_ms,
    codec::{
        engineio::{NOOP, PING},
        socketio::{Partial, write_disconnect},
        websocket::write_text,
    },
    config::Transport,
    endpoint::{
        Disconnect, Outbox,
        accept::{Peer, Place},
    },
    message::ClientId,
    metrics::Rejection,
    registry::Client,
};

/// The connection of a client, and its namespace.
pub(super) type OfClient = (Arc<Session>, Arc<Namespace>);

/// The connections of this instance.
#[derive(Default)]
pub(super) struct Sessions {
    by_sid: Mutex<HashMap<String, Arc<Session>>>,
    by_client: Mutex<HashMap<ClientId, OfClient>>,
}

impl Sessions {
    /// The connection of this name.
    pub(super) fn get(&self, sid: &str) -> Option<Arc<Session>> {
        self.by_sid.lock().get(sid).cloned()
    }

    /// The connection of a client, and its namespace.
    pub(super) fn of(&self, client: ClientId) -> Option<OfClient> {
        self.by_client.lock().get(&client).cloned()
    }

    /// The clients in a namespace.
    pub(super) fn in_namespace(&self, name: &str) -> Vec<ClientId> {
        let by_client = self.by_client.lock();
        let is_in = |(id, (_, namespace)): (&ClientId, &OfClient)| (namespace.name == name).then_some(*id);
        by_client.iter().filter_map(is_in).collect()
    }
}

/// One connection.
pub(super) struct Session {
    pub(super) sid: String,
    pub(super) endpoint: Arc<Endpoint>,
    /// What waits for it: frames of a WebSocket.
    pub(super) outbox: Arc<Outbox>,
    /// What it was asked and has not answered.
    pub(super) asked: Unanswered,
    /// The keeper is to look when it has to do something next.
    pub(super) changed: Notify,
    /// The client has been given the last that there was for it.
    pub(super) told: Notify,
    state: Mutex<State>,
    _place: Place,
    /// A drain waits for it.
    _open: TaskTrackerToken,
}

/// What changes of a connection.
pub(super) struct State {
    /// Where what waits is written to.
    pub(super) transport: Transport,
    /// The WebSocket is on another instance, which asks for what waits.
    pub(super) is_relayed: bool,
    /// A WebSocket is there that the connection may move to.
    pub(super) is_upgrading: bool,
    /// A request waits for something to be told.
    pub(super) is_polled: bool,
    /// A request brings something.
    pub(super) is_posting: bool,
    /// An answer to the last ping has come.
    ponged: bool,
    /// The number as a newcomer, until it is a client in some namespace.
    newcomer: Option<usize>,
    /// The clients that it is.
    pub(super) joined: Vec<Joined>,
    /// A packet whose attachments have not all come.
    pub(super) partial: Option<Partial>,
    /// When the first of its tokens expires, in seconds since 1970.
    end: Option<u64>,
    was_client: bool,
    ended: bool,
}

/// A connection in a namespace: one client.
#[derive(Clone)]
pub(super) struct Joined {
    pub(super) namespace: Arc<Namespace>,
    pub(super) client: Arc<Client>,
}

/// A connection as long as it is kept; dropping it is the end of it.
pub(super) struct Kept(pub(super) Arc<Session>);

impl Drop for Kept {
    fn drop(&mut self) {
        let session = &self.0;
        // Whoever waits for it, or has something for it, is told.
        session.outbox.close(Disconnect::Gone);
        session.end(session.outbox.closing().unwrap_or(Disconnect::Gone));
        session.endpoint.sessions.by_sid.lock().remove(&session.sid);
    }
}

/// A place for a client.
///
/// # Errors
/// There is none, which was counted.
pub(super) fn admit(endpoint: &Endpoint, peer: Peer) -> Result<Place, Fault> {
    endpoint.gateway.admit(&endpoint.admission, peer.0.ip()).map_err(|reason| match reason {
        Rejection::AddressLimit => Fault::AddressFull,
        _ => Fault::Full,
    })
}

impl Session {
    /// A new connection, whose first packet tells the client how it is kept.
    ///
    /// # Errors
    /// There is no place for it.
    pub(super) fn begin(
        endpoint: &Arc<Endpoint>,
        peer: Peer,
        transport: Transport,
    ) -> Result<(Arc<Self>, Kept), Fault> {
        let gateway = &endpoint.gateway;
        let place = admit(endpoint, peer)?;
        let outbox = Arc::new(Outbox::new(endpoint.settings.outbox_size));
        let sid = sid::new(&gateway.hub.address);
        let newcomer = Some(gateway.newcomer(outbox.clone()));
        let state = State {
            transport,
            is_relayed: false,
            is_upgrading: false,
            is_polled: false,
            is_posting: false,
            ponged: false,
            newcomer,
            joined: Vec::new(),
            partial: None,
            end: None,
            was_client: false,
            ended: false,
        };
        let session = Arc::new(Self {
            sid,
            endpoint: endpoint.clone(),
            outbox,
            asked: Unanswered::default(),
            changed: Notify::new(),
            told: Notify::new(),
            state: Mutex::new(state),
            _place: place,
            _open: endpoint.connections.token(),
        });
        session.push_text(&session.opening(transport));
        endpoint.sessions.by_sid.lock().insert(session.sid.clone(), session.clone());
        Ok((session.clone(), Kept(session)))
    }

    /// The first packet.
    fn opening(&self, transport: Transport) -> String {
        let settings = &self.endpoint.settings.endpoint;
        let may_upgrade = transport == Transport::Polling
            && settings.upgrades
            && self.endpoint.offers(Transport::Websocket);
        let upgrades = if may_upgrade { r#""websocket""# } else { "" };
        format!(
            r#"0{{"sid":"{}","upgrades":[{upgrades}],"pingInterval":{},"pingTimeout":{},"maxPayload":{}}}"#,
            self.sid,
            settings.ping_interval.get().as_millis(),
            settings.ping_timeout.get().as_millis(),
            settings.max_payload.bytes(),
        )
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Puts a packet of Engine.IO into the outbox; a full one closes itself.
    pub(super) fn push_text(&self, packet: &str) {
        let mut frame = Vec::with_capacity(packet.len() + 10);
        write_text(&mut frame, |out| out.extend_from_slice(packet.as_bytes()));
        let _ = self.outbox.push(&frame);
    }

    /// A WebSocket has been opened that the connection may move to.
    ///
    /// # Errors
    /// It may not, or there is another one.
    pub(super) fn may_move(&self) -> Result<(), Fault> {
        let mut state = self.state();
        let may_move = state.transport == Transport::Polling && self.endpoint.settings.endpoint.upgrades;
        if !may_move || std::mem::replace(&mut state.is_upgrading, true) {
            return Err(Fault::BadRequest);
        }
        Ok(())
    }

    /// The client has found that WebSocket good: a request that waits would hold it up.
    pub(super) fn probed(&self) {
        self.push_text(NOOP);
    }

    /// From now on all goes over that WebSocket, which may be on another instance.
    ///
    /// # Errors
    /// No WebSocket has been opened.
    pub(super) fn moved(&self, is_relayed: bool) -> Result<(), Fault> {
        let mut state = self.state();
        if !std::mem::replace(&mut state.is_upgrading, false) {
            return Err(Fault::BadRequest);
        }
        (state.transport, state.is_relayed) = (Transport::Websocket, is_relayed);
        Ok(())
    }

    /// That WebSocket is there no more: the connection stays where it is.
    pub(super) fn stays(&self) {
        self.state().is_upgrading = false;
    }

    /// Asks whether the client is still there.
    pub(super) fn ping(&self) {
        self.state().ponged = false;
        self.push_text(PING);
    }

    /// The client is still there.
    pub(super) fn pong(&self) {
        self.state().ponged = true;
    }

    /// Whether a pong has come since the last ping.
    pub(super) fn take_pong(&self) -> bool {
        std::mem::take(&mut self.state().ponged)
    }

    /// Whether it is a client in any namespace.
    pub(super) fn is_joined(&self) -> bool {
        !self.state().joined.is_empty()
    }

    /// It is a client in a namespace now, whose token expires then; unless the connection has ended.
    pub(super) fn join(self: &Arc<Self>, state: &mut State, joined: Joined, end: Option<u64>) -> bool {
        if state.ended {
            return false;
        }
        let metrics = &self.endpoint.metrics;
        metrics.connects.inc();
        metrics.connections.inc();
        let of_client = (self.clone(), joined.namespace.clone());
        self.endpoint.sessions.by_client.lock().insert(joined.client.id, of_client);
        state.joined.push(joined);
        state.was_client = true;
        state.end = [state.end, end].into_iter().flatten().min();
        if let Some(number) = state.newcomer.take() {
            self.endpoint.gateway.no_newcomer(number);
        }
        self.changed.notify_one();
        true
    }

    /// A client of it has gone, for this reason.
    pub(super) fn part(&self, joined: &Joined, reason: Disconnect) {
        let client = &joined.client;
        let of_client = self.endpoint.sessions.by_client.lock().remove(&client.id);
        self.endpoint.metrics.connections.dec();
        self.endpoint.metrics.disconnects.inc(reason);
        self.endpoint.gateway.disconnected(client, reason);
        self.endpoint.went_offline(joined, of_client);
    }

    /// When the first of its tokens expires, or of those of its subscriptions, in seconds since 1970.
    pub(super) fn expires(&self) -> Option<u64> {
        let state = self.state();
        let subscriptions = state.joined.iter().filter_map(|joined| joined.client.first_expiry());
        subscriptions.chain(state.end).min()
    }

    /// Ends what has expired.
    pub(super) fn end_expired(&self) {
        let now = now_ms() / 1000;
        let (end, joined) = {
            let state = self.state();
            (state.end, state.joined.clone())
        };
        if end.is_some_and(|end| end <= now) {
            return self.outbox.close(Disconnect::Expired);
        }
        joined.iter().for_each(|joined| self.endpoint.gateway.end_expired(&joined.client, now));
    }

    /// Appends what a client that is not to come back by itself is told in each namespace, and ends the connection.
    pub(super) fn farewell(&self, reason: Disconnect, out: &mut Vec<u8>) {
        if self.outbox.farewell(reason).stays_away() {
            self.state().joined.iter().for_each(|joined| write_disconnect(&joined.namespace.name, out));
        }
        self.end(reason);
    }

    /// The connection is over, for this reason.
    pub(super) fn end(&self, reason: Disconnect) {
        let (joined, newcomer) = {
            let mut state = self.state();
            if std::mem::replace(&mut state.ended, true) {
                return;
            }
            state.partial = None;
            if !state.was_client {
                self.endpoint.metrics.disconnects.inc(reason);
            }
            (std::mem::take(&mut state.joined), state.newcomer.take())
        };
        self.asked.end();
        if let Some(number) = newcomer {
            self.endpoint.gateway.no_newcomer(number);
        }
        joined.iter().for_each(|joined| self.part(joined, reason));
    }
}
