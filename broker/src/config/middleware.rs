//! `middleware`: rules for what travels with messages.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::place::Problem;

/// The endpoints that are built in, as rules name them; `http` is the server API.
pub const ENDPOINTS: [&str; 7] = ["websocket", "socketio", "sse", "presence", "tcp", "udp", "http"];

/// The rules that every message passes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Middleware {
    /// For what comes in from clients and the server API, in this order.
    pub receive: Vec<Rule>,
    /// For what goes to clients, also from logic, in this order.
    pub send: Vec<Rule>,
}

/// One rule: what a message must have, must not have, loses and is given, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// Only for what came in by these endpoints; empty: for everything.
    pub endpoints: Vec<String>,
    /// A message without one of these is refused.
    pub require: Keys,
    /// A message with one of these is refused.
    pub forbid: Keys,
    /// These are taken away.
    pub strip: Keys,
    /// These are put in, over what is there.
    pub set: Texts,
    /// What the sender of a refused message is told, if not what the rule says by itself.
    pub message: Option<String>,
}

/// Keys of what travels with a message, or of what is noted of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// What travels with it to its receivers.
    pub metadata: Vec<String>,
    /// Notes of middleware, which nobody else sees.
    pub tags: Vec<String>,
}

/// The same with texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Texts {
    /// What travels with it to its receivers.
    pub metadata: BTreeMap<String, String>,
    /// Notes of middleware, which nobody else sees.
    pub tags: BTreeMap<String, String>,
}

impl Keys {
    fn is_empty(&self) -> bool {
        self.metadata.is_empty() && self.tags.is_empty()
    }
}

impl Middleware {
    /// All endpoints that are named.
    pub fn endpoints(&self) -> impl Iterator<Item = &String> {
        self.receive.iter().chain(&self.send).flat_map(|rule| &rule.endpoints)
    }

    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        for (chain, rules) in [("receive", &self.receive), ("send", &self.send)] {
            for (number, rule) in rules.iter().enumerate() {
                rule.check(&format!("middleware.{chain}[{number}]"), problems);
            }
        }
    }
}

impl Rule {
    fn check(&self, path: &str, problems: &mut Vec<Problem>) {
        let mut problem = |key: &str, what: String| {
            problems.push(Problem::of(format!("{path}{key}"), what));
        };
        let refuses = !self.require.is_empty() || !self.forbid.is_empty();
        let changes = !self.strip.is_empty() || !self.set.metadata.is_empty() || !self.set.tags.is_empty();
        if !refuses && !changes {
            problem("", "does nothing; write one of require, forbid, strip and set, such as require: {metadata: [trace]}".into());
        }
        if self.message.is_some() && !refuses {
            problem(
                ".message",
                "is never told, for the rule refuses nothing; write require or forbid too, or leave it out"
                    .into(),
            );
        }
        if self.message.as_ref().is_some_and(String::is_empty) {
            problem(".message", "is empty; write a sentence for the sender, or leave it out".into());
        }
        if self.endpoints.iter().any(String::is_empty) {
            problem(
                ".endpoints",
                "has an empty name; write websocket, socketio, sse, presence, tcp, udp, http, or the name of one of your own"
                    .into(),
            );
        }
        let names = |list: &[String]| list.iter().cloned().collect::<BTreeSet<_>>();
        for (of, required, forbidden, stripped, set) in [
            (
                "metadata",
                &self.require.metadata,
                &self.forbid.metadata,
                &self.strip.metadata,
                &self.set.metadata,
            ),
            ("tags", &self.require.tags, &self.forbid.tags, &self.strip.tags, &self.set.tags),
        ] {
            let (required, forbidden) = (names(required), names(forbidden));
            if let Some(key) = required.intersection(&forbidden).next() {
                problem(
                    &format!(".forbid.{of}"),
                    format!("{key:?} is required too, so that nothing passes; take it out of one of the two"),
                );
            }
            let all = required.iter().chain(&forbidden).chain(stripped).chain(set.keys());
            if all.into_iter().any(String::is_empty) {
                problem("", format!("names {of} without a name; write the key that is meant"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(yaml: &str) -> Vec<String> {
        let rules: Middleware = serde_yaml::from_str(yaml).unwrap();
        let mut problems = Vec::new();
        rules.check(&mut problems);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_rule_does_something_and_not_its_opposite() {
        let good = "receive: [{endpoints: [http], require: {metadata: [trace]}, set: {tags: {from: api}}, message: name the trace}]";
        assert!(problems(good).is_empty());
        for (yaml, start) in [
            ("receive: [{endpoints: [tcp]}]", "middleware.receive[0]: does nothing"),
            (
                "send: [{strip: {tags: [a]}}, {set: {tags: {a: b}}, message: no}]",
                "middleware.send[1].message: is never told",
            ),
            ("send: [{require: {tags: [a]}, message: ''}]", "middleware.send[0].message: is empty"),
            (
                "send: [{require: {tags: [a]}, forbid: {tags: [b, a]}}]",
                "middleware.send[0].forbid.tags: \"a\" is required too",
            ),
            ("send: [{strip: {metadata: ['']}}]", "middleware.send[0]: names metadata without a name"),
            (
                "send: [{endpoints: [''], strip: {metadata: [a]}}]",
                "middleware.send[0].endpoints: has an empty name",
            ),
        ] {
            let found = problems(yaml);
            assert!(found.len() == 1 && found[0].starts_with(start), "{yaml}: {found:?}");
        }
    }
}
