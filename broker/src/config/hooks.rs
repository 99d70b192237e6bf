//! `hooks`: what a program of yours is asked, or told, of clients.

use serde::{Deserialize, Serialize};

use super::{Channels, Period, logic::Webhook, place::Problem};

/// What is asked, and of whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hooks {
    /// Whether a client may connect.
    pub connect: Option<Hook>,
    /// Whether a client may subscribe to a channel.
    pub subscribe: Option<Hook>,
    /// Whether a client may publish this.
    pub publish: Option<Hook>,
    /// Told, not asked: which clients have gone.
    pub disconnect: Option<Hook>,
}

/// One hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// Where the receiver is, and how it is called.
    pub webhook: Webhook,
    /// How long an answer may take, retries included.
    #[serde(default = "time_limit")]
    pub time_limit: Period,
    /// How many calls are made side by side.
    #[serde(default = "concurrency")]
    pub concurrency: usize,
    /// How many clients may wait for an answer; of `disconnect`, how many may wait to be told of.
    #[serde(default = "pending")]
    pub pending: usize,
    /// What becomes of whoever asks when there is no answer.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Of `subscribe` and `publish`: the namespaces whose channels are asked about; all, if not given.
    #[serde(default)]
    pub namespaces: Option<Vec<String>>,
    /// Of `connect`: whether clients need no token, for the answer says who they are.
    #[serde(default)]
    pub instead_of_token: bool,
}

/// What becomes of whoever asks when there is no answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// It is refused for now.
    #[default]
    Refuse,
    /// It goes on as without the hook.
    Allow,
}

fn time_limit() -> Period {
    Period::from_secs(3)
}

fn concurrency() -> usize {
    64
}

fn pending() -> usize {
    1000
}

/// Which of the hooks it is, as far as its settings differ.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Connect,
    OfChannel,
    Disconnect,
}

impl Hook {
    /// A hook at this URL, called as by default, without a secret.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            webhook: Webhook::at(url),
            time_limit: time_limit(),
            concurrency: concurrency(),
            pending: pending(),
            on_failure: OnFailure::default(),
            namespaces: None,
            instead_of_token: false,
        }
    }

    fn check(&self, place: &str, kind: Kind, channels: &Channels, problems: &mut Vec<Problem>) {
        let mut wrong =
            |key: &str, message: String| problems.push(Problem::of(format!("{place}.{key}"), message));
        self.webhook.check(self.time_limit, &mut |key, message| wrong(&format!("webhook.{key}"), message));
        if kind != Kind::Disconnect && self.webhook.batch != 1 {
            wrong("webhook.batch", "each client waits for an answer of its own; leave it out".into());
        }
        if self.time_limit.get().is_zero() {
            wrong("time_limit", "is 0s, so that nothing can be answered; write 3s or so".into());
        }
        for (key, value) in [("concurrency", self.concurrency), ("pending", self.pending)] {
            if value == 0 {
                wrong(key, "is 0, so that nothing is ever asked; write 1 or more".into());
            }
        }
        if kind == Kind::Disconnect && self.on_failure == OnFailure::Allow {
            wrong("on_failure", "nothing is asked when a client has gone; leave it out".into());
        }
        if kind != Kind::Connect && self.instead_of_token {
            wrong("instead_of_token", "is for hooks.connect only; leave it out".into());
        }
        if self.instead_of_token && self.on_failure == OnFailure::Allow {
            wrong("on_failure", "without an answer nobody knows who the client is; write refuse".into());
        }
        for name in self.namespaces.iter().flatten() {
            if kind != Kind::OfChannel {
                wrong("namespaces", "is for hooks.subscribe and hooks.publish only; leave it out".into());
                break;
            }
            if !channels.namespaces.iter().any(|namespace| namespace.name == *name) {
                wrong(
                    "namespaces",
                    format!("{name:?} is not configured; write a name of channels.namespaces"),
                );
            }
        }
        if self.namespaces.as_ref().is_some_and(Vec::is_empty) {
            wrong("namespaces", "is empty, so that nothing is ever asked; leave it out for all".into());
        }
    }
}

impl Hooks {
    /// Each with its name.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Hook)> {
        [
            ("connect", &self.connect),
            ("subscribe", &self.subscribe),
            ("publish", &self.publish),
            ("disconnect", &self.disconnect),
        ]
        .into_iter()
        .filter_map(|(name, hook)| Some((name, hook.as_ref()?)))
    }

    /// Whether clients may connect without a token that is verified.
    pub fn instead_of_token(&self) -> bool {
        self.connect.as_ref().is_some_and(|hook| hook.instead_of_token)
    }

    pub(super) fn check(&self, channels: &Channels, problems: &mut Vec<Problem>) {
        for (name, hook) in self.all() {
            let kind = match name {
                "connect" => Kind::Connect,
                "disconnect" => Kind::Disconnect,
                _ => Kind::OfChannel,
            };
            hook.check(&format!("hooks.{name}"), kind, channels, problems);
        }
    }

    /// Replaces the files of secrets by what they hold.
    pub(super) fn resolve(&mut self, problems: &mut Vec<Problem>) {
        for (name, hook) in [
            ("connect", &mut self.connect),
            ("subscribe", &mut self.subscribe),
            ("publish", &mut self.publish),
            ("disconnect", &mut self.disconnect),
        ] {
            if let Some(hook) = hook {
                hook.webhook.resolve(&format!("hooks.{name}.webhook"), problems);
            }
        }
    }

    /// What is valid but probably not meant; complete once the secrets are read.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> + '_ {
        self.all()
            .filter_map(|(name, hook)| Some(format!("hooks.{name}.webhook {}", hook.webhook.warning()?)))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Secret};

    fn parse(hooks: &str) -> Result<Config, String> {
        Config::parse("hooks", &format!("hooks: {{{hooks}}}"), std::iter::empty()).map_err(|e| e.to_string())
    }

    #[test]
    fn a_hook_needs_no_more_than_a_url() {
        let hooks = parse("publish: {webhook: {url: \"http://h/\"}}").unwrap().hooks;
        assert_eq!(hooks.publish, Some(super::Hook::at("http://h/")));
        assert_eq!(hooks.all().count(), 1);
    }

    #[test]
    fn what_cannot_be_is_told_with_what_to_write() {
        for (hook, rest, message) in [
            ("connect", "webhook: {url: ftp://h}", "hooks.connect.webhook.url: is not of http or https"),
            ("connect", "webhook: {url: \"http://h\", batch: 2}", "webhook.batch: each client waits"),
            ("connect", "namespaces: [\"\"]", "namespaces: is for hooks.subscribe and hooks.publish"),
            ("connect", "instead_of_token: true, on_failure: allow", "on_failure: without an answer nobody"),
            ("publish", "instead_of_token: true", "instead_of_token: is for hooks.connect only"),
            ("publish", "namespaces: [chat]", "namespaces: \"chat\" is not configured"),
            ("publish", "namespaces: []", "namespaces: is empty"),
            ("subscribe", "time_limit: 0s", "time_limit: is 0s"),
            ("subscribe", "pending: 0", "pending: is 0"),
            ("disconnect", "on_failure: allow", "on_failure: nothing is asked"),
        ] {
            let webhook = if rest.contains("webhook") { "" } else { "webhook: {url: \"http://h\"}, " };
            let error = parse(&format!("{hook}: {{{webhook}{rest}}}")).unwrap_err();
            assert!(error.contains(message), "{hook}: {rest}: {error}");
        }
        let batched = "disconnect: {webhook: {url: \"http://h\", batch: 100, batch_wait: 5ms}}";
        assert!(parse(batched).is_ok());
    }

    #[test]
    fn a_secret_is_read_from_its_file_and_missed_where_there_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "0123456789abcdef0123456789abcdef\n").unwrap();
        let text = format!(
            "connect: {{webhook: {{url: \"http://h\", secret_file: {}}}}}, publish: {{webhook: {{url: \"http://h\"}}}}",
            path.display()
        );
        let mut config = parse(&text).unwrap();
        config.resolve_secrets().unwrap();
        let connect = &config.hooks.connect.as_ref().unwrap().webhook;
        assert_eq!(connect.secret.as_ref().map(Secret::expose), Some("0123456789abcdef0123456789abcdef"));
        let warnings: Vec<_> = config.hooks.warnings().collect();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].starts_with("hooks.publish.webhook has no secret"), "{warnings:?}");
    }
}
