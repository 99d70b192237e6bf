//! Instances joined by a Redis server.
//!
//! Three connections: one publishes ([`bus`]), one listens ([`listen`]), both bare streams with nothing between
//! them and the message path; the third one is the client library's and carries all other commands. A
//! supervisor ([`supervise`]) replaces them together when one of them fails or a [`probe`] is missed. [`peers`] knows
//! which of the others are heard.
//!
//! | in Redis | what |
//! | --- | --- |
//! | one pub/sub name for each channel, each instance, and everyone | envelopes, in packets |
//! | [`lease`] of each instance, and the set of all instances | who lives |
//! | [`directory`]: a hash for each instance | its clients |
//! | [`presence`]: a hash for each channel, an index for each instance | who is in a channel |
//! | [`streams`]: a stream for each channel with history, and a hash that says where it ends | what was published |
//! | [`departures`]: two sorted sets for each room whose departures are told | who has gone, and when |
//! | [`roles`]: a lease for each | which instance does what one of them does |
//!
//! When an instance dies, another one removes what it left ([`reaper`]).

use std::{
    collections::HashSet,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt};
use parking_lot::Mutex;
use rustls::RootCertStore;
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};

use super::{
    Ack, Audience, Backplane, Departing, Envelope, Filter, Health, Hear, InstanceRecord, Keep, Located,
    Member, Past, Publication, StartError, Unavailable,
};
use crate::{
    cluster::Inbound,
    config,
    message::{Address, Channel, ClientId},
    registry::ClientRecord,
};

mod bus;
mod commands;
mod connect;
mod departures;
mod directory;
mod foreign;
mod keys;
mod lease;
mod listen;
mod peers;
mod presence;
mod probe;
mod reaper;
mod receive;
mod records;
mod resp;
mod roles;
mod streams;
mod supervise;
mod wire;

#[cfg(any(test, switchboard_fuzz))]
pub(crate) use resp::fuzz;

use departures::Rooms;
use foreign::Foreign;
use supervise::Core;

/// How long a start waits for a Redis that is not required before it goes on without.
const FIRST_TRY: Duration = Duration::from_millis(300);

/// How long a close waits for the supervisor to end.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// One instance's way to the others through Redis.
///
/// Until it first joins, the instance is a single one: there is nobody to miss what it publishes. After that, a
/// lost connection makes publishing fail at once.
pub struct RedisBackplane {
    config: config::Redis,
    roots: Option<RootCertStore>,
    /// There from the start on.
    core: OnceLock<Arc<Core>>,
    /// Who hears what other programs publish, until the start.
    foreign: Mutex<Foreign>,
    /// The rooms whose departures are told, until the start.
    rooms: Mutex<Rooms>,
    supervisor: Mutex<Option<JoinHandle<()>>>,
}

impl RedisBackplane {
    /// A backplane that will connect as configured; TLS trusts the system's certificates.
    pub fn new(config: config::Redis) -> Self {
        Self {
            config,
            roots: None,
            core: OnceLock::new(),
            foreign: Mutex::default(),
            rooms: Mutex::default(),
            supervisor: Mutex::default(),
        }
    }

    /// Lets TLS trust these certificates, and no others.
    #[must_use]
    pub fn trusting(mut self, roots: RootCertStore) -> Self {
        self.roots = Some(roots);
        self
    }

    async fn begin(&self, inbound: Arc<Inbound>) -> Result<(), StartError> {
        let place = self.config.url.to_string();
        let server = connect::Server::new(&self.config, self.roots.as_ref())
            .map_err(|failure| StartError(failure.to_string()))?;
        let host = server.place();
        let keys = keys::Keys::new(&self.config.prefix);
        let foreign = std::mem::take(&mut *self.foreign.lock());
        let rooms = std::mem::take(&mut *self.rooms.lock());
        let core = Arc::new(Core::new(inbound, server, keys, foreign, rooms, self.config.required));
        if self.core.set(core.clone()).is_err() {
            return Err(StartError(format!("the backplane at {place} is started already")));
        }
        // Until it joins: there may be others.
        core.hub.cut_off();
        let (first, joined) = oneshot::channel();
        *self.supervisor.lock() = Some(tokio::spawn(supervise::run(core, first)));
        if self.config.required {
            let outcome =
                joined.await.unwrap_or_else(|_| Err(connect::Failure::new("the start was given up")));
            return outcome.map_err(|why| {
                StartError(format!(
                    "Redis at {host} is required (redis.required: true) and not usable: {why}"
                ))
            });
        }
        if timeout(FIRST_TRY, joined).await.is_err() {
            tracing::warn!(
                redis = host,
                "Redis has not answered yet; running as a single instance until it does"
            );
        }
        Ok(())
    }
}

impl Drop for RedisBackplane {
    fn drop(&mut self) {
        if let Some(supervisor) = self.supervisor.get_mut() {
            supervisor.abort();
        }
    }
}

impl Backplane for RedisBackplane {
    fn start(&self, inbound: Arc<Inbound>) -> BoxFuture<'_, Result<(), StartError>> {
        self.begin(inbound).boxed()
    }

    fn publish(&self, channel: &Channel, envelope: &Envelope<'_>, ack: Ack) {
        let Some(core) = self.core.get() else { return ack.done(Ok(())) };
        if let Envelope::Join(client, _) = envelope {
            core.records.announced(channel, *client);
        }
        core.bus.publish(channel, envelope, ack);
    }

    fn keeps_history(&self) -> bool {
        true
    }

    fn publish_kept(&self, channel: &Channel, publication: &Publication<'_>, keep: Keep, ack: Ack) {
        match self.core.get() {
            Some(core) => core.bus.publish_kept(channel, publication, keep, ack),
            None => ack.done(Ok(())),
        }
    }

    fn history<'a>(
        &'a self,
        channel: &'a Channel,
        filter: Filter,
    ) -> BoxFuture<'a, Result<Past, Unavailable>> {
        async move {
            let core = self.core.get().ok_or(Unavailable::Disconnected)?;
            let commands = core.commands().ok_or(Unavailable::Disconnected)?;
            streams::read(&commands, &core.keys, channel, filter).await
        }
        .boxed()
    }

    fn remove_history<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<(), Unavailable>> {
        async move {
            let core = self.core.get().ok_or(Unavailable::Disconnected)?;
            let commands = core.commands().ok_or(Unavailable::Disconnected)?;
            streams::remove(&commands, &core.keys, channel).await
        }
        .boxed()
    }

    fn tell(&self, audience: &Audience, envelope: &Envelope<'_>, ack: Ack) {
        let Some(core) = self.core.get() else { return ack.done(Ok(())) };
        let name = match audience {
            Audience::Everyone => core.keys.everyone(),
            Audience::Instance(address) => core.keys.instance(&address.to_string()),
        };
        core.bus.tell(&name, envelope, ack);
    }

    fn subscribe(&self, channel: &Channel, ack: Ack) {
        match self.core.get() {
            Some(core) => core.listen.subscribe(channel, ack),
            None => ack.done(Ok(())),
        }
    }

    fn unsubscribe(&self, channel: &Channel) {
        if let Some(core) = self.core.get() {
            core.listen.unsubscribe(channel);
        }
    }

    fn foreign(&self, prefix: &str, hear: Hear) {
        self.foreign.lock().add(prefix, hear);
    }

    fn register(&self, client: ClientRecord) {
        if let Some(core) = self.core.get() {
            core.records.client_changed(client.id);
        }
    }

    fn unregister(&self, client: ClientId) {
        if let Some(core) = self.core.get() {
            core.records.client_changed(client);
        }
    }

    fn touch(&self, clients: &[ClientId]) {
        if let Some(core) = self.core.get() {
            core.records.clients_changed(clients);
        }
    }

    fn locate<'a>(
        &'a self,
        clients: &'a [ClientId],
    ) -> BoxFuture<'a, Result<Vec<Option<Located>>, Unavailable>> {
        async move {
            let core = self.core.get().ok_or(Unavailable::Disconnected)?;
            let local = |id: &ClientId| {
                let client = core.hub.registry.get(*id)?.record();
                Some(Located { address: core.hub.address.clone(), client })
            };
            let mut located: Vec<_> = clients.iter().map(local).collect();
            let (places, missing): (Vec<_>, Vec<_>) =
                clients.iter().enumerate().filter(|(place, _)| located[*place].is_none()).unzip();
            if !missing.is_empty()
                && let Some(commands) = core.commands_or_alone()?
            {
                let instances = core.lease.others(&commands).await?;
                let found = core.records.directory.locate(&commands, &missing, &instances).await?;
                for (place, one) in places.into_iter().zip(found) {
                    located[place] = one;
                }
            }
            Ok(located)
        }
        .boxed()
    }

    fn hold<'a>(&'a self, role: &'a str) -> BoxFuture<'a, Result<Option<Address>, Unavailable>> {
        async move {
            let core = self.core.get().ok_or(Unavailable::Disconnected)?;
            match core.commands_or_alone()? {
                Some(commands) => Ok(roles::hold(&commands, &core.keys, &core.hub.address, role).await?),
                None => Ok(Some(core.hub.address.clone())),
            }
        }
        .boxed()
    }

    fn release<'a>(&'a self, role: &'a str) -> BoxFuture<'a, ()> {
        async move {
            let Some(core) = self.core.get() else { return };
            if let Some(commands) = core.commands()
                && let Err(error) = roles::release(&commands, &core.keys, &core.address, role).await
            {
                tracing::warn!(role, %error, "could not give the role up; its lease will run out");
            }
        }
        .boxed()
    }

    fn enter(&self, channel: &Channel, member: Member) {
        if let Some(core) = self.core.get() {
            core.records.enter(channel, member);
        }
    }

    fn leave(&self, channel: &Channel, client: ClientId) {
        if let Some(core) = self.core.get() {
            core.records.leave(channel, client);
        }
    }

    fn presence<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Vec<Member>, Unavailable>> {
        async move {
            let Some(core) = self.core.get() else { return Ok(Vec::new()) };
            // The local members come from here: they may still be on their way to Redis.
            let mut members = core.records.presence.local(channel);
            let Some(commands) = core.commands() else { return Ok(members) };
            let remote = core.records.presence.remote(&commands, channel).await?;
            let addresses: HashSet<_> = remote.iter().map(|(address, _)| address.clone()).collect();
            let living = core.lease.living(&commands, addresses).await?;
            let remote = remote.into_iter().filter(|(address, _)| living.contains(address));
            members.extend(remote.map(|(_, member)| member));
            Ok(members)
        }
        .boxed()
    }

    fn departing(&self) -> &dyn Departing {
        self
    }

    fn instances(&self) -> BoxFuture<'_, Result<Vec<InstanceRecord>, Unavailable>> {
        async move {
            let core = self.core.get().ok_or(Unavailable::Disconnected)?;
            let commands = core.commands_or_alone()?;
            let mut records = vec![core.lease.record(commands.is_some())];
            if let Some(commands) = commands {
                let others = core.lease.all(&commands).await?;
                let others = others.into_iter().filter(|(address, _)| *address != core.address);
                records.extend(others.filter_map(|(_, record)| record));
            }
            records.sort_by(|one, other| (&one.id, &one.epoch).cmp(&(&other.id, &other.epoch)));
            Ok(records)
        }
        .boxed()
    }

    fn joins(&self) -> u64 {
        self.core.get().map_or(0, |core| core.state.lock().joins)
    }

    fn health(&self) -> Health {
        let Some(core) = self.core.get() else {
            let error = Some("not started".to_owned());
            return Health {
                mode: "standalone",
                connected: false,
                error,
                probe_ms: None,
                probe_age_ms: None,
                heard: None,
                queued_bytes: 0,
            };
        };
        let (connected, error) = {
            let state = core.state.lock();
            (state.commands.is_some(), state.failure.as_ref().map(ToString::to_string))
        };
        let probe = core.probe.last();
        Health {
            mode: "standalone",
            connected,
            error,
            probe_ms: probe.map(|(took, _)| took.as_secs_f64() * 1000.0),
            probe_age_ms: probe.map(|(_, ago)| ago.as_millis() as u64),
            heard: Some(if connected { core.peers.heard() } else { Vec::new() }),
            queued_bytes: core.bus.queued(),
        }
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async move {
            let Some(core) = self.core.get() else { return };
            core.bus.close().await;
            core.stop.cancel();
            let supervisor = self.supervisor.lock().take();
            if let Some(mut supervisor) = supervisor
                && timeout(CLOSE_WITHIN, &mut supervisor).await.is_err()
            {
                supervisor.abort();
            }
        }
        .boxed()
    }
}
