//! Waiting for what must happen, with a deadline that only a failing test reaches.

use std::time::Duration;

/// Longer than anything takes on a machine that is busy with other tests, and than any timer of the broker.
const PATIENCE: Duration = Duration::from_secs(40);

/// The outcome of `future`, or a failed test that says what did not happen.
#[track_caller]
pub(crate) fn within<T>(what: &str, future: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(PATIENCE, future).await {
            Ok(outcome) => outcome,
            Err(_) => panic!("{what}: not within {PATIENCE:?} ({caller})"),
        }
    }
}

/// Asks again and again until the answer is yes.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    within(what, async move {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
}
