//! Waiting for something to become so: asking again until a deadline.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// What takes a pod or more to start, on a slow machine that has other things to do.
pub const LONG: Duration = Duration::from_secs(180);
/// What needs no new pod.
pub const SHORT: Duration = Duration::from_secs(60);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Asks until the answer is there. The error names what was waited for.
pub async fn until<T>(
    what: &str,
    within: Duration,
    mut ask: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        let answer = ask().await;
        match answer {
            Ok(Some(answer)) => return Ok(answer),
            _ if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
            Ok(None) => bail!("{what}: not so after {} s", within.as_secs()),
            Err(error) => return Err(error.context(format!("{what}: not so after {} s", within.as_secs()))),
        }
    }
}
