//! Who may connect and what they may do: tokens, API keys and the rules of namespaces.
//!
//! All of it takes values and gives values: the time is an argument, and no file or clock is read here.

mod api_key;
#[cfg(any(test, switchboard_fuzz))]
pub(crate) mod fuzz;
pub(crate) mod key;
mod key_set;
mod rules;
mod signed;
#[cfg(test)]
pub(crate) mod testing;
mod token;

use bytes::Bytes;

pub use api_key::{ApiKeys, presented_key};
pub use key::{Algorithm, Key};
pub use key_set::KeySet;
pub(crate) use key_set::TRIES;
pub use rules::{Action, Caller, Denied, Histories, Namespaces, namespace_of, permit};

use crate::config::Auth;
use token::Verifier;

/// Who a client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user's ID; empty for an anonymous client.
    pub user: String,
    /// What the token says about the user, as one line of JSON; shown to others in presence and publications.
    pub info: Option<Bytes>,
    /// When the connection ends unless it is renewed, in seconds since 1970.
    pub expires_at: Option<u64>,
}

/// What a subscription token gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What the token says about the user in this channel, as one line of JSON.
    pub info: Option<Bytes>,
    /// When the subscription ends unless it is renewed, in seconds since 1970.
    pub expires_at: Option<u64>,
}

/// Why a client is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// There is no token, and anonymous clients are not allowed.
    #[error("no token, and anonymous clients are not allowed")]
    NoToken,
    /// The token can never be accepted: the client is disconnected with 3500 and does not come back by itself.
    #[error("invalid token: {0}")]
    Invalid(&'static str),
    /// The token was good but is outside its time: error 109, on which a client asks for a new one.
    #[error("token expired")]
    Expired,
}

/// Checks clients by `auth` of the configuration and by the keys that were read for it. It is a value: other keys make
/// another one.
#[derive(Debug)]
pub struct Authenticator {
    anonymous: bool,
    verifier: Verifier,
}

impl Authenticator {
    /// Checks by these settings, and tokens with these keys.
    pub fn new(auth: &Auth, keys: KeySet) -> Self {
        Self { anonymous: auth.anonymous, verifier: Verifier::new(&auth.jwt, keys) }
    }

    /// What tokens are verified with.
    pub fn keys(&self) -> &KeySet {
        &self.verifier.keys
    }

    /// Who connects with this token at `now`, in seconds since 1970. An empty token is none.
    ///
    /// # Errors
    /// When the client must not connect.
    pub fn connect(&self, token: &str, now: u64) -> Result<Identity, AuthError> {
        if token.is_empty() {
            return if self.anonymous {
                Ok(Identity { user: String::new(), info: None, expires_at: None })
            } else {
                Err(AuthError::NoToken)
            };
        }
        self.verifier.connect(token, now)
    }

    /// What a subscription token gives `user`, connected as `client`, in `channel` at `now`.
    ///
    /// # Errors
    /// When the token is not for exactly this user, client and channel, or not at this time.
    pub fn subscribe(
        &self,
        token: &str,
        channel: &str,
        client: &str,
        user: &str,
        now: u64,
    ) -> Result<Grant, AuthError> {
        if token.is_empty() {
            return Err(AuthError::NoToken);
        }
        self.verifier.subscribe(token, channel, client, user, now)
    }
}
