//! The metrics of hooks.

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec};

use super::{Builder, Counters, HANDLING, Label, PostMetrics, WebhookAttempt, label, opts};

label! {
    /// What became of one question to a hook, or of what it is told.
    HookOutcome {
        /// The receiver allows it.
        Allowed = "allowed",
        /// The receiver refuses it with an error.
        Refused = "refused",
        /// The receiver ends the connection.
        Disconnected = "disconnected",
        /// The receiver was told.
        Told = "told",
        /// There was no answer in time, retries included, or none with which something can be done.
        Failed = "failed",
        /// The receiver was left alone by the breaker.
        LeftAlone = "left_alone",
        /// The answer is not of the shape that it has to have.
        BadAnswer = "bad_answer",
        /// Too many wait.
        TooMany = "too_many",
        /// It was not its turn in time, or whoever asked had gone before.
        NotMade = "not_made",
    }
}

/// The metrics of one hook.
#[derive(Clone, Debug)]
pub struct HookMetrics {
    /// What became of its calls.
    pub calls: Counters<HookOutcome>,
    /// Those who wait for it.
    pub pending: IntGauge,
    /// How long they waited.
    pub seconds: Histogram,
    /// Its POSTs.
    pub posts: PostMetrics,
}

/// The metrics of all hooks.
#[derive(Debug)]
pub(super) struct Hooks {
    calls: IntCounterVec,
    pending: IntGaugeVec,
    seconds: HistogramVec,
    attempts: IntCounterVec,
    breaker: IntGaugeVec,
}

impl Hooks {
    pub(super) fn new(new: &Builder) -> Self {
        let seconds = opts("hook_seconds", "How long an answer of a hook took, retries included.");
        Self {
            calls: new.counters(
                "hook_calls_total",
                "Calls of a hook, by what became of them.",
                &["hook", "outcome"],
            ),
            pending: new.gauges("hook_pending", "Clients that wait for a hook, or to be told of.", &["hook"]),
            seconds: new.register(HistogramVec::new(
                HistogramOpts { common_opts: seconds, buckets: HANDLING.to_vec() },
                &["hook"],
            )),
            attempts: new.counters(
                "hook_attempts_total",
                "POSTs of a hook, retries too, by what became of them.",
                &["hook", "outcome"],
            ),
            breaker: new.gauges(
                "hook_breaker",
                "0: the hook's receiver is called; 1: it is left alone; 2: one call tries it.",
                &["hook"],
            ),
        }
    }

    pub(super) fn of(&self, hook: &str) -> HookMetrics {
        HookMetrics {
            calls: Counters::of(&self.calls, |outcome: HookOutcome| [hook, outcome.as_str()]),
            pending: self.pending.with_label_values(&[hook]),
            seconds: self.seconds.with_label_values(&[hook]),
            posts: PostMetrics {
                attempts: Counters::of(&self.attempts, |outcome: WebhookAttempt| [hook, outcome.as_str()]),
                breaker: self.breaker.with_label_values(&[hook]),
            },
        }
    }
}
