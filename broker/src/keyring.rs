//! The keys in force, and reading their files again.
//!
//! Secrets and ConfigMaps that are mounted into a pod change by a symlink, editors write a new file, others write into
//! the old one: what all of them have in common is that the file then holds something else. So that is what is looked
//! at.

use std::{sync::Arc, time::Duration};

use parking_lot::RwLock;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    auth::{AuthError, Authenticator, Grant, Identity},
    config::{Auth, ConfigError, JwtKeys, KeyFiles},
    metrics::Metrics,
};

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(2);

/// Checks clients by the keys of the moment. Others take their place as a whole, between one token and the next.
#[derive(Debug)]
pub struct Keyring {
    current: RwLock<Arc<Authenticator>>,
}

impl Keyring {
    /// These keys, until others replace them.
    pub fn new(authenticator: Authenticator) -> Self {
        Self { current: RwLock::new(Arc::new(authenticator)) }
    }

    /// What checks clients now. The lock is held for the copy of a pointer only, and never while a token is verified.
    pub fn current(&self) -> Arc<Authenticator> {
        self.current.read().clone()
    }

    /// From now on clients are checked by this one.
    pub fn replace(&self, authenticator: Authenticator) {
        *self.current.write() = Arc::new(authenticator);
    }

    /// See [`Authenticator::connect`].
    ///
    /// # Errors
    /// When the client must not connect.
    pub fn connect(&self, token: &str, now: u64) -> Result<Identity, AuthError> {
        self.current().connect(token, now)
    }

    /// See [`Authenticator::subscribe`].
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
        self.current().subscribe(token, channel, client, user, now)
    }
}

/// Looks at the files of keys again and again.
pub struct Watch {
    auth: Auth,
    /// What the files held at the last look.
    seen: KeyFiles,
    /// Whether that could not be used, so that the keys from before are in force.
    failing: bool,
}

/// What a look found.
enum Look {
    /// What was there before, good or bad.
    Same,
    /// Other keys.
    New(JwtKeys),
    /// What cannot be used.
    Bad(ConfigError),
}

impl Watch {
    /// Reads the keys for the first time.
    ///
    /// # Errors
    /// All that cannot be used, each with its setting and file.
    pub fn begin(auth: &Auth) -> Result<(Self, Authenticator), ConfigError> {
        let seen = auth.jwt.read_files();
        let keys = auth.jwt.keys_of(&seen)?;
        let authenticator = Authenticator::new(auth, keys.set);
        Ok((Self { auth: auth.clone(), seen, failing: false }, authenticator))
    }

    /// Replaces the keys whenever their files change, until `stop`. What cannot be used changes nothing, is told once,
    /// and counted as long as it lasts. A client that is connected stays so: keys are asked for when it comes.
    pub async fn run(mut self, keyring: Arc<Keyring>, metrics: Arc<Metrics>, stop: CancellationToken) {
        metrics.auth_keys.set(keyring.current().keys().len() as i64);
        if self.seen.is_empty() {
            return;
        }
        let mut tick = interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            // Off the threads that serve clients: a file can be on a volume that is slow.
            let look = tokio::task::spawn_blocking(move || {
                let found = self.look();
                (self, found)
            });
            let Some(look) = stop.run_until_cancelled(look).await else { return };
            let found = match look {
                Ok((watch, found)) => {
                    self = watch;
                    found
                }
                Err(error) => {
                    return tracing::error!(%error, "the files of keys are not looked at any more");
                }
            };
            match found {
                Look::Same => {}
                Look::New(keys) => {
                    for warning in &keys.warnings {
                        tracing::warn!("{warning}");
                    }
                    tracing::info!("read the keys of tokens again: {}", keys.set);
                    metrics.auth_keys.set(keys.set.len() as i64);
                    metrics.auth_key_reloads.inc();
                    keyring.replace(Authenticator::new(&self.auth, keys.set));
                }
                Look::Bad(error) => {
                    tracing::warn!(reason = %error, "cannot use the changed keys of tokens; those from before stay");
                }
            }
            if self.failing {
                metrics.auth_key_reload_failures.inc();
            }
        }
    }

    fn look(&mut self) -> Look {
        let files = self.auth.jwt.read_files();
        if files == self.seen {
            return Look::Same;
        }
        let keys = self.auth.jwt.keys_of(&files);
        self.seen = files;
        self.failing = keys.is_err();
        match keys {
            Ok(keys) => Look::New(keys),
            Err(error) => Look::Bad(error),
        }
    }
}

#[cfg(test)]
mod tests;
