//! A module in another language: messages are POSTed to it, and what it answers is carried out.

use std::time::Duration;

use aws_lc_rs::hmac;
use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use http_body_util::Full;
use hyper::{
    Request, Uri,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT},
};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout_at};

use super::{Context, Logic, LogicError, Outcome};
use crate::{
    auth::Namespaces,
    config::{Config, logic::Module, logic::Webhook as Settings},
    message::Message,
    metrics::{Metrics, WebhookAction, WebhookAttempt, WebhookMetrics},
    registry::now_ms,
};

mod actions;
mod breaker;
mod client;
mod reply;
mod request;

#[cfg(any(test, switchboard_fuzz))]
pub(crate) use reply::fuzz;

use breaker::Breaker;
use client::{Failure, Receiver};
use reply::Channels;
use request::Delivery;

/// What is wrong with a receiver is logged so often at most; the metrics count all of it.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// The longest pause between two attempts, but for what the receiver asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Longer periods than this are as good as endless, and the clock cannot add them.
const ENDLESS: Duration = Duration::from_secs(365 * 24 * 3600);

const SIGNATURE: HeaderName = HeaderName::from_static("x-switchboard-signature");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-switchboard-timestamp");
const DELIVERY: HeaderName = HeaderName::from_static("x-switchboard-delivery");

/// A receiver, as a logic module.
pub struct Webhook {
    uri: Uri,
    headers: HeaderMap,
    key: Option<hmac::Key>,
    receiver: Receiver,
    channels: Channels,
    breaker: Breaker,
    /// When the receiver must have answered, retries included.
    within: Duration,
    attempt_limit: Option<Duration>,
    retries: usize,
    retry_delay: Duration,
    metrics: WebhookMetrics,
    logged: Mutex<Option<Instant>>,
}

/// Why a webhook cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the webhook of the logic module {module:?} cannot be used: {why}")]
pub struct Unusable {
    module: String,
    why: String,
}

impl Webhook {
    /// The webhook of a module of the configuration, whose secrets have been read. Nothing is connected yet.
    ///
    /// # Errors
    /// When the certificates to trust cannot be read, or the configuration has not been checked.
    pub fn new(
        config: &Config,
        module: &Module,
        settings: &Settings,
        metrics: &Metrics,
    ) -> Result<Self, Unusable> {
        Self::build(config, module, settings, metrics)
            .map_err(|why| Unusable { module: module.name.clone(), why })
    }

    fn build(
        config: &Config,
        module: &Module,
        settings: &Settings,
        metrics: &Metrics,
    ) -> Result<Self, String> {
        if settings.secret_file.is_some() {
            return Err("its secret_file has not been read; call Config::resolve_secrets".into());
        }
        let uri: Uri = settings.url.parse().map_err(|_| "its url cannot be read".to_owned())?;
        let is_https = uri.scheme_str() == Some("https");
        let mut headers = HeaderMap::new();
        headers
            .insert(USER_AGENT, HeaderValue::from_static(concat!("switchboard/", env!("CARGO_PKG_VERSION"))));
        for (name, value) in &settings.headers {
            let name =
                name.parse::<HeaderName>().map_err(|_| format!("the header {name:?} has no valid name"))?;
            let mut value = HeaderValue::from_str(value.expose())
                .map_err(|_| format!("the header {name} has no valid value"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let ca_file = settings.ca_file.as_deref();
        let receiver = Receiver::new(module.at_once(), settings.response_size.bytes(), is_https, ca_file)?;
        let metrics = metrics.webhook(&module.name);
        let breaker = &settings.breaker;
        Ok(Self {
            uri,
            headers,
            key: settings
                .secret
                .as_ref()
                .map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes())),
            receiver,
            channels: Channels {
                longest: config.limits.channel_length,
                namespaces: Namespaces::new(&config.channels),
            },
            breaker: Breaker::new(
                breaker.failures,
                breaker.pause.get().min(ENDLESS),
                metrics.breaker.clone(),
            ),
            // The rest is for carrying out the reply.
            within: module.time_limit.get().min(ENDLESS) * 19 / 20,
            attempt_limit: settings.attempt_limit.map(|limit| limit.get().min(ENDLESS)),
            retries: settings.retries,
            retry_delay: settings.retry_delay.get().min(ENDLESS),
            metrics,
            logged: Mutex::new(None),
        })
    }

    /// Sends messages, and does what the reply says: an outcome for each.
    async fn deliver(&self, messages: &[Message], context: &Context) -> Result<Vec<Outcome>, LogicError> {
        let delivery = Delivery::new(messages, context)
            .map_err(|error| LogicError::Failed(format!("the messages cannot be written: {error}")))?;
        let body = self.call(&delivery, context).await?;
        let replies = reply::read(&body, messages.len(), &self.channels).map_err(|why| {
            self.metrics.bad_replies.inc();
            LogicError::Failed(format!("the receiver's answer is no reply: {why}"))
        })?;
        let (mut outcomes, mut actions) = (Vec::with_capacity(replies.len()), Vec::new());
        for reply in replies {
            outcomes.push(reply.outcome);
            actions.extend(reply.actions);
            reply.wrong.into_iter().for_each(|why| self.acted(Err(why), context));
        }
        actions::carry_out(actions, context, |outcome| self.acted(outcome, context)).await;
        Ok(outcomes)
    }

    /// Counts what became of something that the receiver asked for.
    fn acted(&self, outcome: Result<(), String>, context: &Context) {
        match outcome {
            Ok(()) => self.metrics.actions.inc(WebhookAction::Done),
            Err(error) => {
                self.metrics.actions.inc(WebhookAction::Failed);
                if self.may_log() {
                    tracing::warn!(logic = %context.name(), %error, "cannot do what a webhook's reply asks for");
                }
            }
        }
    }

    /// POSTs until there is an answer, or it is not worth trying any more.
    async fn call(&self, delivery: &Delivery, context: &Context) -> Result<Bytes, LogicError> {
        let permit = self.breaker.admit().ok_or(LogicError::Unreachable)?;
        let deadline = Instant::now() + self.within;
        let mut pauses = self.pauses();
        let failure = loop {
            let until = self.attempt_limit.map_or(deadline, |limit| deadline.min(Instant::now() + limit));
            let attempt = timeout_at(until, self.receiver.post(self.request(delivery))).await;
            let failure = match attempt.unwrap_or_else(|_| Err(Failure::timed_out())) {
                Ok(body) => {
                    self.metrics.attempts.inc(WebhookAttempt::Ok);
                    if permit.answered() {
                        tracing::info!(logic = %context.name(), "the webhook's receiver answers again");
                    }
                    return Ok(body);
                }
                Err(failure) => failure,
            };
            self.metrics.attempts.inc(failure.kind);
            if !failure.is_temporary() {
                break failure;
            }
            let pause = pauses.next().map(|pause| pause.max(failure.retry_after.unwrap_or_default()));
            match pause {
                Some(pause) if pause < deadline.saturating_duration_since(Instant::now()) => {
                    sleep(pause).await
                }
                _ => break failure,
            }
        };
        // Who says no has answered.
        if failure.kind == WebhookAttempt::Refused {
            permit.answered();
        } else if permit.failed() {
            tracing::warn!(logic = %context.name(), error = failure.why, "the webhook's receiver is left alone for a while");
        } else if self.may_log() {
            tracing::warn!(logic = %context.name(), error = failure.why, "a webhook's receiver does not answer");
        }
        Err(match failure.kind {
            WebhookAttempt::Unreachable => LogicError::Unreachable,
            WebhookAttempt::TimedOut => LogicError::TimedOut,
            _ => LogicError::Failed(failure.why),
        })
    }

    fn request(&self, delivery: &Delivery) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(delivery.body.clone()));
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.clone_from(&self.headers);
        // Of this attempt: receivers refuse what is old, so that nobody can send it again later.
        let timestamp = (now_ms() / 1000).to_string();
        let mut insert = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        if let Some(key) = &self.key {
            insert(SIGNATURE, &delivery.signature(key, &timestamp));
        }
        insert(TIMESTAMP, &timestamp);
        insert(DELIVERY, &delivery.id.to_string());
        request
    }

    /// Twice as long each time, and each time up to as much again: those that failed together do not come together.
    fn pauses(&self) -> impl Iterator<Item = Duration> + use<> {
        ExponentialBuilder::default()
            .with_min_delay(self.retry_delay)
            .with_max_delay(LONGEST_PAUSE.max(self.retry_delay))
            .with_factor(2.0)
            .with_jitter()
            .with_max_times(self.retries)
            .build()
    }

    /// Whether nothing has been logged for a while.
    fn may_log(&self) -> bool {
        let mut logged = self.logged.lock();
        let may = logged.is_none_or(|at| at.elapsed() >= LOG_EVERY);
        if may {
            *logged = Some(Instant::now());
        }
        may
    }
}

impl Logic for Webhook {
    fn receive<'a>(&'a self, message: Message, context: &'a Context) -> BoxFuture<'a, Outcome> {
        async move {
            let outcomes = self.deliver(std::slice::from_ref(&message), context).await?;
            outcomes.into_iter().next().unwrap_or(Ok(None))
        }
        .boxed()
    }

    fn receive_batch<'a>(
        &'a self,
        messages: Vec<Message>,
        context: &'a Context,
    ) -> BoxFuture<'a, Vec<Outcome>> {
        async move {
            let outcomes = self.deliver(&messages, context).await;
            outcomes.unwrap_or_else(|error| messages.iter().map(|_| Err(error.clone())).collect())
        }
        .boxed()
    }
}
