//! Stops payloads that are larger than allowed, whichever way they came in.

use super::Middleware;
use crate::message::Message;

/// The largest payload, in bytes.
pub struct PayloadSize(pub usize);

impl Middleware for PayloadSize {
    fn process(&self, message: &mut Message) {
        let (size, limit) = (message.payload.len(), self.0);
        if size > limit {
            message
                .reject("payload_size", format!("the payload has {size} bytes; at most {limit} are allowed"));
        }
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

    #[test]
    fn only_larger_payloads_are_stopped() {
        let chain = Chain::new(vec![std::sync::Arc::new(PayloadSize(3))]);
        let message = |payload| {
            Message::new(Source::Api, Target::Channel(Channel::trusted("a")), Bytes::from_static(payload))
        };
        assert!(chain.run(&mut message(b"123")).is_ok());
        let mut large = message(b"1234");
        assert!(chain.run(&mut large).is_err());
        assert!(matches!(large.state, State::Rejected(_)));
    }
}
