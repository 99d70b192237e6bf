//! Tokens that expire: how clients bring new ones, and what ends when they do not.
//!
//! A client asks for a new token when the old one expires, so what it stands for ends a while later
//! ([`Settings::token_grace`](super::Settings::token_grace)).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Session;
use crate::{
    auth::AuthError,
    clock::now_ms,
    codec::centrifuge::{Refresh, Reply, SubRefresh},
    endpoint::{Disconnect, ErrorCode},
    metrics::Rejection,
    registry::Client,
};

/// What a client is told at most of the time that a token has, in seconds: the protocol's field is a 32-bit number,
/// and after a year a new token is no trouble.
const LONGEST_TTL: u64 = 365 * 24 * 60 * 60;

/// The seconds that are left until `expires_at`, in seconds since 1970, as clients are told.
pub(super) fn ttl(expires_at: Option<u64>) -> Option<u64> {
    expires_at.map(|end| end.saturating_sub(now_ms() / 1000).min(LONGEST_TTL))
}

/// When the tokens of one client expire, in seconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    /// The connection's.
    connection: Option<u64>,
    /// The connection itself, whatever tokens come: a hook has said so.
    end: Option<u64>,
    /// Before this nothing expires, neither of them nor the token of a subscription.
    first: Option<u64>,
}

impl Expiry {
    /// There is no token but the connection's, which ends at `end` by a hook.
    pub(super) fn of_connection(expires_at: Option<u64>, end: Option<u64>) -> Self {
        Self { connection: expires_at, end, first: [expires_at, end].into_iter().flatten().min() }
    }

    /// There is the connection's token, and those of the client's subscriptions.
    fn of(connection: Option<u64>, end: Option<u64>, client: &Client) -> Self {
        Self { connection, end, first: [connection, end, client.first_expiry()].into_iter().flatten().min() }
    }

    /// A subscription was asked for whose token expires then. How it ends, and when, is asked when the time has come.
    pub(super) fn heed(&mut self, expires_at: Option<u64>) {
        self.first = [self.first, expires_at].into_iter().flatten().min();
    }
}

impl Session {
    /// Before this no token expires, in seconds since 1970; a change moves [`Session::expires_in`].
    pub fn expires(&self) -> Option<u64> {
        self.expiry.first
    }

    /// The time until [`Session::end_expired`] should be called; `None` when nothing expires.
    pub fn expires_in(&self) -> Option<Duration> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let end = Duration::from_secs(self.expiry.first?).saturating_add(self.service.settings.token_grace);
        Some(end.saturating_sub(now))
    }

    /// Ends the subscriptions whose tokens have expired, if the time for new ones is over.
    ///
    /// # Errors
    /// When the client's own token has: the connection has to end.
    pub fn end_expired(&mut self) -> Result<(), Disconnect> {
        if self.expires_in() != Some(Duration::ZERO) {
            return Ok(());
        }
        let since = (now_ms() / 1000).saturating_sub(self.service.settings.token_grace.as_secs());
        if [self.expiry.connection, self.expiry.end].iter().flatten().any(|end| *end <= since) {
            return Err(Disconnect::Expired);
        }
        let Some(client) = &self.client else { return Ok(()) };
        self.gateway().end_expired(client, since);
        self.expiry = Expiry::of(self.expiry.connection, self.expiry.end, client);
        Ok(())
    }

    /// When the token of a subscription expires that the gateway is about to check: whoever is subscribed is told at
    /// once.
    pub(super) fn end_of_grant(&self, client: &Client, channel: &str, token: &str) -> Option<u64> {
        if token.is_empty() {
            return None;
        }
        let (id, now) = (client.id.to_string(), now_ms() / 1000);
        self.gateway().auth.subscribe(token, channel, &id, &client.user, now).ok()?.expires_at
    }

    /// A new token for the connection; gives when what there is now expires.
    pub(super) fn refresh(
        &self,
        client: &Client,
        id: u32,
        refresh: &Refresh<'_>,
    ) -> Result<Expiry, Disconnect> {
        if refresh.token.is_empty() {
            self.service.count(Rejection::Malformed);
            return Err(Disconnect::BadRequest);
        }
        let identity = self.gateway().auth.connect(&refresh.token, now_ms() / 1000);
        let identity = match identity {
            Ok(identity) if *identity.user == *client.user => identity,
            Err(AuthError::Expired) => {
                self.service.count(Rejection::ExpiredToken);
                return Err(Disconnect::Expired);
            }
            Ok(_) | Err(AuthError::NoToken | AuthError::Invalid(_)) => {
                self.service.count(Rejection::InvalidToken);
                return Err(Disconnect::InvalidToken);
            }
        };
        let reply = Reply::Refresh { client: client.id.to_string(), ttl: ttl(identity.expires_at) };
        self.service.answer(&self.outbox, id, &reply);
        Ok(Expiry::of(identity.expires_at, self.expiry.end, client))
    }

    /// A new token for a subscription; gives when what there is now expires.
    pub(super) fn sub_refresh(
        &self,
        client: &Client,
        id: u32,
        refresh: &SubRefresh<'_>,
    ) -> Result<Expiry, ErrorCode> {
        if refresh.token.is_empty() {
            return Err(ErrorCode::BadRequest);
        }
        let channel = self.gateway().channel(&refresh.channel)?;
        let (client_id, now) = (client.id.to_string(), now_ms() / 1000);
        let auth = &self.gateway().auth;
        let grant = auth.subscribe(&refresh.token, channel.as_str(), &client_id, &client.user, now);
        let grant = grant.map_err(|error| match error {
            AuthError::Expired => ErrorCode::TokenExpired,
            AuthError::NoToken | AuthError::Invalid(_) => ErrorCode::PermissionDenied,
        })?;
        if !client.renew(&channel, grant.expires_at) {
            return Err(ErrorCode::PermissionDenied);
        }
        self.service.answer(&self.outbox, id, &Reply::SubRefresh { ttl: ttl(grant.expires_at) });
        Ok(Expiry::of(self.expiry.connection, self.expiry.end, client))
    }
}
