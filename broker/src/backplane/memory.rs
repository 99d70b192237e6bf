//! One process: the instances, usually a single one, reach each other by plain calls.
//!
//! A broker without Redis is a [`Memory`] of its own. Tests join several brokers to one.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use futures_util::future::{BoxFuture, FutureExt, ready};
use parking_lot::RwLock;

use super::{
    Ack, Audience, Backplane, ClientRecord, Envelope, Health, InstanceRecord, Located, Member, StartError,
    Unavailable,
};
use crate::{
    hub::Hub,
    message::{Channel, ClientId},
    metrics::Origin,
};

/// What the instances of one process share.
#[derive(Default)]
pub struct Memory {
    instances: RwLock<Vec<Arc<Hub>>>,
    /// Who is in which channel; like everything here, it ends with the process.
    presence: RwLock<BTreeMap<Channel, BTreeMap<ClientId, Member>>>,
}

/// One instance's side of a [`Memory`].
#[derive(Default)]
pub struct MemoryBackplane {
    memory: Arc<Memory>,
    hub: OnceLock<Arc<Hub>>,
}

impl MemoryBackplane {
    /// Joins the instances that share this memory.
    pub fn joining(memory: Arc<Memory>) -> Self {
        Self { memory, hub: OnceLock::new() }
    }

    fn others(&self, visit: impl FnMut(&Arc<Hub>)) {
        let own = self.hub.get().map(|hub| &hub.address);
        let instances = self.memory.instances.read();
        instances.iter().filter(|hub| Some(&hub.address) != own).for_each(visit);
    }
}

impl Backplane for MemoryBackplane {
    fn start(&self, hub: Arc<Hub>) -> BoxFuture<'_, Result<(), StartError>> {
        let _ = self.hub.set(hub.clone());
        self.memory.instances.write().push(hub);
        ready(Ok(())).boxed()
    }

    fn publish(&self, channel: &Channel, envelope: &Envelope<'_>, ack: Ack) {
        self.others(|hub| {
            hub.deliver(channel.as_str(), envelope, Origin::Remote);
        });
        ack.done(Ok(()));
    }

    fn tell(&self, _audience: &Audience, _envelope: &Envelope<'_>, ack: Ack) {
        // What instances ask each other is answered from the shared memory here.
        ack.done(Ok(()));
    }

    fn subscribe(&self, _channel: &Channel, ack: Ack) {
        ack.done(Ok(()));
    }

    fn unsubscribe(&self, _channel: &Channel) {}

    fn register(&self, _client: ClientRecord) {}

    fn unregister(&self, _client: ClientId) {}

    fn locate(&self, id: ClientId) -> BoxFuture<'_, Result<Option<Located>, Unavailable>> {
        let found = self.memory.instances.read().iter().find_map(|hub| {
            let client = hub.registry.get(id)?;
            Some(Located {
                address: hub.address.clone(),
                user: client.user.to_string(),
                connected: client.connected,
                last_message: client.connected,
            })
        });
        ready(Ok(found)).boxed()
    }

    fn enter(&self, channel: &Channel, member: Member) {
        self.memory.presence.write().entry(channel.clone()).or_default().insert(member.client, member);
    }

    fn leave(&self, channel: &Channel, client: ClientId) {
        let mut presence = self.memory.presence.write();
        let Some(members) = presence.get_mut(channel) else { return };
        members.remove(&client);
        if members.is_empty() {
            presence.remove(channel);
        }
    }

    fn presence<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Vec<Member>, Unavailable>> {
        let presence = self.memory.presence.read();
        let members = presence.get(channel).map(|members| members.values().cloned().collect());
        ready(Ok(members.unwrap_or_default())).boxed()
    }

    fn channels<'a>(&'a self, pattern: &'a str) -> BoxFuture<'a, Result<BTreeMap<String, u64>, Unavailable>> {
        let mut channels = BTreeMap::new();
        for hub in self.memory.instances.read().iter() {
            for (name, subscribers) in hub.matching_channels(pattern) {
                *channels.entry(name).or_default() += subscribers;
            }
        }
        ready(Ok(channels)).boxed()
    }

    fn instances(&self) -> BoxFuture<'_, Result<Vec<InstanceRecord>, Unavailable>> {
        ready(Ok(self.memory.instances.read().iter().map(|hub| hub.record()).collect())).boxed()
    }

    fn health(&self) -> Health {
        Health {
            mode: "memory",
            connected: true,
            error: None,
            probe_ms: None,
            probe_age_ms: None,
            heard: None,
            queued_bytes: 0,
        }
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        if let Some(own) = self.hub.get() {
            self.memory.instances.write().retain(|hub| hub.address != own.address);
        }
        ready(()).boxed()
    }
}
