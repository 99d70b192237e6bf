//! Who has come to an endpoint of one's own, until it is a client.

use std::sync::Arc;

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{Credentials, Guest, Outgoing, Shared, Stay};
use crate::{
    auth::Identity,
    endpoint::{Disconnect, Farewell, Greeting, gateway::End, session::CONNECT_WITHIN},
    message::ClientId,
    metrics::Rejection,
    registry::Client,
};

/// Somebody who has come and has not said who it is. Dropping it is the end of it.
pub struct Newcomer {
    stay: Stay,
    deadline: Instant,
}

impl Newcomer {
    pub(super) fn new(stay: Stay) -> Self {
        Self { stay, deadline: Instant::now() + CONNECT_WITHIN }
    }

    /// Waits for what is said first, as long as a newcomer has for that, and no longer than until the broker drains.
    ///
    /// # Errors
    /// What to tell the newcomer: its time is over.
    pub async fn first<T>(&self, said: impl Future<Output = T>) -> Result<T, Disconnect> {
        let outbox = &self.stay.outbox;
        let reason = tokio::select! {
            biased;
            reason = outbox.closed() => reason,
            said = said => return Ok(said),
            () = sleep_until(self.deadline) => Disconnect::Stale,
        };
        outbox.close(reason);
        Err(reason)
    }

    /// Makes a client of it: what acts for the client, and what is to be written to it. The hook `connect`, if there is
    /// one, is asked first: that takes no longer than the hook's time limit, and no longer than until the broker
    /// drains.
    ///
    /// # Errors
    /// What to tell the newcomer, which may be in the hook's words; it was counted.
    pub async fn connect(mut self, credentials: Credentials<'_>) -> Result<(Guest, Outgoing), Farewell> {
        let (client, ends_at) = match self.enter(credentials).await {
            Ok(entered) => entered,
            Err(End { reason, farewell }) => {
                let outbox = &self.stay.outbox;
                if reason == Disconnect::Hook {
                    outbox.close_with(farewell);
                }
                outbox.close(reason);
                return Err(outbox.farewell(outbox.closing().unwrap_or(reason)));
            }
        };
        let changed = Arc::new(Notify::new());
        let outgoing = Outgoing::new(&self.stay, client.clone(), (ends_at, changed.clone()));
        Ok((Guest::new(self.stay, client, changed), outgoing))
    }

    /// Makes a client of it, which ends then, in seconds since 1970.
    async fn enter(&mut self, credentials: Credentials<'_>) -> Result<(Arc<Client>, Option<u64>), End> {
        let Shared { gateway, kind, encoder, metrics, .. } = &*self.stay.host.0;
        let (vouched, token) = match credentials {
            Credentials::Token(token) => (None, token),
            Credentials::User("") => {
                gateway.hub.metrics.rejected.inc(Rejection::NoToken);
                return Err(Disconnect::PermissionDenied.into());
            }
            Credentials::User(user) => {
                (Some(Identity { user: user.to_owned(), info: None, expires_at: None }), "")
            }
        };
        let id = ClientId::generate();
        let greeting = Greeting { token, name: None, data: None };
        let (identity, end) = tokio::select! {
            biased;
            reason = self.stay.outbox.closed() => return Err(reason.into()),
            who = gateway.who_connects(id, *kind, vouched, &greeting) => who?,
        };
        let ends_at = [identity.expires_at, end].into_iter().flatten().min();
        let client = gateway.connect(id, identity, *kind, self.stay.outbox.clone(), encoder.clone())?;
        metrics.connects.inc();
        metrics.connections.inc();
        self.stay.client = Some(client.clone());
        // A drain found it among the newcomers until here, and finds it among the clients from here on.
        if let Some(number) = self.stay.number.take() {
            gateway.no_newcomer(number);
        }
        Ok((client, ends_at))
    }
}
