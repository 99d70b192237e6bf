//! Why a reconcile could not finish. Each names the object and what was being done.

use std::time::Duration;

/// A failed reconcile. It is tried again, with growing pauses.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused something or could not be asked.
    #[error("cannot {doing}: {}", reason(.source))]
    Api {
        /// What was being done, with the object's name.
        doing: String,
        /// What the API server said.
        source: kube::Error,
    },
    /// An object of the wanted name belongs to somebody else.
    #[error("{object} already exists and is not part of this BrokerCluster ({owner}): delete or rename it")]
    Taken {
        /// The object.
        object: String,
        /// Whose it is.
        owner: String,
    },
    /// An object of the wanted name is still being deleted.
    #[error("{object} is still being deleted; waiting until it is gone")]
    Leaving {
        /// The object.
        object: String,
    },
    /// It took too long.
    #[error("gave up after {} s; the API server may be slow or unreachable", .0.as_secs())]
    Timeout(Duration),
}

impl Error {
    /// Wraps what the API server said.
    pub fn api(doing: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let doing = doing.into();
        move |source| Error::Api { doing, source }
    }

    /// The reason that conditions, events and metrics carry.
    pub fn reason(&self) -> &'static str {
        match self {
            Error::Api { .. } => "ApplyFailed",
            Error::Taken { .. } => "NameTaken",
            Error::Leaving { .. } => "WaitingForDeletion",
            Error::Timeout(_) => "Timeout",
        }
    }
}

/// The API server's own sentence where there is one.
fn reason(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}
