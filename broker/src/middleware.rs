//! What looks at every message on its way: the receive chain before routing, the send chain before a message
//! leaves the origin. Both run once, on the instance where the message came in.

use std::sync::Arc;

use crate::message::{Message, Rejection, State};

pub mod rate;
pub mod size;

/// Looks at a message, may change it, and may stop it with [`Message::reject`] or [`Message::postpone`].
pub trait Middleware: Send + Sync + 'static {
    /// Called for each message; must not block.
    fn process(&self, message: &mut Message);
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
