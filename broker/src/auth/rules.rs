//! What a client may do in a channel, by the rules of the channel's namespace.

use ahash::HashMap;

use crate::{
    backplane::Keep,
    config::{Access, Channels, Namespace, Subscribe},
};

/// The namespaces by name.
#[derive(Clone, Debug)]
pub struct Namespaces {
    /// Of channels without a prefix: most have none, and it is asked with each message.
    unnamed: Option<Namespace>,
    named: HashMap<String, Namespace>,
}

impl Namespaces {
    /// The namespaces of the configuration.
    pub fn new(channels: &Channels) -> Self {
        let mut named: HashMap<_, _> =
            channels.namespaces.iter().map(|namespace| (namespace.name.clone(), namespace.clone())).collect();
        Self { unnamed: named.remove(""), named }
    }

    /// The rules of a channel; `None` when its namespace does not exist (error 102, unknown channel).
    pub fn of(&self, channel: &str) -> Option<&Namespace> {
        match namespace_of(channel) {
            "" => self.unnamed.as_ref(),
            name => self.named.get(name),
        }
    }
}

/// The namespace of a channel: what stands before its first `:`, or nothing.
pub fn namespace_of(channel: &str) -> &str {
    memchr::memchr(b':', channel.as_bytes()).map_or("", |end| &channel[..end])
}

/// What is kept of which channels.
#[derive(Clone, Debug, Default)]
pub struct Histories(Box<[(String, Keep)]>);

impl Histories {
    /// Those of the configuration's namespaces.
    pub fn new(channels: &Channels) -> Self {
        let kept = |namespace: &Namespace| Some((namespace.name.clone(), namespace.history.keep()?));
        Self(channels.namespaces.iter().filter_map(kept).collect())
    }

    /// What is kept of this channel; `None` for nothing.
    pub fn of(&self, channel: &str) -> Option<Keep> {
        // Most brokers keep nothing, and pay nothing for those that do.
        if self.0.is_empty() {
            return None;
        }
        let namespace = namespace_of(channel);
        self.0.iter().find(|(name, _)| name == namespace).map(|(_, keep)| *keep)
    }

    /// Whether nothing is kept of any.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a client asks to do in a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Receive what is published.
    Subscribe,
    /// Send to all subscribers.
    Publish,
    /// See who is there.
    Presence,
    /// Read what was published.
    History,
}

/// What matters about the client that asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// It came with a valid subscription token for this channel.
    pub token: bool,
    /// It is subscribed to this channel.
    pub subscribed: bool,
}

/// The rules do not allow it (error 103, permission denied).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the namespace's rules do not allow it")]
pub struct Denied;

/// Whether the rules allow a client to do this. The server API is not asked: it always may.
///
/// # Errors
/// When they do not.
pub fn permit(rules: &Namespace, action: Action, caller: Caller) -> Result<(), Denied> {
    let access = |access| match access {
        Access::Any => true,
        Access::Subscribers => caller.subscribed,
        Access::Nobody => false,
    };
    let allowed = match action {
        Action::Subscribe => match rules.subscribe {
            Subscribe::Any => true,
            Subscribe::Token => caller.token,
            Subscribe::Nobody => false,
        },
        Action::Publish => access(rules.publish),
        Action::Presence => access(rules.presence),
        Action::History => access(rules.history.read),
    };
    if allowed { Ok(()) } else { Err(Denied) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_channel_belongs_to_what_stands_before_its_first_colon() {
        for (channel, namespace) in [
            ("news:eu", "news"),
            ("news:eu:de", "news"),
            ("news", ""),
            ("", ""),
            (":x", ""),
            ("news:", "news"),
        ] {
            assert_eq!(namespace_of(channel), namespace, "{channel:?}");
        }
    }

    #[test]
    fn a_channel_of_no_namespace_is_unknown() {
        let namespaces = Namespaces::new(&Channels { namespaces: vec![Namespace::named("news")] });
        assert_eq!(namespaces.of("news:eu").map(|rules| rules.name.as_str()), Some("news"));
        assert_eq!(namespaces.of("newsroom:eu"), None);
        assert_eq!(namespaces.of("plain"), None);
        assert!(Namespaces::new(&Channels::default()).of("plain").is_some());
    }

    #[test]
    fn every_rule_for_every_caller() {
        let callers = [(false, false), (true, false), (false, true), (true, true)]
            .map(|(token, subscribed)| Caller { token, subscribed });
        let allowed = |rules: &Namespace, action| callers.map(|caller| permit(rules, action, caller).is_ok());
        for (subscribe, expected) in [
            (Subscribe::Any, [true; 4]),
            (Subscribe::Token, [false, true, false, true]),
            (Subscribe::Nobody, [false; 4]),
        ] {
            let rules = Namespace { subscribe, ..Namespace::named("") };
            assert_eq!(allowed(&rules, Action::Subscribe), expected, "{subscribe:?}");
        }
        for (access, expected) in [
            (Access::Any, [true; 4]),
            (Access::Subscribers, [false, false, true, true]),
            (Access::Nobody, [false; 4]),
        ] {
            let rules = Namespace { publish: access, presence: Access::Nobody, ..Namespace::named("") };
            assert_eq!(allowed(&rules, Action::Publish), expected, "{access:?}");
            assert_eq!(allowed(&rules, Action::Presence), [false; 4]);
            let rules = Namespace { presence: access, publish: Access::Nobody, ..Namespace::named("") };
            assert_eq!(allowed(&rules, Action::Presence), expected, "{access:?}");
            assert_eq!(allowed(&rules, Action::Publish), [false; 4]);
        }
    }

    proptest! {
        #[test]
        fn the_namespace_is_a_prefix_without_a_colon(channel: String) {
            let namespace = namespace_of(&channel);
            prop_assert!(!namespace.contains(':'));
            prop_assert!(channel.starts_with(namespace));
        }
    }
}
