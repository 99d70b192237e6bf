//! Leaving a receiver alone that does not answer.

use std::time::Duration;

use parking_lot::Mutex;
use prometheus::IntGauge;
use tokio::time::Instant;

/// Says whether the receiver is to be called. After so many calls in a row that failed nobody calls it for a while;
/// then one call tries, and what becomes of it counts for all.
pub(crate) struct Breaker {
    failures: u32,
    pause: Duration,
    state: Mutex<State>,
    /// 0 closed, 1 open, 2 trying.
    gauge: IntGauge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Calls go through; so many in a row have failed.
    Closed(u32),
    /// Nobody calls before this.
    Open(Instant),
    /// One call is trying.
    Trying,
}

/// One call that may be made. A call that is dropped half-way has failed.
pub(crate) struct Permit<'a> {
    breaker: &'a Breaker,
    is_trial: bool,
    settled: bool,
}

impl Breaker {
    pub(crate) fn new(failures: u32, pause: Duration, gauge: IntGauge) -> Self {
        Self { failures, pause, state: Mutex::new(State::Closed(0)), gauge }
    }

    /// Asks to call the receiver; `None`: not now.
    pub(crate) fn admit(&self) -> Option<Permit<'_>> {
        let mut state = self.state.lock();
        let is_trial = match *state {
            State::Closed(_) => false,
            State::Open(until) if Instant::now() >= until => {
                self.set(&mut state, State::Trying);
                true
            }
            State::Open(_) | State::Trying => return None,
        };
        Some(Permit { breaker: self, is_trial, settled: false })
    }

    fn set(&self, state: &mut State, new: State) {
        *state = new;
        self.gauge.set(match new {
            State::Closed(_) => 0,
            State::Open(_) => 1,
            State::Trying => 2,
        });
    }
}

impl Permit<'_> {
    /// The receiver has answered. Whether this is the news that it is back.
    pub(crate) fn answered(mut self) -> bool {
        self.settled = true;
        let mut state = self.breaker.state.lock();
        let is_back = !matches!(*state, State::Closed(_));
        self.breaker.set(&mut state, State::Closed(0));
        is_back
    }

    /// The receiver has not answered. Whether this is what ends the calls.
    pub(crate) fn failed(mut self) -> bool {
        self.fail()
    }

    fn fail(&mut self) -> bool {
        self.settled = true;
        let breaker = self.breaker;
        let mut state = breaker.state.lock();
        let failed = match *state {
            State::Closed(failed) => failed + 1,
            State::Trying if self.is_trial => breaker.failures,
            // A call from before: that the receiver is not there is known.
            State::Open(_) | State::Trying => return false,
        };
        let opens = failed >= breaker.failures;
        let new = if opens { State::Open(Instant::now() + breaker.pause) } else { State::Closed(failed) };
        breaker.set(&mut state, new);
        opens
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.fail();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const PAUSE: Duration = Duration::from_secs(5);

    fn breaker(failures: u32) -> Breaker {
        Breaker::new(failures, PAUSE, IntGauge::new("breaker", "state").unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_so_many_failures_in_a_row_and_one_trial_closes_it() {
        let breaker = breaker(2);
        assert!(!breaker.admit().unwrap().failed());
        assert!(!breaker.admit().unwrap().answered(), "it was never gone");
        assert!(!breaker.admit().unwrap().failed(), "not in a row");
        assert!(breaker.admit().unwrap().failed());
        assert_eq!(breaker.gauge.get(), 1);
        assert!(breaker.admit().is_none());
        advance(PAUSE).await;
        let trial = breaker.admit().unwrap();
        assert_eq!(breaker.gauge.get(), 2);
        assert!(breaker.admit().is_none(), "one tries, the others wait for what becomes of it");
        assert!(trial.answered());
        assert_eq!(breaker.gauge.get(), 0);
        assert!(breaker.admit().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_trial_that_fails_or_is_dropped_opens_it_again() {
        let breaker = breaker(1);
        drop(breaker.admit());
        for _ in 0..2 {
            assert!(breaker.admit().is_none());
            advance(PAUSE).await;
            drop(breaker.admit().unwrap());
        }
        assert_eq!(breaker.gauge.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_from_before_does_not_lengthen_the_pause() {
        let breaker = breaker(1);
        let (slow, slower) = (breaker.admit().unwrap(), breaker.admit().unwrap());
        assert!(breaker.admit().unwrap().failed());
        advance(PAUSE).await;
        assert!(!slow.failed());
        let trial = breaker.admit().unwrap();
        assert!(!slower.failed(), "the trial is another call");
        assert!(trial.answered());
    }
}
