//! Sends every message that it gets to every client.

use futures_util::future::{BoxFuture, FutureExt};

use super::{Context, Logic, LogicError, Outcome};
use crate::message::{Message, Target};

/// Sends every message that it gets to every client of every instance, the sender among them.
pub struct Broadcaster;

impl Logic for Broadcaster {
    fn receive<'a>(&'a self, message: Message, context: &'a Context) -> BoxFuture<'a, Outcome> {
        async move {
            let sent = context.send_to([Target::Everyone], message.payload, message.metadata).await;
            let receipt = sent.map_err(|error| LogicError::Refused(error.to_string()))?;
            receipt.elsewhere.map_err(|error| LogicError::Failed(error.to_string()))?;
            Ok(None)
        }
        .boxed()
    }
}
