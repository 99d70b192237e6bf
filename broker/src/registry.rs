//! The clients that are connected to this instance.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use ahash::{HashMap, RandomState};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use crate::{
    backplane::ClientRecord,
    channel::Subscription,
    codec::Encoder,
    endpoint::{EndpointKind, Outbox},
    message::{Channel, ClientId},
};

/// One connected client.
pub struct Client {
    /// Its identity.
    pub id: ClientId,
    /// The user that it authenticated as; empty for anonymous.
    pub user: Box<str>,
    /// What other clients may know of it: a JSON object with `user`, `client` and perhaps `conn_info`.
    pub info: Bytes,
    /// Where it came in.
    pub endpoint: EndpointKind,
    /// When it connected, in milliseconds since 1970.
    pub connected: u64,
    /// What waits to be written to it.
    pub outbox: Arc<Outbox>,
    /// How pushes look on its connection.
    pub encoder: Arc<dyn Encoder>,
    /// What it is subscribed to; kept in step with the channels by [`crate::channel`].
    pub(crate) subscriptions: Mutex<HashMap<Channel, Subscription>>,
    /// Taken while others are told of its coming and going, so that they hear of it in its true order.
    pub(crate) announcements: Mutex<()>,
}

impl Client {
    /// A client that connects now.
    pub fn connecting(
        id: ClientId,
        user: &str,
        info: Bytes,
        endpoint: EndpointKind,
        outbox: Arc<Outbox>,
        encoder: Arc<dyn Encoder>,
    ) -> Self {
        let connected = now_ms();
        Self {
            id,
            user: user.into(),
            info,
            endpoint,
            connected,
            outbox,
            encoder,
            subscriptions: Mutex::default(),
            announcements: Mutex::default(),
        }
    }

    /// What the directory keeps of it.
    pub fn record(&self) -> ClientRecord {
        ClientRecord {
            id: self.id,
            user: self.user.to_string(),
            endpoint: self.endpoint.as_str(),
            connected: self.connected,
        }
    }

    /// The channels that it is subscribed to or has asked for.
    pub fn channels(&self) -> Vec<Channel> {
        self.subscriptions.lock().keys().cloned().collect()
    }
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

const SHARDS: usize = 32;

/// All clients of this instance, in shards so that connects on several threads do not wait for each other.
pub struct Registry {
    shards: [RwLock<HashMap<ClientId, Arc<Client>>>; SHARDS],
    /// How many connections each user has.
    users: Mutex<HashMap<Box<str>, u32>>,
    hasher: RandomState,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::default()),
            users: Mutex::default(),
            hasher: RandomState::new(),
        }
    }
}

impl Registry {
    fn shard(&self, id: ClientId) -> &RwLock<HashMap<ClientId, Arc<Client>>> {
        &self.shards[self.hasher.hash_one(id) as usize % SHARDS]
    }

    /// Adds a client.
    pub fn insert(&self, client: Arc<Client>) {
        *self.users.lock().entry(client.user.clone()).or_default() += 1;
        self.shard(client.id).write().insert(client.id, client);
    }

    /// Removes a client.
    pub fn remove(&self, id: ClientId) -> Option<Arc<Client>> {
        let client = self.shard(id).write().remove(&id)?;
        let mut users = self.users.lock();
        if let Some(count) = users.get_mut(&client.user) {
            *count -= 1;
            if *count == 0 {
                users.remove(&client.user);
            }
        }
        Some(client)
    }

    /// Finds a client.
    pub fn get(&self, id: ClientId) -> Option<Arc<Client>> {
        self.shard(id).read().get(&id).cloned()
    }

    /// How many clients are connected.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().len()).sum()
    }

    /// Whether no client is connected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many distinct users are connected; all anonymous clients are one.
    pub fn users(&self) -> usize {
        self.users.lock().len()
    }

    /// All clients as they are now.
    pub fn snapshot(&self) -> Vec<Arc<Client>> {
        self.shards.iter().flat_map(|shard| shard.read().values().cloned().collect::<Vec<_>>()).collect()
    }
}
