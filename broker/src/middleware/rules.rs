//! The rules of the configuration for what travels with messages.

use std::collections::BTreeMap;

use super::Middleware;
use crate::{config::middleware::Rule, message::Message};

/// One rule: refuses messages for the keys that they have or lack, and changes those of the others.
pub struct Rules(pub Rule);

impl Rules {
    /// Why the message is refused, if it is: the counter's word, and the rule's own sentence.
    fn refusal(&self, message: &Message) -> Option<(&'static str, String)> {
        let Rule { require, forbid, .. } = &self.0;
        let lacks = |keys: &[String], there: &BTreeMap<String, String>| {
            keys.iter().find(|key| !there.contains_key(*key)).cloned()
        };
        let has = |keys: &[String], there: &BTreeMap<String, String>| {
            keys.iter().find(|key| there.contains_key(*key)).cloned()
        };
        if let Some(key) = lacks(&require.metadata, &message.metadata) {
            return Some(("required", format!("the metadata {key:?} is missing; send it along")));
        }
        if let Some(key) = lacks(&require.tags, &message.tags) {
            return Some(("required", format!("the message has no tag {key:?}, which is needed here")));
        }
        if let Some(key) = has(&forbid.metadata, &message.metadata) {
            return Some(("forbidden", format!("the metadata {key:?} is not allowed; leave it out")));
        }
        let key = has(&forbid.tags, &message.tags)?;
        Some(("forbidden", format!("the message has the tag {key:?}, which is not allowed here")))
    }
}

impl Middleware for Rules {
    fn process(&self, message: &mut Message) {
        let Rule { strip, set, message: sentence, .. } = &self.0;
        if let Some((reason, own)) = self.refusal(message) {
            return message.reject(reason, sentence.clone().unwrap_or(own));
        }
        strip.metadata.iter().for_each(|key| drop(message.metadata.remove(key)));
        strip.tags.iter().for_each(|key| drop(message.tags.remove(key)));
        let texts = |texts: &BTreeMap<String, String>| texts.clone().into_iter();
        message.metadata.extend(texts(&set.metadata));
        message.tags.extend(texts(&set.tags));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        message::{Channel, Source, State, Target},
        middleware::Chain,
    };

    /// What a chain of these rules makes of a message with this metadata and these tags: those it has then, or the
    /// sentence.
    fn run(yaml: &str, metadata: &[&str], tags: &[&str]) -> Result<String, String> {
        let rules: Vec<Rule> = serde_yaml::from_str(yaml).unwrap();
        let chain = Chain::new(rules.into_iter().map(|rule| std::sync::Arc::new(Rules(rule)) as _).collect());
        let target = Target::Channel(Channel::trusted("a"));
        let mut message = Message::new(Source::Api, target, Bytes::from_static(b"1"));
        let texts = |keys: &[&str]| keys.iter().map(|key| ((*key).to_owned(), "1".to_owned())).collect();
        (message.metadata, message.tags) = (texts(metadata), texts(tags));
        chain.run(&mut message).map_err(|rejection| rejection.message)?;
        assert_eq!(message.state, State::Accepted);
        Ok(format!("{:?} {:?}", message.metadata, message.tags))
    }

    #[test]
    fn what_is_missing_or_forbidden_is_named() {
        let rule =
            "[{require: {metadata: [trace], tags: [checked]}, forbid: {metadata: [role], tags: [spam]}}]";
        assert!(run(rule, &["trace"], &["checked"]).is_ok());
        for (metadata, tags, named) in [
            (&["role"][..], &["checked"][..], "the metadata \"trace\" is missing; send it along"),
            (&["trace"], &[], "the message has no tag \"checked\", which is needed here"),
            (&["trace", "role"], &["checked"], "the metadata \"role\" is not allowed; leave it out"),
            (&["trace"], &["checked", "spam"], "the message has the tag \"spam\", which is not allowed here"),
        ] {
            assert_eq!(run(rule, metadata, tags).unwrap_err(), named);
        }
        let own = "[{forbid: {metadata: [role]}, message: roles are the backend's affair}]";
        assert_eq!(run(own, &["role"], &[]).unwrap_err(), "roles are the backend's affair");
    }

    #[test]
    fn keys_are_taken_away_before_others_are_put_in_rule_by_rule() {
        let rules = "[{strip: {metadata: [a, b], tags: [x]}, set: {metadata: {b: new}, tags: {y: new}}}, {require: {tags: [y]}, strip: {tags: [y]}}]";
        assert_eq!(
            run(rules, &["a", "b", "c"], &["x", "z"]).unwrap(),
            r#"{"b": "new", "c": "1"} {"z": "1"}"#
        );
    }
}
