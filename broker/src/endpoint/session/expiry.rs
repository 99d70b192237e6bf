//! Tokens that expire, and end the connection with them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Session;

/// When the tokens of one client expire, in seconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    /// The connection's.
    connection: Option<u64>,
    /// Before this nothing expires, neither that token nor one of a subscription.
    first: Option<u64>,
}

impl Expiry {
    /// There is no token but the connection's.
    pub(super) fn of_connection(expires_at: Option<u64>) -> Self {
        Self { connection: expires_at, first: expires_at }
    }

    /// A connection does not outlive a token of its subscriptions: the client comes back with a new one. One was asked
    /// for whose token expires then; how it ends, and when, is asked when the time has come.
    pub(super) fn heed(&mut self, expires_at: Option<u64>) {
        self.first = [self.first, expires_at].into_iter().flatten().min();
    }
}

impl Session {
    /// When to ask whether it [has expired](Session::is_expired), in seconds since 1970.
    pub fn expires(&self) -> Option<u64> {
        self.expiry.first
    }

    /// The time until then; `None` when nothing expires.
    pub fn expires_in(&self) -> Option<Duration> {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.expiry.first.map(|expires| Duration::from_secs(expires).saturating_sub(now()))
    }

    /// Whether a token has expired: the client's, or that of a subscription that there still is.
    pub fn is_expired(&mut self) -> bool {
        if self.expires_in() == Some(Duration::ZERO) {
            let of_subscriptions = self.client.as_ref().and_then(|client| client.first_expiry());
            self.expiry.first = [self.expiry.connection, of_subscriptions].into_iter().flatten().min();
        }
        self.expires_in() == Some(Duration::ZERO)
    }
}
