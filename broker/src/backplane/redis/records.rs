//! Writes the directory and the presence in the background: what changed while one batch is being written, and for a
//! moment after that, is the next batch.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use redis::Pipeline;
use tokio::{sync::Notify, time::sleep};

use super::{
    bus::Bus,
    commands::{CHUNK, Commands, Failed},
    connect::Failure,
    directory::Directory,
    keys::Keys,
    presence::Presence,
};
use crate::{
    backplane::{Ack, Envelope, Member, Unavailable},
    hub::Hub,
    message::{Channel, ClientId},
    metrics::{Origin, RedisCommand},
};

/// Changes that may wait. Past it they are forgotten, and everything is written anew instead.
const CHANGES_LIMIT: usize = 200_000;

/// How long after a batch what changes is gathered for the next. A change in quieter times is written at once.
const GATHER: Duration = Duration::from_millis(5);

/// After the server has refused to store something (its memory may be full), how long until the next attempt.
const REFUSED_PAUSE: Duration = Duration::from_secs(3);

/// How long to wait for another instance that is cleaning up after this one, taking it for dead.
const REAPED_PAUSE: Duration = Duration::from_millis(200);

pub(super) struct Records {
    pub(super) directory: Directory,
    pub(super) presence: Presence,
    changes: Mutex<Changes>,
    wake: Notify,
    hub: Arc<Hub>,
    bus: Arc<Bus>,
    /// Exists while another instance cleans up after this one.
    reaping: String,
    /// Exists after one has done so.
    reaped: String,
}

#[derive(Default)]
struct Changes {
    connected: bool,
    everything: bool,
    clients: Vec<ClientId>,
    members: Vec<(Channel, ClientId)>,
}

impl Records {
    pub(super) fn new(hub: Arc<Hub>, bus: Arc<Bus>, keys: Keys) -> Self {
        let address = hub.address.to_string();
        Self {
            reaping: keys.reaping(&address),
            reaped: keys.reaped(&address),
            directory: Directory::new(hub.clone(), keys.clone()),
            presence: Presence::new(address, keys),
            changes: Mutex::default(),
            wake: Notify::new(),
            hub,
            bus,
        }
    }

    /// A client came or went.
    pub(super) fn client_changed(&self, client: ClientId) {
        self.change(|changes| changes.clients.push(client));
    }

    /// Something has changed of clients.
    pub(super) fn clients_changed(&self, clients: &[ClientId]) {
        self.change(|changes| changes.clients.extend_from_slice(clients));
    }

    /// A client is in the channel now.
    pub(super) fn enter(&self, channel: &Channel, member: Member) {
        let client = member.client;
        self.presence.enter(channel, member);
        self.change(|changes| changes.members.push((channel.clone(), client)));
    }

    /// A client is not in the channel any more.
    pub(super) fn leave(&self, channel: &Channel, client: ClientId) {
        self.presence.leave(channel, client);
        self.change(|changes| changes.members.push((channel.clone(), client)));
    }

    /// A client's join was announced in the channel.
    pub(super) fn announced(&self, channel: &Channel, client: ClientId) {
        if self.presence.announced(channel) {
            self.change(|changes| changes.members.push((channel.clone(), client)));
        }
    }

    /// Everything is to be written anew.
    pub(super) fn rewrite(&self) {
        self.changes.lock().forget();
        self.wake.notify_one();
    }

    /// The connection is lost; what changes until it is back needs no noting.
    pub(super) fn lost(&self) {
        *self.changes.lock() = Changes::default();
        self.presence.lost();
    }

    fn change(&self, note: impl FnOnce(&mut Changes)) {
        let mut changes = self.changes.lock();
        if !changes.connected || changes.everything {
            return;
        }
        note(&mut changes);
        if changes.clients.len() + changes.members.len() > CHANGES_LIMIT {
            changes.forget();
        }
        drop(changes);
        self.wake.notify_one();
    }

    /// Serves a connection until it is lost.
    pub(super) async fn run(&self, commands: &Commands) -> Failure {
        {
            let mut changes = self.changes.lock();
            changes.connected = true;
            changes.forget();
        }
        loop {
            match self.write(commands).await {
                Ok(()) => {
                    sleep(GATHER).await;
                    self.wake.notified().await;
                }
                Err(failed) if failed.is_refusal() => {
                    tracing::warn!(error = %failed, "Redis does not store the directory and presence; trying again");
                    sleep(REFUSED_PAUSE).await;
                    self.rewrite();
                }
                Err(failed) => return failed.into(),
            }
        }
    }

    /// Writes what has changed since this was asked before.
    async fn write(&self, commands: &Commands) -> Result<(), Failed> {
        let mut changes = {
            let mut changes = self.changes.lock();
            let taken = std::mem::take(&mut *changes);
            changes.connected = taken.connected;
            taken
        };
        if changes.everything {
            self.wait_until_reaped(commands).await?;
            self.directory.rewrite(commands).await?;
            self.presence.rewrite(commands).await?;
            self.announce_again(commands).await?;
        }
        self.directory.write(commands, &changes.clients).await?;
        self.presence.write(commands, &mut changes.members).await
    }

    /// With the lease written, nobody begins to clean up after this instance; who has begun before is let finish.
    async fn wait_until_reaped(&self, commands: &Commands) -> Result<(), Failed> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("EXISTS").arg(&self.reaping);
        while commands.run::<(bool,)>(RedisCommand::Lease, &pipeline).await?.0 {
            sleep(REAPED_PAUSE).await;
        }
        Ok(())
    }

    /// If this instance was taken for dead, its members were said to have left: says that they are here.
    async fn announce_again(&self, commands: &Commands) -> Result<(), Failed> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("EXISTS").arg(&self.reaped);
        if !commands.run::<(bool,)>(RedisCommand::Lease, &pipeline).await?.0 {
            return Ok(());
        }
        let members = self.presence.all_announced();
        // In parts, so that they do not fill the queue.
        for chunk in members.chunks(CHUNK) {
            for (channel, client) in chunk {
                // While the member cannot leave, so that its leave is not overtaken by this.
                self.presence.with_member(channel, *client, |info| {
                    let join = Envelope::Join(*client, info);
                    self.bus.publish(channel, &join, Ack::ignore());
                    // The leave may have been heard here too.
                    self.hub.deliver(channel.as_str(), &join, Origin::Remote);
                });
            }
            match self.bus.flush().await {
                Ok(()) | Err(Unavailable::Refused) => {}
                // The connection is being lost. The mark is still there for the next one.
                Err(_) => return Ok(()),
            }
        }
        tracing::info!(members = members.len(), "had been taken for dead; announced its members again");
        let mut pipeline = Pipeline::new();
        pipeline.cmd("DEL").arg(&self.reaped).ignore();
        commands.run(RedisCommand::Lease, &pipeline).await
    }
}

impl Changes {
    fn forget(&mut self) {
        self.everything = true;
        self.clients = Vec::new();
        self.members = Vec::new();
    }
}
