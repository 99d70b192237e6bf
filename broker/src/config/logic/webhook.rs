//! A module that is a program of its own: where it is, and how it is called.

use std::{collections::BTreeMap, path::PathBuf};

use hyper::{
    Uri,
    header::{HeaderName, HeaderValue},
};
use serde::{Deserialize, Serialize};

use crate::config::{
    Period, Secret, Size,
    auth::{SAFE_SECRET, check_file, unreadable},
    place::Problem,
};

/// The most messages that may go together.
const LARGEST_BATCH: usize = 1000;

/// Headers that the broker writes itself.
const OWN: [&str; 6] =
    ["content-type", "content-length", "transfer-encoding", "connection", "host", "expect"];

/// Where messages are POSTed to, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The receiver: `http://127.0.0.1:7000/messages`, or `https://…`.
    pub url: String,
    /// What requests are signed with.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// A file that holds it.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// Headers of every request; their values are never shown.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// How many messages that wait go together, at most.
    #[serde(default = "batch")]
    pub batch: usize,
    /// How long is waited for others when fewer wait.
    #[serde(default = "batch_wait")]
    pub batch_wait: Period,
    /// How long one attempt may take; without it, as long as the module's time limit leaves.
    #[serde(default)]
    pub attempt_limit: Option<Period>,
    /// How often it is tried again.
    #[serde(default = "retries")]
    pub retries: usize,
    /// The first pause before that; each is twice as long as the one before.
    #[serde(default = "retry_delay")]
    pub retry_delay: Period,
    /// When a receiver that does not answer is left alone.
    #[serde(default)]
    pub breaker: Breaker,
    /// The largest answer that is read.
    #[serde(default = "response_size")]
    pub response_size: Size,
    /// The certificates to trust, in PEM, instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// When a receiver that does not answer is left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Breaker {
    /// After so many calls in a row that failed.
    pub failures: u32,
    /// For so long; then one call tries.
    pub pause: Period,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { failures: 5, pause: Period::from_secs(5) }
    }
}

fn batch() -> usize {
    1
}

fn batch_wait() -> Period {
    Period::from_millis(0)
}

fn retries() -> usize {
    3
}

fn retry_delay() -> Period {
    Period::from_millis(100)
}

fn response_size() -> Size {
    Size::from_bytes(1 << 20)
}

impl Webhook {
    /// A receiver at this URL, called as by default, without a secret.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            secret: None,
            secret_file: None,
            headers: BTreeMap::new(),
            batch: batch(),
            batch_wait: batch_wait(),
            attempt_limit: None,
            retries: retries(),
            retry_delay: retry_delay(),
            breaker: Breaker::default(),
            response_size: response_size(),
            ca_file: None,
        }
    }

    /// `wrong` is told the key and what to write instead.
    pub(in crate::config) fn check(&self, time_limit: Period, wrong: &mut dyn FnMut(&str, String)) {
        if let Err(why) = check_url(&self.url) {
            wrong("url", format!("{why}; write http://host:port/path or https://host/path"));
        }
        match (&self.secret, &self.secret_file) {
            (Some(_), Some(_)) => wrong("secret_file", "secret is given too; write one of the two".into()),
            (Some(secret), None) if secret.expose().is_empty() => {
                wrong("secret", format!("is empty; write {SAFE_SECRET} characters or more, or leave it out"));
            }
            _ => {}
        }
        let mut files = Vec::new();
        check_file("secret_file", self.secret_file.as_ref(), &mut files);
        check_file("ca_file", self.ca_file.as_ref(), &mut files);
        files.into_iter().for_each(|problem| wrong(&problem.path, problem.message));
        if self.ca_file.is_some() && !self.url.starts_with("https:") {
            wrong("ca_file", "is for https:// only; leave it out, or write such a url".into());
        }
        for (name, value) in &self.headers {
            let lower = name.to_ascii_lowercase();
            if name.parse::<HeaderName>().is_err() {
                wrong("headers", format!("{name:?} cannot be a header's name"));
            } else if OWN.contains(&lower.as_str()) || lower.starts_with("x-switchboard-") {
                wrong("headers", format!("{name} is written by the broker itself; leave it out"));
            }
            if HeaderValue::from_str(value.expose()).is_err() {
                wrong(
                    "headers",
                    format!("the value of {name} holds what no header can carry, such as a line end"),
                );
            }
        }
        if !(1..=LARGEST_BATCH).contains(&self.batch) {
            wrong("batch", format!("is {}; write a number from 1 to {LARGEST_BATCH}", self.batch));
        }
        if self.batch_wait >= time_limit && !self.batch_wait.get().is_zero() {
            wrong(
                "batch_wait",
                format!("must be shorter than the time_limit, {time_limit}; write 5ms or so"),
            );
        } else if self.batch == 1 && !self.batch_wait.get().is_zero() {
            wrong(
                "batch_wait",
                "does nothing while batch is 1; write a larger batch, or leave it out".into(),
            );
        }
        for (key, period) in [
            ("attempt_limit", self.attempt_limit.unwrap_or(Period::from_secs(1))),
            ("retry_delay", self.retry_delay),
            ("breaker.pause", self.breaker.pause),
        ] {
            if period.get().is_zero() {
                wrong(key, "is 0s; write 100ms or more".into());
            }
        }
        if self.breaker.failures == 0 {
            wrong("breaker.failures", "is 0, so that the receiver is never called; write 1 or more".into());
        }
        if self.response_size.bytes() == 0 {
            wrong("response_size", "is 0B, so that nothing can be answered; write 1MiB or so".into());
        }
    }

    /// Replaces the secret's file by what it holds.
    pub(in crate::config) fn resolve(&mut self, place: &str, problems: &mut Vec<Problem>) {
        let Some(path) = self.secret_file.take() else { return };
        match Secret::read(&path) {
            Ok(secret) => self.secret = Some(secret),
            Err(why) => problems.push(unreadable(&format!("{place}.secret_file"), &path, &why)),
        }
    }

    /// What is valid but probably not meant, behind the place.
    pub(in crate::config) fn warning(&self) -> Option<String> {
        match (&self.secret, &self.secret_file) {
            (None, None) => {
                Some("has no secret: its receiver cannot tell who calls; give secret_file or secret".into())
            }
            (Some(secret), _) if secret.expose().len() < SAFE_SECRET => Some(format!(
                "has a secret of {} bytes, which can be guessed from a request; use {SAFE_SECRET} or more",
                secret.expose().len()
            )),
            _ => None,
        }
    }
}

/// Never repeats the URL: it may hold a password.
fn check_url(url: &str) -> Result<(), &'static str> {
    let uri: Uri = url.parse().map_err(|_| "is no URL")?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("is not of http or https");
    }
    let authority = uri.authority().ok_or("has no host")?;
    if authority.as_str().contains('@') {
        return Err("holds a user or password, which are not sent; give headers: {authorization: …} instead");
    }
    let after_host = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    match after_host.strip_prefix(':') {
        _ if authority.host().is_empty() => Err("has no host"),
        Some(port) if !port.parse::<u16>().is_ok_and(|port| port != 0) => Err("has no usable port"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
