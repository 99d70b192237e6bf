//! Leaving in an orderly way: clients are told to come back, at a pace that their new instances can bear.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::OnceCell,
    time::{Instant, MissedTickBehavior, interval, timeout_at},
};
use tokio_util::task::TaskTracker;

use crate::endpoint::{Disconnect, Gateway, Phase};

/// How many clients are told together.
const BATCH: usize = 10;

/// The part of the grace that clients are told within; the rest is for what they were still to be sent, and
/// for releasing the directory.
const TELLING: f64 = 0.7;

/// What a drain has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Clients that were told to come back.
    pub closed: usize,
    /// Connections that had not ended by the end of the grace.
    pub left: usize,
}

/// The one drain of an instance: asked for by a signal, by the admin port, or both.
pub struct Drain {
    leaving: Arc<Leaving>,
}

struct Leaving {
    gateway: Arc<Gateway>,
    connections: TaskTracker,
    grace: Duration,
    pace: u32,
    done: OnceCell<Drained>,
}

impl Drain {
    /// A drain that takes `grace` at most and closes about `pace` clients a second, more when there are more
    /// than the grace allows for.
    pub fn new(gateway: Arc<Gateway>, connections: TaskTracker, grace: Duration, pace: u32) -> Self {
        Self { leaving: Arc::new(Leaving { gateway, connections, grace, pace, done: OnceCell::new() }) }
    }

    /// Drains, or waits for the drain that is under way. It goes on when nobody waits for it any more: whoever
    /// asked may hang up.
    pub async fn run(&self) -> Drained {
        let leaving = self.leaving.clone();
        let drained = tokio::spawn(async move { *leaving.done.get_or_init(|| leaving.leave()).await });
        drained.await.unwrap_or_else(|error| {
            tracing::error!(%error, "the drain failed");
            Drained { closed: 0, left: self.leaving.connections.len() }
        })
    }
}

impl Leaving {
    async fn leave(&self) -> Drained {
        let begun = Instant::now();
        self.gateway.enter_phase(Phase::Draining);
        let clients = self.gateway.hub.registry.snapshot();
        tracing::info!(clients = clients.len(), grace = ?self.grace, "draining");

        let mut tick = interval(self.batch_interval(clients.len()));
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for batch in clients.chunks(BATCH) {
            tick.tick().await;
            batch.iter().for_each(|client| client.outbox.close(Disconnect::Shutdown));
        }
        // Whoever was let in while the drain began, or has not said who it is, is not in the snapshot.
        self.gateway.close_newcomers(Disconnect::Shutdown);
        for client in self.gateway.hub.registry.snapshot() {
            client.outbox.close(Disconnect::Shutdown);
        }
        self.connections.close();
        let deadline = begun + self.grace.mul_f64(0.9);
        let _ = timeout_at(deadline, self.connections.wait()).await;

        // Modules may still send to clients of other instances while they end.
        self.gateway.pipeline.logic.end((begun + self.grace.mul_f64(0.95)) - Instant::now()).await;

        let drained = Drained { closed: clients.len(), left: self.connections.len() };
        // What is queued is sent and the directory released in the last part of the grace.
        let _ = timeout_at(begun + self.grace, self.gateway.backplane.close()).await;
        tracing::info!(closed = drained.closed, left = drained.left, took = ?begun.elapsed(), "drained");
        drained
    }

    /// The time between two batches.
    fn batch_interval(&self, clients: usize) -> Duration {
        let batches = clients.div_ceil(BATCH).max(1) as u32;
        let paced = Duration::from_secs(1) * BATCH as u32 / self.pace.max(1);
        paced.min(self.grace.mul_f64(TELLING) / batches).max(Duration::from_micros(1))
    }
}
