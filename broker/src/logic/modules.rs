//! All modules of an instance.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::FutureExt;
use tokio::time::{sleep, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Context, Kind, Logic, LogicError, Outcome, Place, Placement, Settings,
    module::{Job, Module, Then},
    placement::ROLE_RENEW,
};
use crate::{
    backplane::Backplane,
    cluster::Call,
    message::{LogicName, Message, Source, Target},
    metrics::Metrics,
    pipeline::Pipeline,
};

/// The pause after background work that ended, or panicked, before it is begun again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How long background work may take to end when it is told to.
const END_WITHIN: Duration = Duration::from_secs(2);

/// Two modules have one name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("two logic modules are called {0:?}: each needs a name of its own")]
pub struct NamedTwice(pub String);

/// The modules of an instance, by name.
pub struct Modules {
    modules: BTreeMap<LogicName, Arc<Module>>,
    started: OnceLock<Started>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What modules need to send, known only after everything else is built.
struct Started {
    pipeline: std::sync::Weak<Pipeline>,
    contexts: BTreeMap<LogicName, Arc<Context>>,
}

impl Modules {
    /// These modules; none of them runs before the [pipeline](Pipeline) is started.
    pub fn new(
        modules: impl IntoIterator<Item = (LogicName, Settings, Arc<dyn Logic>)>,
        metrics: &Metrics,
    ) -> Result<Arc<Self>, NamedTwice> {
        let mut named = BTreeMap::new();
        for (name, settings, logic) in modules {
            let module = Module::new(name.clone(), settings, logic, metrics.logic(name.as_str()));
            if named.insert(name.clone(), Arc::new(module)).is_some() {
                return Err(NamedTwice(name.to_string()));
            }
        }
        Ok(Arc::new(Self {
            modules: named,
            started: OnceLock::new(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }))
    }

    /// The modules that get what clients send without naming one.
    pub fn for_sends(&self) -> impl Iterator<Item = &LogicName> {
        self.modules.iter().filter(|(_, module)| module.settings.takes_sends).map(|(name, _)| name)
    }

    /// Whether there is a module that clients may call.
    pub fn takes_calls(&self) -> bool {
        self.modules.values().any(|module| module.settings.takes_calls)
    }

    /// The module of this name, if clients may call it.
    pub fn for_calls(&self, name: &str) -> Option<&LogicName> {
        let (name, module) = self.modules.get_key_value(name)?;
        module.settings.takes_calls.then_some(name)
    }

    /// Begins: leases are asked for, background work starts, and messages are taken.
    pub fn start(self: &Arc<Self>, pipeline: &Arc<Pipeline>) {
        let contexts = self.modules.keys().map(|name| {
            (name.clone(), Arc::new(Context::new(name.clone(), pipeline, self.stop.child_token())))
        });
        let started = Started { pipeline: Arc::downgrade(pipeline), contexts: contexts.collect() };
        let Ok(()) = self.started.set(started) else { return };
        for module in self.modules.values() {
            if module.settings.placement == Placement::OneInstance {
                let backplane = pipeline.cluster.backplane.clone();
                self.tasks.spawn(self.clone().keep_place(module.clone(), backplane));
            }
            if module.settings.kind == Kind::Passive {
                self.tasks.spawn(self.clone().work_in_background(module.clone()));
            }
        }
    }

    /// Where a module of this instance runs; `None` if it has no such module.
    pub fn place(&self, name: &LogicName) -> Option<Place> {
        let module = self.modules.get(name)?;
        Some(match module.settings.placement {
            Placement::Receiving => Place::Here,
            Placement::OneInstance => match self.pipeline() {
                Some(pipeline) => module.holder.place(&pipeline.cluster.hub.address),
                None => Place::Unknown,
            },
        })
    }

    /// How long a module may take for one message, at most: what waits before it takes as long again.
    pub(crate) fn time_limit(&self, name: &LogicName) -> Duration {
        self.modules.get(name).map_or(Duration::ZERO, |module| module.settings.time_limit)
    }

    fn pipeline(&self) -> Option<Arc<Pipeline>> {
        self.started.get()?.pipeline.upgrade()
    }

    /// Hands a message to a module on this instance; `then` is told what became of it.
    pub fn submit(&self, name: &LogicName, message: Message, then: impl FnOnce(Outcome) + Send + 'static) {
        self.submit_boxed(name, message, Some(Box::new(then)));
    }

    /// Hands a message to a module on this instance, whatever becomes of it.
    pub fn hand(&self, name: &LogicName, message: Message) {
        self.submit_boxed(name, message, None);
    }

    fn submit_boxed(&self, name: &LogicName, message: Message, then: Option<Then>) {
        let context = self.started.get().and_then(|started| started.contexts.get(name));
        match (self.modules.get(name), context) {
            (Some(module), Some(context)) => module.submit(Job { message, then }, context, &self.tasks),
            (found, _) => {
                let why = if found.is_some() { LogicError::Stopping } else { LogicError::Unknown };
                if let Some(then) = then {
                    then(Err(why));
                }
            }
        }
    }

    /// Takes a call of another instance.
    pub(crate) fn called(&self, call: Call, payload: &[u8], then: impl FnOnce(Outcome) + Send + 'static) {
        let name = call.name();
        let source = match (call.client, call.from) {
            (Some(id), _) => Source::Client { id, info: Bytes::from(call.info) },
            (None, Some(logic)) => Source::Logic(LogicName::new(&logic)),
            (None, None) => Source::Api,
        };
        let payload = Bytes::copy_from_slice(payload);
        let mut message = Message::new(source, Target::Logic(name.clone()), payload);
        message.metadata = call.metadata;
        message.wants_answer = call.wants_answer;
        self.submit(&name, message, then);
    }

    /// Asks for the module's lease, and renews it while this instance has it.
    async fn keep_place(self: Arc<Self>, module: Arc<Module>, backplane: Arc<dyn Backplane>) {
        loop {
            let asked = Instant::now();
            match backplane.hold(module.name.as_str()).await {
                Ok(Some(holder)) => module.holder.heard(holder, asked),
                Ok(None) => {}
                Err(error) => tracing::debug!(logic = %module.name, %error, "cannot ask where it runs"),
            }
            if self.stop.run_until_cancelled(sleep(ROLE_RENEW)).await.is_none() {
                backplane.release(module.name.as_str()).await;
                return;
            }
        }
    }

    /// Runs a passive module: always, or while this instance has its lease.
    async fn work_in_background(self: Arc<Self>, module: Arc<Module>) {
        let Some(context) =
            self.started.get().and_then(|started| started.contexts.get(&module.name).cloned())
        else {
            return;
        };
        while !self.stop.is_cancelled() {
            if self.place(&module.name) == Some(Place::Here) {
                let while_here = context.child();
                let working = AssertUnwindSafe(module.logic.run(&while_here)).catch_unwind();
                tokio::pin!(working);
                let ended = tokio::select! {
                    ended = &mut working => Some(ended),
                    () = self.leaves(&module) => {
                        while_here.stop();
                        timeout(END_WITHIN, working).await.ok()
                    }
                };
                if let Some(Err(_)) = ended {
                    module.panicked();
                    tracing::error!(logic = %module.name, "a logic module's background work panicked; it begins again");
                }
            }
            let _ = self.stop.run_until_cancelled(sleep(AGAIN_AFTER)).await;
        }
    }

    /// Ends when the module is not to run here any more.
    async fn leaves(&self, module: &Module) {
        while self.place(&module.name) == Some(Place::Here) {
            if self.stop.run_until_cancelled(sleep(AGAIN_AFTER)).await.is_none() {
                return;
            }
        }
    }

    /// Takes no more messages, and waits so long for those in hand; they are dropped then.
    pub async fn end(&self, grace: Duration) {
        self.modules.values().for_each(|module| module.stop());
        self.stop.cancel();
        self.tasks.close();
        if timeout(grace, self.tasks.wait()).await.is_err() {
            tracing::warn!(left = self.tasks.len(), "logic modules did not end in time");
        }
    }
}
