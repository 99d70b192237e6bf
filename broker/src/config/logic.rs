//! `logic`: the modules that receive messages beside the clients.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::place::Problem;
use super::units::Period;

mod webhook;

pub use webhook::{Breaker, Webhook};

/// The longest name of a module.
const LONGEST: usize = 64;

/// The logic modules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Logic {
    /// The modules; names must differ.
    pub modules: Vec<Module>,
}

/// One module: its name, exactly one of the kinds that are built in, and how it is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Module {
    /// What it is called by.
    pub name: String,
    /// Sends every message to every client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broadcaster: Option<Broadcaster>,
    /// Disconnects clients that have sent nothing for long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inactivity: Option<Inactivity>,
    /// Is a program of its own, which messages are POSTed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// What it gets of clients; the server API and other modules reach it always.
    #[serde(default)]
    pub receives: Vec<Receives>,
    /// Whether messages are handled side by side, or one after the other.
    #[serde(default)]
    pub mode: Mode,
    /// How many messages are handled side by side.
    #[serde(default = "concurrency")]
    pub concurrency: usize,
    /// How many messages may wait.
    #[serde(default = "queue")]
    pub queue: usize,
    /// What happens when more come.
    #[serde(default)]
    pub when_full: WhenFull,
    /// How long a message may take.
    #[serde(default = "time_limit")]
    pub time_limit: Period,
    /// Where it runs.
    #[serde(default)]
    pub placement: Placement,
}

/// The settings of a broadcaster: it has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Broadcaster {}

/// The settings of an inactivity monitor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Inactivity {
    /// How long a client may be silent.
    pub after: Period,
    /// How often is looked.
    pub every: Period,
}

impl Default for Inactivity {
    fn default() -> Self {
        Self { after: Period::from_secs(15 * 60), every: Period::from_secs(10) }
    }
}

/// What of clients a module gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Receives {
    /// What they `send`, without an answer.
    Send,
    /// Their `rpc` calls of its name, which it answers.
    Rpc,
}

/// How messages are handed to a module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A task for each message.
    #[default]
    Dispatched,
    /// One message after the other, in order.
    Worker,
}

/// What happens to a message that comes when as many wait as may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// It is refused.
    #[default]
    Refuse,
    /// The one that has waited longest makes room.
    DropOldest,
}

/// Where a module runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// On the instance that the message came in at.
    #[default]
    Receiving,
    /// On one instance of the cluster; another takes over when it dies.
    OneInstance,
}

fn concurrency() -> usize {
    64
}

fn queue() -> usize {
    1000
}

fn time_limit() -> Period {
    Period::from_secs(10)
}

impl Module {
    /// A module of this name, of no kind yet, run as by default.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            broadcaster: None,
            inactivity: None,
            webhook: None,
            receives: Vec::new(),
            mode: Mode::default(),
            concurrency: concurrency(),
            queue: queue(),
            when_full: WhenFull::default(),
            time_limit: time_limit(),
            placement: Placement::default(),
        }
    }

    /// How many messages are handled side by side.
    pub fn at_once(&self) -> usize {
        match self.mode {
            Mode::Dispatched => self.concurrency,
            Mode::Worker => 1,
        }
    }

    fn check(&self, place: &str, problems: &mut Vec<Problem>) {
        let mut wrong =
            |key: &str, message: String| problems.push(Problem::of(format!("{place}.{key}"), message));
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/');
        let name = &self.name;
        if name.is_empty() || name.len() > LONGEST || !name.chars().all(valid) {
            wrong(
                "name",
                format!(
                    "{name:?} cannot be a module's name; write at most {LONGEST} letters, digits, '-', '_', '.', ':' or '/'"
                ),
            );
        }
        let kinds = [self.broadcaster.is_some(), self.inactivity.is_some(), self.webhook.is_some()];
        if kinds.iter().filter(|is| **is).count() != 1 {
            wrong(
                "name",
                format!(
                    "{name:?} must be one thing; write exactly one of broadcaster: {{}}, inactivity: {{}} and webhook: {{url: …}}"
                ),
            );
        }
        for (key, value) in [("concurrency", self.concurrency), ("queue", self.queue)] {
            if value == 0 {
                wrong(key, "is 0, so that nothing is ever handled; write 1 or more".into());
            }
        }
        if self.time_limit.get().is_zero() {
            wrong("time_limit", "is 0s, so that nothing can be handled; write 10s or so".into());
        }
        if let Some(webhook) = &self.webhook {
            webhook.check(self.time_limit, &mut |key, message| wrong(&format!("webhook.{key}"), message));
        }
        if let Some(inactivity) = &self.inactivity {
            for (key, value) in [("after", inactivity.after), ("every", inactivity.every)] {
                if value.get().is_zero() {
                    wrong(&format!("inactivity.{key}"), "is 0s; write 10s or more".into());
                }
            }
            if !self.receives.is_empty() {
                wrong(
                    "receives",
                    "an inactivity monitor works in the background and receives nothing; leave the key out"
                        .into(),
                );
            }
            if self.placement == Placement::OneInstance {
                wrong(
                    "placement",
                    "each instance watches its own clients; write receiving, or leave the key out".into(),
                );
            }
        }
    }
}

impl Logic {
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        let mut seen = HashSet::new();
        for (i, module) in self.modules.iter().enumerate() {
            let place = format!("logic.modules[{i}]");
            module.check(&place, problems);
            if !seen.insert(&module.name) {
                let message =
                    format!("the module {:?} is given twice; each needs a name of its own", module.name);
                problems.push(Problem::of(format!("{place}.name"), message));
            }
        }
    }

    /// Replaces the files of secrets by what they hold.
    pub(super) fn resolve(&mut self, problems: &mut Vec<Problem>) {
        for (i, module) in self.modules.iter_mut().enumerate() {
            if let Some(webhook) = &mut module.webhook {
                webhook.resolve(&format!("logic.modules[{i}].webhook"), problems);
            }
        }
    }

    /// What is valid but probably not meant; complete once the secrets are read.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> + '_ {
        self.modules.iter().enumerate().filter_map(|(i, module)| {
            let warning = module.webhook.as_ref()?.warning()?;
            Some(format!("logic.modules[{i}].webhook {warning}"))
        })
    }
}

#[cfg(test)]
mod tests;
