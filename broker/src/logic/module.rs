//! One module: the messages that wait for it, and those that it has in hand.

use std::{collections::VecDeque, panic::AssertUnwindSafe, sync::Arc, time::Instant};

use futures_util::future::FutureExt;
use parking_lot::Mutex;
use smallvec::{SmallVec, smallvec};
use tokio::{sync::oneshot, time::timeout};
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

/// Those that are handled together; one, for most modules.
type Jobs = SmallVec<[Job; 1]>;

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
    /// The batch that waits for more; nothing else waits then.
    gathering: Option<Gathering>,
}

/// What has come for a batch while it waits.
struct Gathering {
    jobs: Jobs,
    room: usize,
    /// Takes them to the batch when there is no room left.
    full: oneshot::Sender<Jobs>,
}

impl Queue {
    /// Begins to wait for as many more, unless another batch does.
    fn gather(&mut self, room: usize) -> Option<oneshot::Receiver<Jobs>> {
        if room == 0 || self.stopped || self.gathering.is_some() {
            return None;
        }
        let (full, gathered) = oneshot::channel();
        self.gathering = Some(Gathering { jobs: Jobs::new(), room, full });
        Some(gathered)
    }

    /// What has come goes on its way.
    fn close_gathering(&mut self) {
        if let Some(Gathering { jobs, full, .. }) = self.gathering.take() {
            // A batch that nobody handles any more is dropped, and whoever waits for it is told.
            let _ = full.send(jobs);
        }
    }
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
        if let Some(gathering) = &mut queue.gathering {
            gathering.jobs.push(job);
            gathering.room -= 1;
            if gathering.room == 0 {
                queue.close_gathering();
            }
            return;
        }
        if queue.running < concurrency {
            queue.running += 1;
            let gathered = queue.gather(self.room(1));
            drop(queue);
            tasks.spawn(self.clone().work(smallvec![job], gathered, context.clone()));
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

    /// How many a batch waits for that has so many.
    fn room(&self, jobs: usize) -> usize {
        match self.settings.batch_wait.is_zero() {
            true => 0,
            false => self.settings.batch.saturating_sub(jobs),
        }
    }

    /// Handles messages, and then whichever wait, until none does.
    async fn work(
        self: Arc<Self>,
        mut jobs: Jobs,
        mut gathered: Option<oneshot::Receiver<Jobs>>,
        context: Arc<Context>,
    ) {
        loop {
            match gathered {
                Some(gathered) => self.complete(&mut jobs, gathered).await,
                None => self.take_along(&mut self.queue.lock(), &mut jobs),
            }
            self.handle(jobs, &context).await;
            let mut queue = self.queue.lock();
            let Some(next) = queue.waiting.pop_front() else {
                queue.running -= 1;
                return;
            };
            jobs = smallvec![next];
            self.take_along(&mut queue, &mut jobs);
            gathered = queue.gather(self.room(jobs.len()));
        }
    }

    /// Takes what waits along, as many as may go together.
    fn take_along(&self, queue: &mut Queue, jobs: &mut Jobs) {
        let take = self.settings.batch.saturating_sub(jobs.len()).min(queue.waiting.len());
        jobs.extend(queue.waiting.drain(..take));
        self.metrics.waiting.set(queue.waiting.len() as i64);
    }

    /// Waits until the batch is full, or has waited long enough.
    async fn complete(&self, jobs: &mut Jobs, mut gathered: oneshot::Receiver<Jobs>) {
        match timeout(self.settings.batch_wait, &mut gathered).await {
            Ok(more) => jobs.extend(more.into_iter().flatten()),
            Err(_) => {
                let mut queue = self.queue.lock();
                // Full in this moment; another batch may be waiting by now.
                match gathered.try_recv() {
                    Ok(more) => jobs.extend(more),
                    Err(_) => jobs.extend(queue.gathering.take().into_iter().flat_map(|batch| batch.jobs)),
                }
            }
        }
    }

    /// Handles messages together, and tells what became of each.
    async fn handle(&self, jobs: Jobs, context: &Context) {
        let started = Instant::now();
        let count = jobs.len();
        let (messages, thens): (SmallVec<[Message; 1]>, SmallVec<[Option<Then>; 1]>) =
            jobs.into_iter().map(|job| (job.message, job.then)).unzip();
        let handling = timeout(
            self.settings.time_limit,
            AssertUnwindSafe(async { self.receive(messages, context).await }).catch_unwind(),
        );
        let mut outcomes = match handling.await {
            Ok(Ok(outcomes)) => outcomes,
            Ok(Err(_)) => smallvec![Err(LogicError::Panicked); count],
            Err(_) => smallvec![Err(LogicError::TimedOut); count],
        };
        outcomes.resize(count, Err(LogicError::Failed("it gave back too few outcomes".into())));
        let took = started.elapsed().as_secs_f64();
        self.report(&outcomes);
        for (then, outcome) in thens.into_iter().zip(outcomes) {
            self.metrics.seconds.observe(took);
            self.metrics.runs.inc(LogicRun::of(&outcome));
            if let Some(then) = then {
                then(outcome);
            }
        }
    }

    async fn receive(&self, messages: SmallVec<[Message; 1]>, context: &Context) -> SmallVec<[Outcome; 1]> {
        match messages.into_inner() {
            Ok([message]) => smallvec![self.logic.receive(message, context).await],
            Err(messages) => self.logic.receive_batch(messages.into_vec(), context).await.into(),
        }
    }

    /// Says in the log what went wrong, once for those that were handled together.
    fn report(&self, outcomes: &[Outcome]) {
        let wrong = |outcome: &&Outcome| !matches!(outcome, Ok(_) | Err(LogicError::Refused(_)));
        let messages = outcomes.iter().filter(wrong).count();
        match outcomes.iter().find(wrong) {
            // Whoever finds that nobody is there says so, and not for each message.
            Some(Err(error @ LogicError::Unreachable)) => {
                tracing::debug!(logic = %self.name, %error, messages, "a logic module did not handle a message");
            }
            Some(Err(error)) => {
                tracing::warn!(logic = %self.name, %error, messages, "a logic module did not handle a message");
            }
            _ => {}
        }
    }

    /// Takes no more, and gives back what waits.
    pub(super) fn stop(&self) {
        let waiting = {
            let mut queue = self.queue.lock();
            queue.stopped = true;
            queue.close_gathering();
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
