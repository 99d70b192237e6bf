//! What happens to a client whether its socket takes anything or not: pings, the end of its tokens, giving up.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep};

use super::Session;
use crate::{
    codec::sse::PING,
    endpoint::{Disconnect, Outbox},
    registry::Client,
};

/// How long a client that is told to go has for reading what was there for it. Then it is cut off.
const LINGER: Duration = Duration::from_secs(2);

/// Works beside a client's stream; done when the connection is to be cut off.
pub(super) struct Keeper {
    client: Arc<Client>,
    outbox: Arc<Outbox>,
    token_expires: Option<u64>,
    ping_interval: Duration,
    next_ping: Instant,
    /// For the next ping, the end of a token, or giving up.
    timer: Pin<Box<Sleep>>,
    is_leaving: bool,
}

impl Keeper {
    /// Keeps this client.
    pub(super) fn new(session: &Session, ping_interval: Duration) -> Self {
        let next_ping = Instant::now() + ping_interval;
        let mut keeper = Self {
            client: session.client.clone(),
            outbox: session.outbox.clone(),
            token_expires: session.token_expires,
            ping_interval,
            next_ping,
            timer: Box::pin(tokio::time::sleep_until(next_ping)),
            is_leaving: false,
        };
        keeper.arm();
        keeper
    }

    fn expires_in(&self) -> Option<Duration> {
        Session::expires_in(&self.client, self.token_expires)
    }

    fn arm(&mut self) {
        let expiry = self.expires_in().and_then(|time| Instant::now().checked_add(time));
        let next = expiry.map_or(self.next_ping, |expiry| expiry.min(self.next_ping));
        self.timer.as_mut().reset(next);
    }
}

impl Future for Keeper {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            if !this.is_leaving && this.outbox.closing().is_some() {
                this.is_leaving = true;
                this.timer.as_mut().reset(Instant::now() + LINGER);
            }
            ready!(this.timer.as_mut().poll(cx));
            if this.is_leaving {
                return Poll::Ready(());
            }
            if this.expires_in() == Some(Duration::ZERO) {
                this.outbox.close(Disconnect::Expired);
                continue;
            }
            if Instant::now() >= this.next_ping {
                // A full outbox closes itself.
                let _ = this.outbox.push(PING);
                this.next_ping = Instant::now() + this.ping_interval;
            }
            this.arm();
        }
    }
}
