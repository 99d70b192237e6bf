//! The clients that are connected to this instance.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use ahash::{HashMap, RandomState};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use crate::{
    channel::Subscription,
    clock::{now_ms, tick_ms},
    codec::{Encoder, Push},
    endpoint::{EndpointKind, Outbox},
    message::{Channel, ClientId},
};

mod query;

pub use query::{ClientRecord, Metadata, Query};

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
    /// When its last message came in, in milliseconds since 1970.
    last_message: AtomicU64,
    /// Whether that is news to the directory, and noted as such.
    touched: AtomicBool,
    /// What logic and the server API have noted of it; most have nothing.
    metadata: Mutex<Option<Box<Metadata>>>,
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
            last_message: AtomicU64::new(connected),
            touched: AtomicBool::new(false),
            metadata: Mutex::default(),
        }
    }

    /// What the directory keeps of it.
    pub fn record(&self) -> ClientRecord {
        ClientRecord {
            id: self.id,
            user: self.user.to_string(),
            endpoint: self.endpoint.as_str().to_owned(),
            namespace: self.encoder.namespace().map(str::to_owned),
            connected: self.connected,
            last_message: self.last_message(),
            metadata: self.metadata(),
        }
    }

    /// When its last message came in, in milliseconds since 1970; when it connected, if none has.
    pub fn last_message(&self) -> u64 {
        self.last_message.load(Ordering::Relaxed)
    }

    /// What logic and the server API have noted of it.
    pub fn metadata(&self) -> Metadata {
        self.metadata.lock().as_deref().cloned().unwrap_or_default()
    }

    /// Notes these texts of it: an empty one removes what was noted under that name.
    pub(crate) fn note(&self, changes: &Metadata) {
        let mut noted = self.metadata.lock();
        let metadata = noted.get_or_insert_default();
        for (key, value) in changes {
            match value.is_empty() {
                true => drop(metadata.remove(key)),
                false => drop(metadata.insert(key.clone(), value.clone())),
            }
        }
        if metadata.is_empty() {
            *noted = None;
        }
    }

    /// Puts a push for it alone into its outbox; a full outbox closes itself.
    pub(crate) fn push(&self, push: &Push<'_>) {
        let mut frame = Vec::new();
        self.encoder.encode(push, &mut frame);
        let _ = self.outbox.push(&frame);
    }

    /// The channels that it is subscribed to or has asked for.
    pub fn channels(&self) -> Vec<Channel> {
        self.subscriptions.lock().keys().cloned().collect()
    }
}

const SHARDS: usize = 32;

type Shard = BTreeMap<ClientId, Arc<Client>>;

/// All clients of this instance, in shards so that connects on several threads do not wait for each other, and in
/// order so that lists of them have pages.
pub struct Registry {
    shards: [RwLock<Shard>; SHARDS],
    users: Mutex<Users>,
    /// Clients of which the directory is to be told something new.
    touched: Mutex<Vec<Arc<Client>>>,
    hasher: RandomState,
}

/// The connections of each user.
#[derive(Default)]
struct Users {
    /// All of them are one user, whom nobody can address.
    anonymous: usize,
    named: HashMap<Box<str>, Vec<ClientId>>,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::default()),
            users: Mutex::default(),
            touched: Mutex::default(),
            hasher: RandomState::new(),
        }
    }
}

impl Registry {
    fn shard(&self, id: ClientId) -> &RwLock<Shard> {
        &self.shards[self.hasher.hash_one(id) as usize % SHARDS]
    }

    /// Adds a client.
    pub fn insert(&self, client: Arc<Client>) {
        {
            let mut users = self.users.lock();
            match client.user.is_empty() {
                true => users.anonymous += 1,
                false => users.named.entry(client.user.clone()).or_default().push(client.id),
            }
        }
        self.shard(client.id).write().insert(client.id, client);
    }

    /// Removes a client.
    pub fn remove(&self, id: ClientId) -> Option<Arc<Client>> {
        let client = self.shard(id).write().remove(&id)?;
        let mut users = self.users.lock();
        if client.user.is_empty() {
            users.anonymous -= 1;
        } else if let Some(connections) = users.named.get_mut(&client.user) {
            connections.retain(|connection| *connection != id);
            if connections.is_empty() {
                users.named.remove(&client.user);
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
        let users = self.users.lock();
        users.named.len() + usize::from(users.anonymous > 0)
    }

    /// The connections of a user; anonymous clients are nobody's.
    pub fn of_user(&self, user: &str) -> Vec<ClientId> {
        self.users.lock().named.get(user).cloned().unwrap_or_default()
    }

    /// A message of this client has come in now.
    pub fn touch(&self, client: &Arc<Client>) {
        client.last_message.store(tick_ms().max(client.connected), Ordering::Relaxed);
        self.changed(client);
    }

    /// What is known of this client has changed: the directory is to be told.
    pub(crate) fn changed(&self, client: &Arc<Client>) {
        // Nearly always it is noted already: then no other core is disturbed by a write.
        if !client.touched.load(Ordering::Relaxed) && !client.touched.swap(true, Ordering::AcqRel) {
            self.touched.lock().push(client.clone());
        }
    }

    /// The clients of which something has changed since this was asked before.
    pub fn take_touched(&self) -> Vec<Arc<Client>> {
        let touched = std::mem::take(&mut *self.touched.lock());
        // Before their records are read: what changes from here on is noted again.
        touched.iter().for_each(|client| client.touched.store(false, Ordering::Release));
        touched
    }

    /// The first clients that are asked for, in order.
    pub fn list(&self, query: &Query) -> Vec<ClientRecord> {
        let after = query.after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut page = Vec::new();
        for shard in &self.shards {
            let shard = shard.read();
            let records = shard.range((after, Bound::Unbounded)).map(|(_, client)| client.record());
            page.extend(records.filter(|record| query.wants(record)).take(query.page()));
        }
        page.sort_unstable_by_key(|record| record.id);
        page.truncate(query.page());
        page
    }

    /// All clients as they are now.
    pub fn snapshot(&self) -> Vec<Arc<Client>> {
        self.shards.iter().flat_map(|shard| shard.read().values().cloned().collect::<Vec<_>>()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::centrifuge::JsonOverWebSocket;

    fn client(user: &str) -> Arc<Client> {
        let (outbox, encoder) = (Arc::new(Outbox::new(1024)), Arc::new(JsonOverWebSocket));
        let info = Bytes::from_static(b"{}");
        let id = ClientId::generate();
        Arc::new(Client::connecting(id, user, info, EndpointKind::WebSocket, outbox, encoder))
    }

    #[test]
    fn users_are_counted_and_found() {
        let registry = Registry::default();
        let clients = ["ann", "ann", "bob", "", ""].map(client);
        clients.iter().for_each(|client| registry.insert(client.clone()));
        assert_eq!(registry.users(), 3);
        assert_eq!(registry.of_user("ann"), [clients[0].id, clients[1].id]);
        assert!(registry.of_user("").is_empty());
        clients[1..].iter().for_each(|client| drop(registry.remove(client.id)));
        assert_eq!((registry.users(), registry.len()), (1, 1));
        assert!(registry.of_user("bob").is_empty());
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_overlap() {
        let registry = Registry::default();
        let mut ids: Vec<_> = (0..25)
            .map(|number| {
                let client = client(if number % 5 == 0 { "" } else { "ann" });
                registry.insert(client.clone());
                client.id
            })
            .collect();
        ids.sort();
        let (mut query, mut seen) = (Query { limit: 7, ..Query::default() }, Vec::new());
        loop {
            let page = registry.list(&query);
            let Some(last) = page.last() else { break };
            query.after = Some(last.id);
            seen.extend(page.iter().map(|record| record.id));
        }
        assert_eq!(seen, ids);
        let anonymous = Query { user: Some(String::new()), ..Query::default() };
        assert_eq!(registry.list(&anonymous).len(), 5);
    }

    #[test]
    fn a_message_is_news_once_until_the_directory_is_told() {
        let registry = Registry::default();
        let client = client("ann");
        registry.insert(client.clone());
        registry.touch(&client);
        registry.touch(&client);
        assert_eq!(registry.take_touched().len(), 1);
        assert!(registry.take_touched().is_empty());
        registry.touch(&client);
        assert_eq!(registry.take_touched().len(), 1);
    }

    #[test]
    fn metadata_is_noted_and_removed_by_name() {
        let client = client("ann");
        let noted = |pairs: &[(&str, &str)]| -> Metadata {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        client.note(&noted(&[("a", "1"), ("b", "2")]));
        client.note(&noted(&[("a", ""), ("c", "3")]));
        assert_eq!(client.metadata(), noted(&[("b", "2"), ("c", "3")]));
        client.note(&noted(&[("b", ""), ("c", "")]));
        assert!(client.metadata().is_empty());
    }
}
