//! What happens to a connection whatever comes over it: pings, the end of tokens, the end of the connection.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, sleep_until, timeout};

use super::session::Kept;
use crate::endpoint::{Disconnect, session::CONNECT_WITHIN};

/// How long a client that is told to go has for reading what was there for it.
pub(super) const LINGER: Duration = Duration::from_secs(2);

/// What is waited for.
#[derive(Clone, Copy)]
enum Beat {
    Ping(Instant),
    Pong(Instant),
}

/// Keeps a connection until it ends.
pub(super) async fn keep(kept: Kept) {
    let session = &kept.0;
    let settings = &session.endpoint.settings.endpoint;
    let (ping, pong) = (settings.ping_interval.get(), settings.ping_timeout.get());
    let connect_by = Instant::now() + CONNECT_WITHIN;
    let mut beat = Beat::Ping(Instant::now() + ping);
    loop {
        let (Beat::Ping(mut due) | Beat::Pong(mut due)) = beat;
        if !session.is_joined() {
            due = due.min(connect_by);
        }
        if let Some(expiry) = session.expires().and_then(until) {
            due = due.min(expiry);
        }
        tokio::select! {
            biased;
            _ = session.outbox.watch() => break,
            () = session.changed.notified() => continue,
            () = sleep_until(due) => {}
        }
        let now = Instant::now();
        if now >= connect_by && !session.is_joined() {
            session.outbox.close(Disconnect::Stale);
        }
        session.end_expired();
        beat = match beat {
            Beat::Ping(at) if at <= now => {
                session.ping();
                Beat::Pong(now + pong)
            }
            Beat::Pong(at) if at <= now => {
                if !session.take_pong() {
                    session.outbox.close(Disconnect::NoPong);
                }
                Beat::Ping(now + ping.saturating_sub(pong))
            }
            beat => beat,
        };
    }
    let _ = timeout(LINGER, session.told.notified()).await;
}

/// When it is so many seconds since 1970.
fn until(seconds: u64) -> Option<Instant> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Instant::now().checked_add(Duration::from_secs(seconds).saturating_sub(now))
}
