//! One module: the messages that wait for it, and those that it has in hand.

use std::{collections::VecDeque, panic::AssertUnwindSafe, sync::Arc, time::Instant};

use futures_util::future::FutureExt;
use parking_lot::Mutex;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::{Context, Kind, Logic, LogicError, Outcome, Settings, WhenFull, placement::Holder};
use crate::{
    message::{LogicName, Message},
    metrics::{LogicMetrics, LogicRun},
};

/// Told once what became of a message.
pub(super) type Then = Box<dyn FnOnce(Outcome) + Send>;

/// One message for the module.
pub(super) struct Job {
    pub(super) message: Message,
    pub(super) then: Option<Then>,
}

/// A module and its queue.
pub(super) struct Module {
    pub(super) name: LogicName,
    pub(super) logic: Arc<dyn Logic>,
    pub(super) settings: Settings,
    pub(super) holder: Holder,
    queue: Mutex<Queue>,
    metrics: LogicMetrics,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Job>,
    /// How many are in hand.
    running: usize,
    stopped: bool,
}

impl Module {
    pub(super) fn new(
        name: LogicName,
        settings: Settings,
        logic: Arc<dyn Logic>,
        metrics: LogicMetrics,
    ) -> Self {
        Self { name, logic, settings, holder: Holder::default(), queue: Mutex::default(), metrics }
    }

    /// Hands a message over: at once if the module may have another one in hand, else it waits.
    pub(super) fn submit(self: &Arc<Self>, job: Job, context: &Arc<Context>, tasks: &TaskTracker) {
        let concurrency = match self.settings.kind {
            Kind::Dispatched(concurrency) => concurrency.max(1),
            Kind::Worker => 1,
            Kind::Passive => return self.refuse(job, LogicError::Passive),
        };
        let mut queue = self.queue.lock();
        if queue.stopped {
            drop(queue);
            return self.refuse(job, LogicError::Stopping);
        }
        if queue.running < concurrency {
            queue.running += 1;
            drop(queue);
            tasks.spawn(self.clone().work(job, context.clone()));
            return;
        }
        let mut pushed_out = None;
        if queue.waiting.len() >= self.settings.queue {
            match self.settings.when_full {
                WhenFull::DropOldest if !queue.waiting.is_empty() => pushed_out = queue.waiting.pop_front(),
                WhenFull::DropOldest | WhenFull::Refuse => {
                    drop(queue);
                    return self.refuse(job, LogicError::QueueFull);
                }
            }
        }
        queue.waiting.push_back(job);
        self.metrics.waiting.set(queue.waiting.len() as i64);
        drop(queue);
        if let Some(oldest) = pushed_out {
            self.refuse(oldest, LogicError::Dropped);
        }
    }

    fn refuse(&self, job: Job, why: LogicError) {
        self.metrics.runs.inc(LogicRun::of(&Err(why.clone())));
        if let Some(then) = job.then {
            then(Err(why));
        }
    }

    /// Handles a message, and then whichever waits, until none does.
    async fn work(self: Arc<Self>, mut job: Job, context: Arc<Context>) {
        loop {
            let Job { message, then } = job;
            let outcome = self.handle(message, &context).await;
            if let Some(then) = then {
                then(outcome);
            }
            let mut queue = self.queue.lock();
            match queue.waiting.pop_front() {
                Some(next) => {
                    self.metrics.waiting.set(queue.waiting.len() as i64);
                    job = next;
                }
                None => {
                    queue.running -= 1;
                    return;
                }
            }
        }
    }

    async fn handle(&self, message: Message, context: &Context) -> Outcome {
        let started = Instant::now();
        let handling = async { self.logic.receive(message, context).await };
        let handling = timeout(self.settings.time_limit, AssertUnwindSafe(handling).catch_unwind());
        let outcome = match handling.await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(LogicError::Panicked),
            Err(_) => Err(LogicError::TimedOut),
        };
        self.metrics.seconds.observe(started.elapsed().as_secs_f64());
        self.metrics.runs.inc(LogicRun::of(&outcome));
        if let Err(error) = &outcome
            && !matches!(error, LogicError::Refused(_))
        {
            tracing::warn!(logic = %self.name, %error, "a logic module did not handle a message");
        }
        outcome
    }

    /// Takes no more, and gives back what waits.
    pub(super) fn stop(&self) {
        let waiting = {
            let mut queue = self.queue.lock();
            queue.stopped = true;
            std::mem::take(&mut queue.waiting)
        };
        self.metrics.waiting.set(0);
        waiting.into_iter().for_each(|job| self.refuse(job, LogicError::Stopping));
    }

    /// Counts a run that ended in a panic.
    pub(super) fn panicked(&self) {
        self.metrics.runs.inc(LogicRun::Panicked);
    }
}
