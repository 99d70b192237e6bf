//! What a program of others is asked of clients before they connect, subscribe or publish, and told when they have gone.
//!
//! Each call is a task of its own, so that whoever asks waits for nothing but the verdict, and a call whose asker has
//! gone is no failure of the receiver.

use std::{sync::Arc, time::Duration};

use ahash::HashSet;
use tokio::{
    sync::{Semaphore, oneshot},
    time::{Instant, timeout_at},
};

use crate::{
    auth::namespace_of,
    config::{self, hooks::OnFailure},
    endpoint::ErrorCode,
    message::InstanceId,
    metrics::{HookMetrics, HookOutcome, Metrics},
    post::{ENDLESS, Parcel, Poster, Unanswered},
};

mod answer;
mod connect;
mod question;
mod tell;

pub use answer::{Granted, Refusal, Verdict};
pub use connect::ConnectHook;
pub use question::{Gone, Question};
pub use tell::Teller;

use answer::{Expected, read};
use tell::Told;

/// The hooks of one broker; without a configuration there are none.
#[derive(Default)]
pub struct Hooks {
    /// Whether a client may connect.
    pub connect: Option<ConnectHook>,
    subscribe: Option<Arc<Hook>>,
    publish: Option<Arc<Hook>>,
    disconnect: Option<Told>,
}

/// Why a hook cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("hooks.{hook} cannot be used: {why}")]
pub struct Unusable {
    hook: &'static str,
    why: String,
}

/// Something that is asked before a client may go on.
pub struct Hook {
    poster: Poster,
    /// What it is called in what is POSTed.
    name: &'static str,
    instance: InstanceId,
    /// What its answers may say.
    expected: Expected,
    within: Duration,
    at_once: Semaphore,
    pending: Arc<Semaphore>,
    namespaces: Option<HashSet<String>>,
    on_failure: OnFailure,
    metrics: HookMetrics,
}

/// A verdict that is on its way.
pub type Asked = oneshot::Receiver<Verdict>;

impl Hooks {
    /// The hooks of a configuration whose secrets have been read, and what tells of clients that have gone, which is to
    /// be [run](Teller::run). Nothing is connected yet.
    ///
    /// # Errors
    /// When certificates to trust cannot be read, or the configuration has not been checked.
    pub fn new(
        config: &config::Config,
        instance: &InstanceId,
        metrics: &Metrics,
    ) -> Result<(Self, Option<Teller>), Unusable> {
        let settings = &config.hooks;
        let hook = |name, settings: &Option<config::hooks::Hook>, expected| {
            let settings = settings.as_ref();
            let hook = settings.map(|settings| Hook::new(name, settings, expected, instance, metrics));
            hook.transpose().map_err(|why| Unusable { hook: name, why })
        };
        let connect = hook("connect", &settings.connect, Expected::Connect)?;
        let told = hook("disconnect", &settings.disconnect, Expected::Nothing)?;
        let (disconnect, teller) = told.zip(settings.disconnect.as_ref()).map(tell::queue).unzip();
        let hooks = Self {
            connect: connect.map(|hook| ConnectHook {
                hook,
                instead_of_token: settings.instead_of_token(),
                anonymous: config.auth.anonymous,
            }),
            subscribe: hook("subscribe", &settings.subscribe, Expected::Subscribe)?,
            publish: hook("publish", &settings.publish, Expected::Publish)?,
            disconnect,
        };
        Ok((hooks, teller))
    }

    /// What is to be asked before a client subscribes to this channel.
    pub fn subscribe(&self, channel: &str) -> Option<&Arc<Hook>> {
        self.subscribe.as_ref().filter(|hook| hook.is_for(channel))
    }

    /// What is to be asked before a client publishes into this channel.
    pub fn publish(&self, channel: &str) -> Option<&Arc<Hook>> {
        self.publish.as_ref().filter(|hook| hook.is_for(channel))
    }

    /// A client has gone; `gone` is asked for only if that is to be told.
    pub fn disconnected(&self, gone: impl FnOnce() -> Gone) {
        if let Some(told) = &self.disconnect {
            told.tell(gone());
        }
    }
}

impl Hook {
    fn new(
        name: &'static str,
        settings: &config::hooks::Hook,
        expected: Expected,
        instance: &InstanceId,
        metrics: &Metrics,
    ) -> Result<Arc<Self>, String> {
        let metrics = metrics.hook(name);
        let (webhook, at_once) = (&settings.webhook, settings.concurrency);
        Ok(Arc::new(Self {
            poster: Poster::new(format!("hook {name}"), webhook, at_once, metrics.posts.clone())?,
            name,
            instance: instance.clone(),
            expected,
            within: settings.time_limit.get().min(ENDLESS),
            at_once: Semaphore::new(at_once.min(Semaphore::MAX_PERMITS)),
            pending: Arc::new(Semaphore::new(settings.pending.min(Semaphore::MAX_PERMITS))),
            namespaces: settings.namespaces.as_ref().map(|names| names.iter().cloned().collect()),
            on_failure: settings.on_failure,
            metrics,
        }))
    }

    fn is_for(&self, channel: &str) -> bool {
        self.namespaces.as_ref().is_none_or(|names| names.contains(namespace_of(channel)))
    }

    /// Asks. The verdict comes in any case, within the hook's time limit.
    pub fn ask(self: &Arc<Self>, question: &Question<'_>) -> Asked {
        let (tell, asked) = oneshot::channel();
        let Ok(place) = self.pending.clone().try_acquire_owned() else {
            self.metrics.calls.inc(HookOutcome::TooMany);
            let _ = tell.send(self.without_answer(ErrorCode::TooManyRequests));
            return asked;
        };
        let (hook, parcel) = (self.clone(), question.parcel(self.name, &self.instance));
        let user = question.user.map(str::to_owned);
        self.metrics.pending.inc();
        tokio::spawn(async move {
            let begun = Instant::now();
            // Who has gone in the meantime is not asked about.
            let verdict =
                hook.call(&parcel, begun + hook.within, user.as_deref(), || !tell.is_closed()).await;
            hook.metrics.seconds.observe(begun.elapsed().as_secs_f64());
            hook.metrics.pending.dec();
            drop(place);
            let _ = tell.send(verdict);
        });
        asked
    }

    async fn call(
        &self,
        parcel: &Parcel,
        deadline: Instant,
        user: Option<&str>,
        is_wanted: impl Fn() -> bool,
    ) -> Verdict {
        let turn = timeout_at(deadline, self.at_once.acquire()).await;
        if turn.is_err() || !is_wanted() {
            self.metrics.calls.inc(HookOutcome::NotMade);
            return self.without_answer(ErrorCode::Internal);
        }
        let body = match self.poster.post(parcel, deadline).await {
            Ok(body) => body,
            Err(why) => {
                self.metrics.calls.inc(match why {
                    Unanswered::LeftAlone => HookOutcome::LeftAlone,
                    Unanswered::Failed(_) => HookOutcome::Failed,
                });
                return self.without_answer(ErrorCode::Internal);
            }
        };
        let (outcome, verdict) = match read(&body, self.expected, user) {
            Ok(verdict) => (verdict.outcome(), verdict),
            Err(why) => {
                if self.poster.may_log() {
                    tracing::warn!(hook = self.name, why, "a hook's answer cannot be used");
                }
                (HookOutcome::BadAnswer, self.without_answer(ErrorCode::Internal))
            }
        };
        self.metrics.calls.inc(outcome);
        verdict
    }

    fn without_answer(&self, error: ErrorCode) -> Verdict {
        match self.on_failure {
            OnFailure::Refuse => Verdict::Failed(error),
            OnFailure::Allow => Verdict::Allowed(Granted::default()),
        }
    }
}
