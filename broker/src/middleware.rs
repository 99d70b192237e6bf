//! What looks at every message on its way: the receive chain before routing, the send chain before a message
//! leaves the origin. Both run once, on the instance where the message came in.

use std::sync::Arc;

use crate::message::{Message, Rejection, State};

pub mod rate;
pub mod rules;
pub mod size;

/// Looks at a message, may change it, and may stop it with [`Message::reject`] or [`Message::postpone`].
///
/// ```
/// use switchboard::{message::{Message, Source, State, Target}, middleware::Middleware};
///
/// /// Stops messages that are larger than this.
/// struct AtMost(usize);
///
/// impl Middleware for AtMost {
///     fn process(&self, message: &mut Message) {
///         if message.payload.len() > self.0 {
///             message.reject("size", format!("at most {} bytes are allowed", self.0));
///         }
///     }
/// }
///
/// let mut message = Message::new(Source::Api, Target::Everyone, "a long story".into());
/// AtMost(1000).process(&mut message);
/// assert_eq!(message.state, State::Accepted);
/// AtMost(10).process(&mut message);
/// assert!(matches!(message.state, State::Rejected(_)));
/// ```
pub trait Middleware: Send + Sync + 'static {
    /// Called for each message; must not block.
    fn process(&self, message: &mut Message);
}

/// A middleware that sees only what came in by some endpoints.
pub struct Only {
    endpoints: Vec<String>,
    middleware: Arc<dyn Middleware>,
}

impl Only {
    /// For what came in by the endpoints of these names.
    pub fn of(endpoints: Vec<String>, middleware: Arc<dyn Middleware>) -> Self {
        Self { endpoints, middleware }
    }
}

impl Middleware for Only {
    fn process(&self, message: &mut Message) {
        if message.endpoint.is_some_and(|name| self.endpoints.iter().any(|endpoint| endpoint == name)) {
            self.middleware.process(message);
        }
    }
}

/// Middleware in order. A message that one of them rejects goes no further.
#[derive(Clone, Default)]
pub struct Chain(Vec<Arc<dyn Middleware>>);

impl Chain {
    /// A chain of these, in this order.
    pub fn new(middleware: Vec<Arc<dyn Middleware>>) -> Self {
        Self(middleware)
    }

    /// Runs the chain over a message.
    pub fn run(&self, message: &mut Message) -> Result<(), Rejection> {
        for middleware in &self.0 {
            middleware.process(message);
            if let State::Rejected(rejection) = &message.state {
                return Err(rejection.clone());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::message::{Channel, Source, Target};

    struct Tag(&'static str);
    impl Middleware for Tag {
        fn process(&self, message: &mut Message) {
            let order = message.tags.len().to_string();
            message.tags.insert(self.0.to_owned(), order);
        }
    }

    struct Refuse;
    impl Middleware for Refuse {
        fn process(&self, message: &mut Message) {
            message.reject("test", "not today");
        }
    }

    #[test]
    fn some_see_only_what_came_in_by_their_endpoints() {
        let only = |names: &[&str], tag| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            Arc::new(Only::of(names, Arc::new(Tag(tag)))) as Arc<dyn Middleware>
        };
        let chain =
            Chain::new(vec![only(&["tcp", "lines"], "a"), only(&["websocket"], "b"), Arc::new(Tag("c"))]);
        for (endpoint, expected) in [
            (Some("tcp"), &["a", "c"][..]),
            (Some("lines"), &["a", "c"]),
            (Some("http"), &["c"]),
            (None, &["c"]),
        ] {
            let target = Target::Channel(Channel::trusted("news"));
            let mut message = Message::new(Source::Api, target, Bytes::from_static(b"1"));
            message.endpoint = endpoint;
            chain.run(&mut message).unwrap();
            assert_eq!(message.tags.keys().collect::<Vec<_>>(), expected, "{endpoint:?}");
        }
    }

    #[test]
    fn a_chain_runs_in_order_and_stops_at_the_first_rejection() {
        let chain =
            Chain::new(vec![Arc::new(Tag("a")), Arc::new(Tag("b")), Arc::new(Refuse), Arc::new(Tag("c"))]);
        let target = Target::Channel(Channel::trusted("news"));
        let mut message = Message::new(Source::Api, target, Bytes::from_static(b"1"));
        let rejection = chain.run(&mut message).unwrap_err();
        assert_eq!(rejection.reason, "test");
        assert_eq!(message.tags.get("b").map(String::as_str), Some("1"));
        assert!(!message.tags.contains_key("c"));
    }
}
