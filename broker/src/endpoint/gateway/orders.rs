//! Subscriptions that the server begins and ends for clients.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::Gateway;
use crate::{
    backplane::Unavailable,
    channel::Arrival,
    cluster::{Change, Changed, Who},
    codec::{Push, Unsubscribe},
    endpoint::ErrorCode,
    message::Channel,
    registry::Client,
};

impl Gateway {
    /// Ends the subscriptions of a client whose tokens have expired by `since`, in seconds since 1970, and tells it.
    pub fn end_expired(&self, client: &Client, since: u64) {
        for channel in client.expired(since) {
            // First, so that nothing of the channel comes after its end was told.
            self.unsubscribe(client, &channel);
            client.push(&Push::Unsubscribe(&channel, Unsubscribe::Expired));
        }
    }

    /// Subscribes these clients to a channel, or ends that, wherever they are. What became of them, and whether every
    /// instance that could have one has answered.
    ///
    /// # Errors
    /// No channel can have this name, or its namespace is not configured, or others cannot be asked now.
    pub(crate) async fn change_subscriptions(
        self: &Arc<Self>,
        who: &Who,
        channel: &str,
        change: Change,
    ) -> Result<Result<(Changed, bool), Unavailable>, ErrorCode> {
        let channel = self.channel(channel)?;
        self.namespace(&channel)?;
        let here = self.change_here(who, channel.as_str(), change).await;
        let there =
            self.pipeline.cluster.change_elsewhere(who, here.found > 0, channel.as_str(), change).await;
        Ok(there.map(|(there, complete)| (here + there, complete)))
    }

    /// The same for the clients of this instance.
    pub(crate) async fn change_here(self: &Arc<Self>, who: &Who, channel: &str, change: Change) -> Changed {
        let clients = self.hub.clients(who);
        let found = clients.len();
        let Ok(channel) = self.channel(channel) else {
            return Changed { failed: found, ..Changed::default() };
        };
        let mut changed = match change {
            Change::Subscribe => self.subscribe_all(&clients, &channel).await,
            Change::Unsubscribe => {
                let done = clients.iter().filter(|client| self.end_subscription(client, &channel)).count();
                Changed { done, ..Changed::default() }
            }
        };
        changed.found = found;
        changed
    }

    /// Subscribes clients, whatever the namespace says of those that ask for it themselves.
    async fn subscribe_all(self: &Arc<Self>, clients: &[Arc<Client>], channel: &Channel) -> Changed {
        let Ok(namespace) = self.namespace(channel) else {
            return Changed { failed: clients.len(), ..Changed::default() };
        };
        let outcomes = clients.iter().map(|client| {
            let (tell, told) = oneshot::channel();
            let (subscribed, of) = (client.clone(), channel.clone());
            self.enter(client, channel.clone(), namespace, (None, None), move |outcome| {
                // Before anything of the channel comes.
                if let Ok(arrival) = &outcome {
                    let position = arrival.as_deref().and_then(Arrival::position);
                    subscribed.push(&Push::Subscribe(&of, position));
                }
                let _ = tell.send(outcome.map(drop));
            });
            told
        });
        let mut changed = Changed::default();
        for outcome in join_all(outcomes).await {
            match outcome.unwrap_or(Err(ErrorCode::Internal)) {
                Ok(()) | Err(ErrorCode::AlreadySubscribed) => changed.done += 1,
                Err(ErrorCode::LimitExceeded) => changed.full += 1,
                Err(_) => changed.failed += 1,
            }
        }
        changed
    }

    /// Ends a client's subscription and tells it; whether there was one.
    fn end_subscription(&self, client: &Client, channel: &Channel) -> bool {
        let (is_subscribed, _) = client.standing_in(channel);
        if is_subscribed {
            // First, so that nothing of the channel comes after its end was told.
            self.unsubscribe(client, channel);
            client.push(&Push::Unsubscribe(channel, Unsubscribe::Server));
        }
        is_subscribed
    }
}
