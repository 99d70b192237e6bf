//! Telling of clients that have gone: in order, several together, and never waited for.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Gone, Hook};
use crate::{config, metrics::HookOutcome, post::Unanswered};

/// Where clients that have gone are noted.
pub(super) struct Told {
    queue: mpsc::Sender<Gone>,
    hook: Arc<Hook>,
}

/// What tells the receiver of them.
pub struct Teller {
    queue: mpsc::Receiver<Gone>,
    /// The next ones that go together.
    next: Vec<Gone>,
    hook: Arc<Hook>,
    batch: usize,
    batch_wait: Duration,
}

/// Both ends of the queue of a hook.
pub(super) fn queue((hook, settings): (Arc<Hook>, &config::hooks::Hook)) -> (Told, Teller) {
    let (sender, queue) = mpsc::channel(settings.pending.min(tokio::sync::Semaphore::MAX_PERMITS));
    let webhook = &settings.webhook;
    let (batch, batch_wait) = (webhook.batch, webhook.batch_wait.get());
    let teller = Teller { queue, next: Vec::new(), hook: hook.clone(), batch, batch_wait };
    (Told { queue: sender, hook }, teller)
}

impl Told {
    /// Notes that a client has gone. When as many wait as may, this one is not told of, and that is counted.
    pub(super) fn tell(&self, gone: Gone) {
        match self.queue.try_send(gone) {
            Ok(()) => self.hook.metrics.pending.inc(),
            Err(_) => self.hook.metrics.calls.inc(HookOutcome::TooMany),
        }
    }
}

impl Teller {
    /// Tells until `stop`, and then of those who wait, within the time that one call may take.
    pub async fn run(mut self, stop: CancellationToken) {
        while stop.run_until_cancelled(self.collect()).await.is_some() {
            // One that was begun is ended, or nobody would know whether the receiver heard it.
            self.post().await;
        }
        self.queue.close();
        let within = self.hook.within;
        let rest = async {
            loop {
                while self.next.len() < self.batch
                    && let Ok(gone) = self.queue.try_recv()
                {
                    self.next.push(gone);
                }
                if self.next.is_empty() {
                    return;
                }
                self.post().await;
            }
        };
        let _ = timeout(within, rest).await;
    }

    /// Waits for the next ones. Stopped half-way, it loses none.
    async fn collect(&mut self) {
        let room = self.batch - self.next.len();
        if self.queue.recv_many(&mut self.next, room).await < room && !self.batch_wait.is_zero() {
            sleep(self.batch_wait).await;
            while self.next.len() < self.batch
                && let Ok(gone) = self.queue.try_recv()
            {
                self.next.push(gone);
            }
        }
    }

    async fn post(&mut self) {
        let batch = std::mem::take(&mut self.next);
        let (hook, begun) = (&self.hook, Instant::now());
        let parcel = Gone::parcel(&batch, hook.name, &hook.instance);
        let told = hook.poster.post(&parcel, begun + hook.within).await;
        hook.metrics.calls.inc(match told {
            Ok(_) => HookOutcome::Told,
            Err(Unanswered::LeftAlone) => HookOutcome::LeftAlone,
            Err(Unanswered::Failed(_)) => HookOutcome::Failed,
        });
        hook.metrics.seconds.observe(begun.elapsed().as_secs_f64());
        hook.metrics.pending.sub(batch.len() as i64);
    }
}
