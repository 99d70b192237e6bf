//! Is what is published here really heard? Each instance publishes to itself and times the return.
//!
//! A connection can look alive while nothing arrives on it any more; only a round trip finds that.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};

use super::{bus::Bus, connect::Failure};
use crate::{
    backplane::{Ack, Unavailable},
    metrics::Metrics,
};

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

    /// Probes until one is missed. What was not sent says nothing of the way back: then another one is.
    pub(super) async fn run(&self, bus: &Bus) -> Failure {
        loop {
            let number = {
                let mut state = self.state.lock();
                state.number += 1;
                state.out = Some(Instant::now());
                state.number
            };
            let (ack, sent) = Ack::channel();
            bus.send_raw(&self.name, &number.to_le_bytes(), ack);
            let back = timeout(WITHIN, async {
                match sent.await {
                    Ok(()) | Err(Unavailable::Refused) => self.wait().await,
                    Err(_) => {}
                }
            });
            if back.await.is_err() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        backplane::redis::keys::Keys,
        message::{Address, Epoch, InstanceId},
    };

    /// A probe, and a bus that is not served.
    fn probe() -> (Probe, Bus) {
        let (address, metrics) =
            (Address { instance: InstanceId::new("one"), epoch: Epoch(1) }, Arc::new(Metrics::new()));
        (Probe::new("probe".to_owned(), metrics.clone()), Bus::new(&address, Keys::new("app"), metrics))
    }

    async fn is_missed(probe: &Probe, bus: &Bus) -> bool {
        timeout(Duration::from_secs(10), probe.run(bus)).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_sent_and_does_not_return_is_missed() {
        // Alone, a bus says of everything that it is sent.
        let (probe, bus) = probe();
        assert!(is_missed(&probe, &bus).await);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_nobody_answers_is_missed() {
        let (probe, bus) = probe();
        bus.joined();
        assert!(is_missed(&probe, &bus).await);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_could_not_be_sent_is_sent_again() {
        let (probe, bus) = probe();
        bus.joined();
        bus.lost();
        assert!(!is_missed(&probe, &bus).await);
        assert!(probe.state.lock().number >= 9);
        bus.joined();
        assert!(is_missed(&probe, &bus).await, "it is not given up");
    }
}
