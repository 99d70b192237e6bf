//! One session: the task that sends what there is for it, and ends it when it has been silent.

use std::{future::poll_fn, net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use super::Endpoint;
use crate::{
    codec::centrifuge::Command,
    endpoint::{
        Disconnect, Outbox,
        accept::Place,
        outbox::Next,
        session::{CONNECT_WITHIN, Service, Session},
    },
};

/// Who is at an address.
pub(super) struct Peer {
    outbox: Arc<Outbox>,
    service: Arc<Service>,
    state: Mutex<State>,
    /// A hook is asked, whose verdict is to be waited for.
    asks: Notify,
}

struct State {
    session: Session,
    /// Until the session ends, or another one takes it.
    place: Option<Place>,
    /// When something came last.
    heard: Instant,
}

impl Peer {
    /// Somebody whose first commands have just come.
    pub(super) fn new(service: Arc<Service>, place: Place) -> Self {
        let outbox = Arc::new(Outbox::new(service.settings.outbox_size));
        let session = Session::new(service.clone(), outbox.clone());
        let state = State { session, place: Some(place), heard: Instant::now() };
        Self { outbox, service, state: Mutex::new(state), asks: Notify::new() }
    }

    /// Something came, whatever it was.
    pub(super) fn heard(&self) {
        let mut state = self.state.lock();
        // Until it has said who it is, its time runs from the beginning.
        if state.session.is_connected() {
            state.heard = Instant::now();
        }
    }

    /// Carries out the commands of one datagram.
    pub(super) fn handle<'a>(&self, commands: impl Iterator<Item = serde_json::Result<Command<'a>>>) {
        if self.outbox.closing().is_some() {
            return;
        }
        let session = &mut self.state.lock().session;
        session.begin_message();
        if let Err(reason) = session.commands(commands) {
            self.outbox.close(reason);
        }
        if session.is_asking() {
            self.asks.notify_one();
        }
    }

    /// What is to be sent next. In the meantime hooks that are asked are waited for.
    async fn next(&self) -> Next {
        loop {
            let next = poll_fn(|cx| {
                let session = &mut self.state.lock().session;
                if session.is_asking()
                    && let Err(reason) = session.settle(cx)
                {
                    self.outbox.close(reason);
                }
                self.outbox.poll_next(cx)
            });
            tokio::select! {
                next = next => return next,
                // Commands are carried out by another task, which asks where this one does not see it.
                () = self.asks.notified() => {}
            }
        }
    }

    /// Ends the session, after what is queued has been sent.
    pub(super) fn close(&self, reason: Disconnect) {
        self.outbox.close(reason);
    }

    /// Ends the session for one that the same client begins; that gets its place.
    pub(super) fn give_up(&self) -> Option<Place> {
        self.outbox.close(Disconnect::Gone);
        self.state.lock().place.take()
    }

    /// Serves the session to its end.
    pub(super) async fn run(self: Arc<Self>, endpoint: &Endpoint, address: SocketAddr) {
        let reason = self.serve(endpoint, address).await;
        self.state.lock().session.end(reason);
        // Who went by itself, or began anew, is told nothing.
        if reason != Disconnect::Gone {
            let mut end = Vec::new();
            self.service.encoder.end(&self.outbox.farewell(reason), &mut end);
            endpoint.send(&end, address).await;
        }
        endpoint.forget(address, &self);
        self.state.lock().place = None;
    }

    async fn serve(&self, endpoint: &Endpoint, address: SocketAddr) -> Disconnect {
        loop {
            let due = self.due(endpoint.settings.session_timeout);
            if due <= Instant::now() {
                // Looked at here, for somebody who is sent much would never be waited for.
                self.timed_out(endpoint.settings.session_timeout);
            }
            match timeout_at(due, self.next()).await {
                Ok(Next::Write(lines)) => endpoint.send(&lines, address).await,
                Ok(Next::Close(reason)) => return reason,
                Err(_) => {}
            }
        }
    }

    /// When there is something to be looked at, if nothing comes before. A command that changes it is answered, and
    /// this asked again.
    fn due(&self, timeout: Duration) -> Instant {
        let state = self.state.lock();
        let silent = state.heard + state.patience(timeout);
        let expiry = state.session.expires_in().and_then(|time| Instant::now().checked_add(time));
        expiry.map_or(silent, |expiry| expiry.min(silent))
    }

    fn timed_out(&self, timeout: Duration) {
        let mut state = self.state.lock();
        let reason = match state.session.end_expired() {
            Err(reason) => reason,
            Ok(()) if state.heard.elapsed() < state.patience(timeout) => return,
            // It has said who it is, and a hook is asked.
            Ok(()) if !state.session.is_connected() && state.session.is_asking() => {
                state.heard = Instant::now();
                return;
            }
            Ok(()) if state.session.is_connected() => Disconnect::NoPong,
            Ok(()) => Disconnect::Stale,
        };
        self.outbox.close(reason);
    }
}

impl State {
    /// How long the client may be silent.
    fn patience(&self, timeout: Duration) -> Duration {
        if self.session.is_connected() { timeout } else { timeout.min(CONNECT_WITHIN) }
    }
}
