//! What clients have of channels with history.

use std::sync::Arc;

use super::Gateway;
use crate::{
    auth::Action,
    backplane::{Filter, Past, Unavailable},
    channel::{Arrival, Joining, Recover, Recovery, Since, Topic},
    codec::{Push, Unsubscribe},
    config::Namespace,
    endpoint::ErrorCode,
    message::Channel,
    metrics::{self, Gap},
    registry::Client,
};

impl Gateway {
    /// How a client enters a channel of this namespace, if that has history.
    pub(super) fn joining(
        self: &Arc<Self>,
        namespace: &Namespace,
        recover: Option<Recover>,
    ) -> Option<Box<Joining>> {
        namespace.history.keep()?;
        let recoverable = namespace.history.recover;
        Some(Box::new(Joining { gateway: Arc::downgrade(self), recoverable, recover }))
    }

    pub(super) fn count_recovery(&self, arrival: Option<&Arrival>) {
        let Some(Arrival::At { recovery, .. }) = arrival else { return };
        let recoveries = &self.hub.metrics.history.recoveries;
        match recovery {
            Recovery::NotAsked => {}
            Recovery::Lost => recoveries.inc(metrics::Recovery::Lost),
            Recovery::Done(_) => recoveries.inc(metrics::Recovery::Recovered),
        }
    }

    /// Something of the channel has passed its subscribers here by that cannot be made up for: each is told to subscribe
    /// again, which gives it what it has missed, or says that it is lost.
    pub(crate) fn insufficient(&self, topic: &Arc<Topic>) {
        self.hub.metrics.history.gaps.inc(Gap::Unfilled);
        tracing::warn!(channel = %topic.channel, "a channel's stream is not what it was; its subscribers are told to subscribe again");
        for client in self.hub.channels.abandon(topic, &*self.backplane) {
            if let Some(ended) = self.hub.channels.unsubscribe_from(&client, topic) {
                self.has_left(&client, &topic.channel, &ended);
                client.push(&Push::Unsubscribe(&topic.channel, Unsubscribe::Insufficient));
            }
        }
    }

    /// The channel, if it has history and the client may read it.
    ///
    /// # Errors
    /// Why not.
    pub fn history_channel(&self, client: &Client, channel: &str) -> Result<Channel, ErrorCode> {
        let known = self.with_history(self.channel(channel)?)?;
        self.channel_for(client, Action::History, known.as_str()).map(|(channel, _)| channel)
    }

    /// The channel, if it has history.
    pub(in crate::endpoint) fn with_history(&self, channel: Channel) -> Result<Channel, ErrorCode> {
        match self.namespace(&channel)?.history.keep() {
            Some(_) => Ok(channel),
            None => Err(ErrorCode::NotAvailable),
        }
    }

    /// Reads from a channel's stream; nothing when there is no such position in it.
    ///
    /// # Errors
    /// The stream cannot be read now.
    pub async fn history(
        &self,
        channel: &Channel,
        since: Option<&Since>,
        limit: Option<usize>,
        reverse: bool,
    ) -> Result<Option<Past>, Unavailable> {
        let filter = Filter { since: since.map(|since| since.offset), limit, reverse };
        let past = self.backplane.history(channel, filter).await?;
        let is_there = since.is_none_or(|since| {
            since.epoch.is_none_or(|epoch| epoch == past.top.epoch)
                && (reverse || limit == Some(0) || past.reaches_back_to(since.offset))
        });
        Ok(is_there.then_some(past))
    }
}
