//! The straight line from a message to its receivers.
//!
//! ```text
//! receive chain → router → send chain → backplane ══▶ other instances
//!                                     ↘ deliver   ──▶ local subscribers
//! ```

use std::sync::Arc;

use crate::{
    backplane::{Ack, Backplane, Envelope, Publication},
    hub::Hub,
    message::{Message, Rejection, Source},
    metrics::{self, Origin, Rejection as Rejected},
    middleware::Chain,
    router,
};

/// Everything a message passes on its way.
pub struct Pipeline {
    receive: Chain,
    send: Chain,
    hub: Arc<Hub>,
    backplane: Arc<dyn Backplane>,
}

impl Pipeline {
    /// A pipeline of these parts.
    pub fn new(receive: Chain, send: Chain, hub: Arc<Hub>, backplane: Arc<dyn Backplane>) -> Self {
        Self { receive, send, hub, backplane }
    }

    /// Sends a message on its way. `ack` is told when the backplane has taken it for the other instances;
    /// local subscribers have it in their outboxes when this returns, whatever the backplane says. After an
    /// error it is told nothing.
    pub fn publish(&self, mut message: Message, ack: Ack) -> Result<(), Rejection> {
        let counters = &self.hub.metrics;
        for chain in [&self.receive, &self.send] {
            if let Err(rejection) = chain.run(&mut message) {
                counters.rejected.inc(Rejected::Middleware);
                ack.cancel();
                return Err(rejection);
            }
        }
        let plan = router::route(&message);

        let (source, info) = match &message.source {
            Source::Client { info, .. } => (metrics::Source::Client, info.as_ref()),
            Source::Api => (metrics::Source::Api, &b""[..]),
        };
        let tags = match message.metadata.is_empty() {
            true => Vec::new(),
            false => serde_json::to_vec(&message.metadata).unwrap_or_default(),
        };
        let envelope = Envelope::Publication(Publication { info, tags: &tags, data: &message.payload });
        counters.publishes.inc(source);

        // The backplane first: its bytes are on their way while the local outboxes are filled.
        self.backplane.publish(plan.channel, &envelope, ack);
        self.hub.deliver(plan.channel.as_str(), &envelope, Origin::Local);
        Ok(())
    }
}
