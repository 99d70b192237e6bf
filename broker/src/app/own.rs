//! The endpoints that a library user adds.

use std::{collections::HashSet, sync::Arc};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::{Config, middleware::ENDPOINTS},
    endpoint::{Endpoint, Gateway, Host, accept::Admission},
};

/// The longest name of an endpoint.
const LONGEST: usize = 32;

/// An endpoint's name cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// It would be no label.
    #[error(
        "an endpoint cannot be called {0:?}: write a small letter, and up to 31 small letters, digits and '_'"
    )]
    Form(&'static str),
    /// Another endpoint has it.
    #[error("two endpoints are called {0:?}: each needs a name of its own")]
    Twice(&'static str),
    /// A middleware is for an endpoint that there is none of.
    #[error("a middleware is for the endpoint {name:?}, which there is none of; write one of {known}")]
    Unknown {
        /// What it names.
        name: String,
        /// Those that there are.
        known: String,
    },
}

/// Endpoints that are not built in, with their names.
pub(super) struct Own(Vec<(&'static str, Arc<dyn Endpoint>)>);

impl Own {
    pub(super) fn new(endpoints: Vec<(&'static str, Arc<dyn Endpoint>)>) -> Result<Self, BadName> {
        let mut taken = HashSet::from(ENDPOINTS);
        for (name, _) in &endpoints {
            let may_be = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if name.len() > LONGEST
                || !name.starts_with(|c: char| c.is_ascii_lowercase())
                || !name.chars().all(may_be)
            {
                return Err(BadName::Form(name));
            }
            if !taken.insert(name) {
                return Err(BadName::Twice(name));
            }
        }
        Ok(Self(endpoints))
    }

    /// Whether these are names of endpoints, built in or not.
    pub(super) fn check<'a>(&self, names: impl IntoIterator<Item = &'a String>) -> Result<(), BadName> {
        let known: Vec<_> = ENDPOINTS.into_iter().chain(self.0.iter().map(|(name, _)| *name)).collect();
        match names.into_iter().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(BadName::Unknown { name: name.clone(), known: known.join(", ") }),
            None => Ok(()),
        }
    }

    /// Runs them on `servers` until `stop` is cancelled. Their clients take their places from `admission`, and are
    /// counted by `connections`.
    pub(super) fn start(
        self,
        config: &Config,
        gateway: &Arc<Gateway>,
        (admission, connections): (&Arc<Admission>, &TaskTracker),
        (servers, stop): (&TaskTracker, &CancellationToken),
    ) {
        for (name, endpoint) in self.0 {
            let of_clients = (admission.clone(), connections.clone());
            let outbox_size = config.limits.outbox_size.bytes();
            let host = Host::new(gateway.clone(), (name, &*endpoint), of_clients, outbox_size);
            let stop = stop.clone();
            servers.spawn(async move {
                if stop.run_until_cancelled(endpoint.run(host)).await.is_some() {
                    tracing::warn!(name, "an endpoint has ended by itself and takes no more clients");
                }
            });
        }
    }
}
