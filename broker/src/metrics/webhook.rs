//! The metrics of webhooks.

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec};

use super::{Builder, Counters, label};

label! {
    /// What became of one POST of a webhook.
    WebhookAttempt {
        /// The receiver has answered.
        Ok = "ok",
        /// The receiver was not reached, or the connection broke.
        Unreachable = "unreachable",
        /// The receiver took too long.
        TimedOut = "timed_out",
        /// The receiver has too much to do: status 429.
        Busy = "busy",
        /// The receiver failed: status 5xx.
        ServerError = "server_error",
        /// The receiver does not want this: any other status that is no success.
        Refused = "refused",
        /// The answer is larger than allowed.
        TooLarge = "too_large",
    }
}

label! {
    /// What became of something that a webhook's reply asked for.
    WebhookAction {
        /// It was done.
        Done = "done",
        /// It was not: it cannot be read, names what is not there, or something that it needs did not answer.
        Failed = "failed",
    }
}

/// The metrics of one webhook.
#[derive(Clone, Debug)]
pub struct WebhookMetrics {
    /// Its POSTs.
    pub posts: PostMetrics,
    /// Answers that are no replies, so that nothing of them was done.
    pub bad_replies: prometheus::IntCounter,
    /// What its replies asked for.
    pub actions: Counters<WebhookAction>,
}

/// The metrics of the POSTs to one receiver.
#[derive(Clone, Debug)]
pub struct PostMetrics {
    /// What became of them; each retry counts.
    pub attempts: Counters<WebhookAttempt>,
    /// 0 while it is called, 1 while it is left alone, 2 while one call tries whether it is back.
    pub breaker: IntGauge,
}

/// The metrics of all webhooks.
#[derive(Debug)]
pub(super) struct Webhooks {
    attempts: IntCounterVec,
    bad_replies: IntCounterVec,
    actions: IntCounterVec,
    breaker: IntGaugeVec,
}

impl Webhooks {
    pub(super) fn new(new: &Builder) -> Self {
        Self {
            attempts: new.counters(
                "webhook_attempts_total",
                "POSTs of a webhook, retries too, by what became of them.",
                &["module", "outcome"],
            ),
            bad_replies: new.counters(
                "webhook_bad_replies_total",
                "Answers of a webhook's receiver that are no replies.",
                &["module"],
            ),
            actions: new.counters(
                "webhook_actions_total",
                "What replies of a webhook's receiver asked for, by what became of it.",
                &["module", "outcome"],
            ),
            breaker: new.gauges(
                "webhook_breaker",
                "0: the webhook's receiver is called; 1: it is left alone; 2: one call tries it.",
                &["module"],
            ),
        }
    }

    pub(super) fn of(&self, module: &str) -> WebhookMetrics {
        use super::Label;
        WebhookMetrics {
            posts: PostMetrics {
                attempts: Counters::of(&self.attempts, |outcome: WebhookAttempt| [module, outcome.as_str()]),
                breaker: self.breaker.with_label_values(&[module]),
            },
            bad_replies: self.bad_replies.with_label_values(&[module]),
            actions: Counters::of(&self.actions, |outcome: WebhookAction| [module, outcome.as_str()]),
        }
    }
}
