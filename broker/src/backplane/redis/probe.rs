//! Is what is published here really heard? Each instance publishes to itself and times the return.
//!
//! A connection can look alive while nothing arrives on it any more; only a round trip finds that.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use super::{bus::Bus, connect::Failure};
use crate::{backplane::Ack, metrics::Metrics};

const EVERY: Duration = Duration::from_secs(1);

/// A probe that takes longer is missed.
const WITHIN: Duration = Duration::from_secs(2);

pub(super) struct Probe {
    /// The pub/sub name of this instance's probes.
    name: String,
    state: Mutex<State>,
    returned: Notify,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct State {
    /// The number of the last probe that was sent.
    number: u64,
    /// When it was sent, until it is back.
    out: Option<Instant>,
    /// The last round trip, and when it ended.
    last: Option<(Duration, Instant)>,
}

impl Probe {
    pub(super) fn new(name: String, metrics: Arc<Metrics>) -> Self {
        Self { name, state: Mutex::default(), returned: Notify::new(), metrics }
    }

    pub(super) fn name(&self) -> &[u8] {
        self.name.as_bytes()
    }

    /// The last round trip, and how long ago it was.
    pub(super) fn last(&self) -> Option<(Duration, Duration)> {
        self.state.lock().last.map(|(took, at)| (took, at.elapsed()))
    }

    /// A probe is back.
    pub(super) fn returned(&self, payload: &[u8]) {
        let mut state = self.state.lock();
        // One of a lost connection may come late.
        if payload != state.number.to_le_bytes() {
            return;
        }
        let Some(sent) = state.out.take() else { return };
        let took = sent.elapsed();
        state.last = Some((took, Instant::now()));
        drop(state);
        self.metrics.redis_probe.observe(took.as_secs_f64());
        self.returned.notify_one();
    }

    /// Probes until one is missed.
    pub(super) async fn run(&self, bus: &Bus) -> Failure {
        loop {
            let number = {
                let mut state = self.state.lock();
                state.number += 1;
                state.out = Some(Instant::now());
                state.number
            };
            bus.send_raw(&self.name, &number.to_le_bytes(), Ack::ignore());
            if timeout(WITHIN, self.wait()).await.is_err() {
                return Failure(format!("a probe did not come back within {} s", WITHIN.as_secs()));
            }
            sleep(EVERY).await;
        }
    }

    async fn wait(&self) {
        while self.state.lock().out.is_some() {
            self.returned.notified().await;
        }
    }
}
