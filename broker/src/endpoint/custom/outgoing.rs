//! What is to be written to a client of an endpoint of one's own.

use std::{future::pending, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{Host, Stay};
use crate::{
    clock::now_ms,
    endpoint::{Disconnect, Outbox, outbox::Next},
    registry::Client,
};

/// How long a client that has ended has to take what it is still to be told.
const LINGER: Duration = Duration::from_secs(2);

/// All that is to be written to one client, in order: pushes as the endpoint's encoder writes them, and
/// [replies](super::Guest::reply). It is bounded (`limits.outbox_size`): a client that is not written to is ended as
/// too slow. It ends the client, or its subscriptions, when their tokens expire.
pub struct Outgoing {
    host: Host,
    outbox: Arc<Outbox>,
    client: Arc<Client>,
    /// When the client ends, by its token or by a hook, in seconds since 1970.
    expires_at: Option<u64>,
    /// Something may expire earlier.
    changed: Arc<Notify>,
    /// A drain waits for it.
    _open: TaskTrackerToken,
}

impl Outgoing {
    pub(super) fn new(
        stay: &Stay,
        client: Arc<Client>,
        (expires_at, changed): (Option<u64>, Arc<Notify>),
    ) -> Self {
        let (host, outbox, _open) = (stay.host.clone(), stay.outbox.clone(), stay._open.clone());
        Self { host, outbox, client, expires_at, changed, _open }
    }

    /// What is to be written next, or why the connection is to be closed. Asking says that all before is written.
    pub async fn next(&mut self) -> Next {
        loop {
            let expiry = [self.expires_at, self.client.first_expiry()].into_iter().flatten().min();
            let left =
                expiry.map(|at| Duration::from_millis(at.saturating_mul(1000).saturating_sub(now_ms())));
            tokio::select! {
                biased;
                next = std::future::poll_fn(|cx| self.outbox.poll_next(cx)) => return next,
                () = self.changed.notified() => {}
                () = wait(left) => self.end_expired(),
            }
        }
    }

    fn end_expired(&self) {
        let now = now_ms() / 1000;
        match self.expires_at.is_some_and(|at| at <= now) {
            true => self.outbox.close(Disconnect::Expired),
            false => self.host.0.gateway.end_expired(&self.client, now),
        }
    }

    /// Serves a connection: writes all that there is to a socket, while `reading` carries out what the client says.
    /// Ends when `reading` gives a reason, or when there is another one; what waits is written first, and `farewell`
    /// behind it. A client that does not take that is left after two seconds.
    pub async fn serve(
        mut self,
        socket: impl AsyncWrite + Unpin,
        reading: impl Future<Output = Disconnect>,
        farewell: impl FnOnce(Disconnect) -> Vec<u8>,
    ) -> Disconnect {
        let outbox = self.outbox.clone();
        let reading = async move {
            outbox.close(reading.await);
            pending().await
        };
        tokio::select! {
            reason = self.write_all(socket, farewell) => reason,
            reason = reading => reason,
        }
    }

    async fn write_all(
        &mut self,
        mut socket: impl AsyncWrite + Unpin,
        farewell: impl FnOnce(Disconnect) -> Vec<u8>,
    ) -> Disconnect {
        loop {
            match self.next().await {
                Next::Write(bytes) => {
                    let write = async {
                        socket.write_all(&bytes).await?;
                        socket.flush().await
                    };
                    let is_written = tokio::select! {
                        written = write => written.is_ok(),
                        () = ended(&self.outbox) => false,
                    };
                    if !is_written {
                        self.outbox.close(Disconnect::Gone);
                        return self.outbox.closing().unwrap_or(Disconnect::Gone);
                    }
                }
                Next::Close(reason) => {
                    let last = farewell(reason);
                    let write = async {
                        socket.write_all(&last).await?;
                        socket.shutdown().await
                    };
                    // A client that is gone cannot be told.
                    let _ = timeout(LINGER, write).await;
                    return reason;
                }
            }
        }
    }
}

/// Waits so long; for ever when nothing expires.
async fn wait(left: Option<Duration>) {
    match left {
        Some(left) => sleep(left).await,
        None => pending().await,
    }
}

/// Waits until the client has had its time after the end.
async fn ended(outbox: &Outbox) {
    outbox.closed().await;
    sleep(LINGER).await;
}
