//! The connection for everything that is no pub/sub: leases, directory, presence.

use std::{sync::Arc, time::Instant};

use redis::{FromRedisValue, Pipeline, RedisError, aio::MultiplexedConnection};

use super::connect::Failure;
use crate::{
    backplane::Unavailable,
    metrics::{Metrics, RedisCommand},
};

/// Commands in one pipeline, or fields in one command, at most: long ones would hold up what other instances
/// ask of Redis.
pub(super) const CHUNK: usize = 500;

/// Sends commands. Cheap to clone.
#[derive(Clone)]
pub(super) struct Commands {
    connection: MultiplexedConnection,
    metrics: Arc<Metrics>,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct Failed {
    /// What whoever asked is told.
    pub(super) why: Unavailable,
    unknown_script: bool,
    text: String,
}

impl From<Failed> for Unavailable {
    fn from(failed: Failed) -> Self {
        failed.why
    }
}

impl From<Failed> for Failure {
    fn from(failed: Failed) -> Self {
        Self(failed.text)
    }
}

impl Failed {
    fn new(what: RedisCommand, error: &RedisError) -> Self {
        use crate::metrics::Label;
        let why = match error {
            error if error.is_timeout() => Unavailable::Timeout,
            error if error.is_io_error() || error.is_connection_dropped() => Unavailable::Disconnected,
            // A replica that was the master a moment ago: only a new connection finds the new master.
            error if error.code() == Some("READONLY") => Unavailable::Disconnected,
            _ => Unavailable::Refused,
        };
        let unknown_script = error.code() == Some("NOSCRIPT");
        Self { why, unknown_script, text: format!("{} failed: {error}", what.as_str()) }
    }

    /// Whether the server does not have the script that was to be run.
    pub(super) fn is_unknown_script(&self) -> bool {
        self.unknown_script
    }

    /// Whether the server is there and said no: a new connection would not help.
    pub(super) fn is_refusal(&self) -> bool {
        self.why == Unavailable::Refused
    }
}

impl Commands {
    pub(super) fn new(connection: MultiplexedConnection, metrics: Arc<Metrics>) -> Self {
        Self { connection, metrics }
    }

    /// Sends a pipeline and reads its answers.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        what: RedisCommand,
        pipeline: &Pipeline,
    ) -> Result<T, Failed> {
        let started = Instant::now();
        let answer = pipeline.query_async(&mut self.connection.clone()).await;
        self.metrics.redis_commands.get(what).observe(started.elapsed().as_secs_f64());
        answer.map_err(|error| Failed::new(what, &error))
    }
}
