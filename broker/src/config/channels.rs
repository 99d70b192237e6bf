//! `channels`: what is allowed in which channel.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::history::History;
use super::limits::Rate;
use super::place::Problem;

/// The longest name of a namespace.
const LONGEST: usize = 64;

/// The channels that exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Channels {
    /// The namespaces; a channel whose namespace is not here is unknown.
    pub namespaces: Vec<Namespace>,
}

impl Default for Channels {
    fn default() -> Self {
        Self { namespaces: vec![Namespace::named("")] }
    }
}

/// The rules of the channels that share a prefix: `news:eu` is of the namespace `news`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Namespace {
    /// What stands before the first `:` of a channel; empty for channels without a prefix.
    pub name: String,
    /// Which clients may subscribe.
    #[serde(default)]
    pub subscribe: Subscribe,
    /// Which clients may publish; the server API always may.
    #[serde(default)]
    pub publish: Access,
    /// Which clients may ask who is there.
    #[serde(default)]
    pub presence: Access,
    /// Whether subscribers are told when others come and go.
    #[serde(default)]
    pub join_leave: bool,
    /// How many messages each client may send into these channels.
    #[serde(default)]
    pub rate: Rate,
    /// What is kept of what is published.
    #[serde(default)]
    pub history: History,
}

impl Namespace {
    /// Whether who is in the channel is kept: for clients that may see it, and for those that are told who leaves,
    /// also when that is because an instance died.
    pub fn tracks_presence(&self) -> bool {
        self.presence != Access::Nobody || self.join_leave
    }

    /// A namespace with the default rules.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            subscribe: Subscribe::default(),
            publish: Access::default(),
            presence: Access::default(),
            join_leave: false,
            rate: Rate::default(),
            history: History::default(),
        }
    }
}

/// Which clients may subscribe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subscribe {
    /// Every connected client.
    #[default]
    Any,
    /// Those with a subscription token for the channel.
    Token,
    /// None: only the server subscribes clients.
    Nobody,
}

/// Which clients may publish, see presence, or read history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Every connected client.
    Any,
    /// Those subscribed to the channel.
    #[default]
    Subscribers,
    /// None: only the server API.
    Nobody,
}

impl Channels {
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        if self.namespaces.is_empty() {
            problems.push(Problem::of(
                "channels.namespaces",
                "is empty, so that no channel exists; write at least {name: \"\"}, or leave the key out",
            ));
        }
        let mut seen = HashSet::new();
        for (i, namespace) in self.namespaces.iter().enumerate() {
            namespace.rate.check(&format!("channels.namespaces[{i}].rate"), problems);
            namespace.history.check(&format!("channels.namespaces[{i}].history"), problems);
            let name = &namespace.name;
            let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if name.len() > LONGEST || !name.chars().all(valid) {
                problems.push(Problem::of(
                    format!("channels.namespaces[{i}].name"),
                    format!("{name:?} cannot be a namespace; write at most {LONGEST} letters, digits, '-', '_' or '.' (without the ':')"),
                ));
            }
            if !seen.insert(name) {
                problems.push(Problem::of(
                    format!("channels.namespaces[{i}].name"),
                    format!("the namespace {name:?} is given twice; join the two"),
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_there_is_kept_where_somebody_learns_of_it() {
        let namespace = |presence, join_leave| Namespace { presence, join_leave, ..Namespace::named("") };
        assert!(namespace(Access::Any, false).tracks_presence());
        assert!(namespace(Access::Subscribers, false).tracks_presence());
        assert!(!namespace(Access::Nobody, false).tracks_presence());
        assert!(
            namespace(Access::Nobody, true).tracks_presence(),
            "for the leave of a dead instance's members"
        );
    }
}
