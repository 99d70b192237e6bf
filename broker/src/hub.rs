//! The local half of the broker: connected clients, their subscriptions, and delivery to their outboxes.

use std::sync::{Arc, OnceLock, Weak};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    backplane::Envelope,
    channel::Channels,
    cluster::{Extent, Sockets, Who},
    endpoint::{Disconnect, EndpointKind, Farewell},
    message::{Address, ClientId, Epoch},
    metrics::{Metrics, Origin},
    registry::{Client, ClientRecord, Metadata, Query, Registry},
};

/// Hears of what happens in channels before their subscribers do.
pub trait Listener: Send + Sync {
    /// This envelope is about to be delivered; it entered the cluster here or elsewhere.
    fn heard(&self, channel: &str, envelope: &Envelope<'_>, origin: Origin);
}

/// What this instance holds.
pub struct Hub {
    /// This start of this instance.
    pub address: Address,
    /// Connected clients.
    pub registry: Registry,
    /// Channels with local subscribers.
    pub channels: Channels,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// When it started.
    pub started: std::time::Instant,
    superseded: CancellationToken,
    alone: watch::Sender<bool>,
    /// Hears of everything that is no publication.
    listener: OnceLock<Weak<dyn Listener>>,
    /// Whose clients may share a connection.
    sockets: OnceLock<Weak<dyn Sockets>>,
}

impl Hub {
    /// An empty hub.
    pub fn new(address: Address, metrics: Arc<Metrics>) -> Self {
        Self {
            address,
            registry: Registry::default(),
            channels: Channels::default(),
            metrics,
            started: std::time::Instant::now(),
            superseded: CancellationToken::new(),
            alone: watch::Sender::new(false),
            listener: OnceLock::new(),
            sockets: OnceLock::new(),
        }
    }

    /// From now on this one hears of joins, leaves and boards; there is one at most.
    pub fn listen(&self, listener: Weak<dyn Listener>) {
        let _ = self.listener.set(listener);
    }

    /// From now on this is the endpoint of Socket.IO; there is one at most.
    pub fn serve_sockets(&self, sockets: Weak<dyn Sockets>) {
        let _ = self.sockets.set(sockets);
    }

    /// The endpoint of Socket.IO, if it is switched on.
    pub fn sockets(&self) -> Option<Arc<dyn Sockets>> {
        self.sockets.get()?.upgrade()
    }

    /// Tells the listener, if there is one.
    pub(crate) fn told<'a>(
        &self,
        channel: &str,
        envelopes: impl Iterator<Item = Envelope<'a>>,
        origin: Origin,
    ) {
        let Some(listener) = self.listener.get().and_then(Weak::upgrade) else { return };
        let news = envelopes
            .filter(|envelope| !matches!(envelope, Envelope::Publication(_) | Envelope::PublicationBut(..)));
        news.for_each(|envelope| listener.heard(channel, &envelope, origin));
    }

    /// What this instance says of itself, but for what only its backplane knows.
    pub fn record(&self) -> crate::backplane::InstanceRecord {
        let uptime = self.started.elapsed();
        crate::backplane::InstanceRecord {
            id: self.address.instance.to_string(),
            epoch: self.address.epoch.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            clients: self.registry.len() as u64,
            users: self.registry.users() as u64,
            channels: self.channels.len() as u64,
            subscriptions: self.channels.subscriptions(),
            uptime: uptime.as_secs(),
            uptime_ms: uptime.as_millis() as u64,
            published: self.metrics.publishes.sum(),
            delivered: self.metrics.deliveries.sum(),
            failed: self.metrics.publish_failures.sum() + self.metrics.delivery_failures.sum(),
            redis: None,
        }
    }

    /// The channels with local subscribers that match a glob pattern, with how many subscribers.
    pub fn matching_channels(&self, pattern: &str) -> Vec<(String, u64)> {
        let topics = self.channels.snapshot();
        let matching = topics.iter().filter(|topic| crate::pattern::matches(pattern, topic.channel.as_str()));
        matching
            .map(|topic| (topic.channel.to_string(), topic.len() as u64))
            .filter(|(_, count)| *count > 0)
            .collect()
    }

    /// The first clients of this instance that are asked for, in order.
    pub fn list(&self, query: &Query) -> Vec<ClientRecord> {
        let Some(channel) = &query.channel else { return self.registry.list(query) };
        let mut subscribers = self.subscribers(channel);
        subscribers.retain(|client| query.after.is_none_or(|after| client.id > after));
        subscribers.sort_unstable_by_key(|client| client.id);
        let records = subscribers.iter().map(|client| client.record());
        records.filter(|record| query.wants(record)).take(query.page()).collect()
    }

    /// The backplane has seen another start of this instance: if that was later, this one has to leave.
    pub fn saw_epoch(&self, epoch: Epoch) {
        if epoch > self.address.epoch && !self.superseded.is_cancelled() {
            let instance = &self.address.instance;
            tracing::error!(
                %instance, own = %self.address.epoch, newer = %epoch,
                "another instance with this ID has started later and takes its place; each needs an instance.id of its own"
            );
            self.superseded.cancel();
        }
    }

    /// The backplane cannot reach the others, who may be there: until it has [joined](Hub::rejoined) them again, what
    /// happens here stays here.
    pub fn cut_off(&self) {
        self.alone.send_if_modified(|alone| !std::mem::replace(alone, true));
    }

    /// The backplane has joined the others, for the first time or after it was [cut off](Hub::cut_off): what was missed of
    /// channels with history is read.
    pub fn rejoined(&self) {
        self.alone.send_if_modified(std::mem::take);
        for topic in self.channels.snapshot() {
            topic.catch_up();
        }
    }

    /// Whether this instance is cut off from the others, now and as it changes. One whose backplane has nobody to lose
    /// never is.
    pub fn alone(&self) -> watch::Receiver<bool> {
        self.alone.subscribe()
    }

    /// Ends when a later start of this instance has taken its place.
    pub async fn superseded(&self) {
        self.superseded.cancelled().await;
    }

    /// Ends these clients, as far as they are here; how many.
    pub fn disconnect(&self, who: &Who, reason: Disconnect, extent: Extent) -> usize {
        // Whoever is to come back needs a new connection: a library does not come back to a namespace.
        let is_alone = extent == Extent::Client && Farewell::from(reason).stays_away();
        let sockets = if is_alone { self.sockets() } else { None };
        let end = |client: &Arc<Client>| match &sockets {
            Some(sockets) if client.endpoint == EndpointKind::SocketIo => sockets.expel(client.id, reason),
            _ => {
                client.outbox.close(reason);
                true
            }
        };
        self.clients(who).into_iter().filter(end).count()
    }

    /// The clients of this instance that are in a channel.
    fn subscribers(&self, channel: &str) -> Vec<Arc<Client>> {
        let mut subscribers = Vec::new();
        if let Some(topic) = self.channels.get(channel) {
            topic.for_each(|client| subscribers.push(client.clone()));
        }
        subscribers
    }

    /// Those of these clients that are here.
    pub fn clients(&self, who: &Who) -> Vec<Arc<Client>> {
        let ids = match who {
            Who::Client(client) | Who::ClientOf(client, _) => vec![*client],
            Who::User(user) => self.registry.of_user(user),
            Who::Channel(channel) => return self.subscribers(channel),
        };
        let here = ids.into_iter().filter_map(|id| self.registry.get(id));
        here.filter(|client| !matches!(who, Who::ClientOf(_, user) if **user != *client.user)).collect()
    }

    /// Notes texts of a client: an empty one removes what was noted under that name. Whether the client is here.
    pub fn note(&self, client: ClientId, metadata: &Metadata) -> bool {
        let Some(client) = self.registry.get(client) else { return false };
        client.note(metadata);
        self.registry.changed(&client);
        true
    }

    /// Brings the gauges that are counted on demand up to date, before they are read.
    pub fn observe(&self) {
        self.metrics.channels.set(self.channels.len() as i64);
        self.metrics.subscriptions.set(self.channels.subscriptions() as i64);
        let unsent: usize = self.registry.snapshot().iter().map(|client| client.outbox.len()).sum();
        self.metrics.outbox_bytes.set(unsent as i64);
    }
}
