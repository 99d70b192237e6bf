//! What only clients of protocols with events ask for.

use bytes::Bytes;
use smallvec::smallvec;

use super::{Gateway, message};
use crate::{
    backplane::Ack,
    endpoint::{ErrorCode, Refusal},
    message::{Channel, Target},
    registry::Client,
};

impl Gateway {
    /// As [`Gateway::publish`], to all but the client itself.
    ///
    /// # Errors
    /// Why it is not published; `ack` is told nothing then.
    pub fn publish_to_others(
        &self,
        client: &Client,
        channel: &str,
        data: Bytes,
        ack: Ack,
    ) -> Result<(), Refusal> {
        let (channel, info) = match self.may_publish(client, channel) {
            Ok(found) => found,
            Err(error) => {
                ack.cancel();
                return Err(error.into());
            }
        };
        let mut message = message(client, info, smallvec![Target::Channel(channel)], data);
        message.except = Some(client.id);
        self.pipeline.publish(message, ack).map_err(Refusal::from)
    }

    /// Whether a client may have others in a channel answer this: what is asked of everything that is published. Gives the
    /// channel, and the payload as middleware has left it.
    ///
    /// # Errors
    /// Why it may not.
    pub fn examine(&self, client: &Client, channel: &str, data: Bytes) -> Result<(Channel, Bytes), Refusal> {
        let (channel, info) = self.may_publish(client, channel)?;
        let mut message = message(client, info, smallvec![Target::Channel(channel.clone())], data);
        self.pipeline.examine(&mut message)?;
        Ok((channel, message.payload))
    }

    /// Hands a payload of a client to a logic module that takes calls; nobody is told what it makes of it.
    ///
    /// # Errors
    /// There is no such module, or a middleware refuses it.
    pub fn hand(&self, client: &Client, logic: &str, data: Bytes) -> Result<(), Refusal> {
        let name = self.pipeline.logic.for_calls(logic).ok_or(ErrorCode::MethodNotFound)?;
        let targets = smallvec![Target::Logic(name.clone())];
        let message = message(client, client.info.clone(), targets, data);
        self.pipeline.publish(message, Ack::ignore()).map_err(Refusal::from)
    }
}
