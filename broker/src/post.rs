//! POSTs to programs of others: signed, made again while that may help, given up in time, and left out altogether
//! while nobody answers them.

use std::time::Duration;

use aws_lc_rs::hmac;
use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Uri,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT},
};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

use crate::{
    clock::now_ms,
    config::logic::Webhook as Settings,
    metrics::{PostMetrics, WebhookAttempt},
};

mod breaker;
mod client;

use breaker::Breaker;
pub(crate) use client::Failure;
use client::Receiver;

/// What is wrong with a receiver is logged so often at most; the metrics count all of it.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// The longest pause between two attempts, but for what the receiver asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Longer periods than this are as good as endless, and the clock cannot add them.
pub(crate) const ENDLESS: Duration = Duration::from_secs(365 * 24 * 3600);

const SIGNATURE: HeaderName = HeaderName::from_static("x-switchboard-signature");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-switchboard-timestamp");
const DELIVERY: HeaderName = HeaderName::from_static("x-switchboard-delivery");

/// One receiver, and how it is called.
pub(crate) struct Poster {
    /// What calls it, for the log.
    name: String,
    uri: Uri,
    headers: HeaderMap,
    key: Option<hmac::Key>,
    receiver: Receiver,
    breaker: Breaker,
    attempt_limit: Option<Duration>,
    retries: usize,
    retry_delay: Duration,
    metrics: PostMetrics,
    logged: Mutex<Option<Instant>>,
}

/// What is POSTed: the same through all retries.
#[derive(Debug)]
pub(crate) struct Parcel {
    /// Its identity: a receiver that knows it has handled it.
    pub(crate) id: Uuid,
    /// The JSON.
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// The receiver is left alone, for it has not answered others.
    LeftAlone,
    /// The last attempt failed.
    Failed(Failure),
}

impl Poster {
    /// Calls a receiver by these settings, whose secrets have been read, over so many connections at a time. Nothing is
    /// connected yet.
    ///
    /// # Errors
    /// When the certificates to trust cannot be read, or the settings have not been checked.
    pub(crate) fn new(
        name: String,
        settings: &Settings,
        at_once: usize,
        metrics: PostMetrics,
    ) -> Result<Self, String> {
        if settings.secret_file.is_some() {
            return Err("its secret_file has not been read; call Config::resolve_secrets".into());
        }
        let uri: Uri = settings.url.parse().map_err(|_| "its url cannot be read".to_owned())?;
        let is_https = uri.scheme_str() == Some("https");
        let ca_file = settings.ca_file.as_deref();
        let receiver = Receiver::new(at_once, settings.response_size.bytes(), is_https, ca_file)?;
        let breaker = &settings.breaker;
        let key =
            |secret: &crate::config::Secret| hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        Ok(Self {
            name,
            uri,
            headers: headers(settings)?,
            key: settings.secret.as_ref().map(key),
            receiver,
            breaker: Breaker::new(
                breaker.failures,
                breaker.pause.get().min(ENDLESS),
                metrics.breaker.clone(),
            ),
            attempt_limit: settings.attempt_limit.map(|limit| limit.get().min(ENDLESS)),
            retries: settings.retries,
            retry_delay: settings.retry_delay.get().min(ENDLESS),
            metrics,
            logged: Mutex::new(None),
        })
    }

    /// POSTs until there is an answer, it is not worth trying any more, or the time is over.
    pub(crate) async fn post(&self, parcel: &Parcel, deadline: Instant) -> Result<Bytes, Unanswered> {
        let permit = self.breaker.admit().ok_or(Unanswered::LeftAlone)?;
        let mut pauses = self.pauses();
        let failure = loop {
            let until = self.attempt_limit.map_or(deadline, |limit| deadline.min(Instant::now() + limit));
            let attempt = timeout_at(until, self.receiver.post(self.request(parcel))).await;
            let failure = match attempt.unwrap_or_else(|_| Err(Failure::timed_out())) {
                Ok(body) => {
                    self.metrics.attempts.inc(WebhookAttempt::Ok);
                    if permit.answered() {
                        tracing::info!(caller = self.name, "a receiver answers again");
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
            tracing::warn!(caller = self.name, error = failure.why, "a receiver is left alone for a while");
        } else if self.may_log() {
            tracing::warn!(caller = self.name, error = failure.why, "a receiver does not answer");
        }
        Err(Unanswered::Failed(failure))
    }

    fn request(&self, parcel: &Parcel) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(parcel.body.clone()));
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
            insert(SIGNATURE, &parcel.signature(key, &timestamp));
        }
        insert(TIMESTAMP, &timestamp);
        insert(DELIVERY, &parcel.id.to_string());
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

    /// Whether nothing has been logged of the receiver for a while.
    pub(crate) fn may_log(&self) -> bool {
        let mut logged = self.logged.lock();
        let may = logged.is_none_or(|at| at.elapsed() >= LOG_EVERY);
        if may {
            *logged = Some(Instant::now());
        }
        may
    }
}

/// The headers of every request.
fn headers(settings: &Settings) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("switchboard/", env!("CARGO_PKG_VERSION"))));
    for (name, value) in &settings.headers {
        let name =
            name.parse::<HeaderName>().map_err(|_| format!("the header {name:?} has no valid name"))?;
        let mut value = HeaderValue::from_str(value.expose())
            .map_err(|_| format!("the header {name} has no valid value"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(headers)
}

impl Parcel {
    /// The signature of the body at a time in seconds since 1970, as it stands in the header.
    fn signature(&self, key: &hmac::Key, timestamp: &str) -> String {
        let mut signing = hmac::Context::with_key(key);
        signing.update(timestamp.as_bytes());
        signing.update(b".");
        signing.update(&self.body);
        let hex = signing.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        format!("v1={hex}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_time_and_body() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
        let parcel = Parcel { id: Uuid::nil(), body: Bytes::from_static(b"{}") };
        // printf '1700000000.{}' | openssl dgst -sha256 -hmac secret
        let expected = "v1=b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163";
        assert_eq!(parcel.signature(&key, "1700000000"), expected);
    }
}
