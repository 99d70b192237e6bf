//! One process: the instances, usually a single one, reach each other by plain calls.
//!
//! A broker without Redis is a [`Memory`] of its own. Tests join several brokers to one.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt, ready};
use parking_lot::RwLock;

use super::{
    Ack, Audience, Backplane, Departing, Departures, Envelope, Filter, Health, InstanceRecord, Keep, Located,
    Member, Past, Publication, StartError, Unavailable,
};
use crate::{
    clock::now_ms,
    cluster::Inbound,
    message::{Address, Channel, ClientId},
    metrics::Origin,
    registry::ClientRecord,
};

mod streams;

use streams::{Stream, Streams};

/// What the instances of one process share.
#[derive(Default)]
pub struct Memory {
    instances: RwLock<Vec<Arc<Inbound>>>,
    /// Who has which role. There is no lease: who has one gives it up, or ends with the process.
    roles: RwLock<BTreeMap<String, Address>>,
    /// Who is in which channel; like everything here, it ends with the process.
    presence: RwLock<BTreeMap<Channel, BTreeMap<ClientId, Member>>>,
    /// Who has gone from which room.
    departures: Departures,
    /// What is kept of channels with history.
    streams: Streams,
}

/// One instance's side of a [`Memory`].
#[derive(Default)]
pub struct MemoryBackplane {
    memory: Arc<Memory>,
    own: OnceLock<Arc<Inbound>>,
    /// How long after a departure from a room others are told.
    graces: RwLock<BTreeMap<Channel, Duration>>,
}

impl MemoryBackplane {
    /// Joins the instances that share this memory.
    pub fn joining(memory: Arc<Memory>) -> Self {
        Self { memory, ..Self::default() }
    }

    fn address(&self) -> Option<&Address> {
        self.own.get().map(|own| &own.hub.address)
    }

    /// The other instances. No lock is held while they are told something: they may answer at once.
    fn others(&self) -> Vec<Arc<Inbound>> {
        let instances = self.memory.instances.read();
        instances.iter().filter(|other| Some(&other.hub.address) != self.address()).cloned().collect()
    }
}

impl Backplane for MemoryBackplane {
    fn start(&self, inbound: Arc<Inbound>) -> BoxFuture<'_, Result<(), StartError>> {
        let _ = self.own.set(inbound.clone());
        for other in
            self.others().iter().filter(|other| other.hub.address.instance == inbound.hub.address.instance)
        {
            other.hub.saw_epoch(inbound.hub.address.epoch);
            inbound.hub.saw_epoch(other.hub.address.epoch);
        }
        self.memory.instances.write().push(inbound);
        ready(Ok(())).boxed()
    }

    fn publish(&self, channel: &Channel, envelope: &Envelope<'_>, ack: Ack) {
        for other in self.others() {
            other.hub.deliver(channel.as_str(), envelope, Origin::Remote);
        }
        ack.done(Ok(()));
    }

    fn keeps_history(&self) -> bool {
        true
    }

    fn publish_kept(&self, channel: &Channel, publication: &Publication<'_>, keep: Keep, ack: Ack) {
        // Delivered under the stream's lock, so that all instances get what is published in its order.
        let position = self.memory.streams.with(channel, Some(keep.ttl()), |stream| {
            let position = stream.append(publication, keep);
            for instance in self.memory.instances.read().iter() {
                let is_own = Some(&instance.hub.address) == self.address();
                let origin = if is_own { Origin::Local } else { Origin::Remote };
                let publications = std::iter::once(*publication);
                instance.hub.deliver_kept(channel.as_str(), position, publications, origin);
            }
            position
        });
        ack.told(Ok(Some(position)));
    }

    fn history<'a>(
        &'a self,
        channel: &'a Channel,
        filter: Filter,
    ) -> BoxFuture<'a, Result<Past, Unavailable>> {
        ready(Ok(self.memory.streams.with(channel, None, |stream| stream.read(filter)))).boxed()
    }

    fn remove_history<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<(), Unavailable>> {
        self.memory.streams.with(channel, None, Stream::clear);
        ready(Ok(())).boxed()
    }

    fn tell(&self, audience: &Audience, envelope: &Envelope<'_>, ack: Ack) {
        let Some(own) = self.address() else { return ack.done(Ok(())) };
        for other in self.others() {
            let is_meant = match audience {
                Audience::Everyone => true,
                Audience::Instance(address) => *address == other.hub.address,
            };
            if is_meant {
                other.told(own, envelope);
            }
        }
        ack.done(Ok(()));
    }

    fn subscribe(&self, _channel: &Channel, ack: Ack) {
        ack.done(Ok(()));
    }

    fn unsubscribe(&self, _channel: &Channel) {}

    fn register(&self, _client: ClientRecord) {}

    fn touch(&self, _clients: &[ClientId]) {}

    fn unregister(&self, _client: ClientId) {}

    fn locate<'a>(
        &'a self,
        clients: &'a [ClientId],
    ) -> BoxFuture<'a, Result<Vec<Option<Located>>, Unavailable>> {
        let instances = self.memory.instances.read();
        let find = |id: &ClientId| {
            instances.iter().find_map(|instance| {
                let client = instance.hub.registry.get(*id)?.record();
                Some(Located { address: instance.hub.address.clone(), client })
            })
        };
        ready(Ok(clients.iter().map(find).collect())).boxed()
    }

    fn hold<'a>(&'a self, role: &'a str) -> BoxFuture<'a, Result<Option<Address>, Unavailable>> {
        let Some(own) = self.address() else { return ready(Err(Unavailable::Disconnected)).boxed() };
        let mut roles = self.memory.roles.write();
        let holder = roles.entry(role.to_owned()).or_insert_with(|| own.clone()).clone();
        ready(Ok(Some(holder))).boxed()
    }

    fn release<'a>(&'a self, role: &'a str) -> BoxFuture<'a, ()> {
        let mut roles = self.memory.roles.write();
        if roles.get(role) == self.address() {
            roles.remove(role);
        }
        ready(()).boxed()
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

    fn departing(&self) -> &dyn Departing {
        self
    }

    fn instances(&self) -> BoxFuture<'_, Result<Vec<InstanceRecord>, Unavailable>> {
        ready(Ok(self.memory.instances.read().iter().map(|instance| instance.hub.record()).collect())).boxed()
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
        if let Some(own) = self.address() {
            self.memory.instances.write().retain(|instance| instance.hub.address != *own);
            self.memory.roles.write().retain(|_, holder| holder != own);
        }
        ready(()).boxed()
    }
}

impl Departing for MemoryBackplane {
    fn watch(&self, room: &Channel, grace: Duration) {
        self.graces.write().insert(room.clone(), grace);
    }

    fn arrive<'a>(&'a self, room: &'a Channel, user: &'a str) -> BoxFuture<'a, bool> {
        ready(self.memory.departures.arrive(room, user)).boxed()
    }

    fn depart<'a>(&'a self, room: &'a Channel, user: &'a str) -> BoxFuture<'a, ()> {
        if let Some(grace) = self.graces.read().get(room) {
            let now = now_ms();
            self.memory.departures.depart(room, user, now, now + grace.as_millis() as u64);
        }
        ready(()).boxed()
    }

    fn take(&self) -> BoxFuture<'_, Vec<(Channel, String)>> {
        ready(self.memory.departures.take(now_ms())).boxed()
    }

    fn stay<'a>(&'a self, room: &'a Channel, user: &'a str) -> BoxFuture<'a, ()> {
        self.memory.departures.stay(room, user);
        ready(()).boxed()
    }

    fn last_seen<'a>(
        &'a self,
        room: &'a Channel,
        users: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<u64>>, Unavailable>> {
        ready(Ok(self.memory.departures.last_seen(room, users))).boxed()
    }
}
