//! Cleans up after instances that died, and after this one when it leaves.
//!
//! All look for the dead in turns, one at a time; whoever finds one removes its clients and its presence, and
//! announces that its members left, where their joins had been announced. One that was not dead after all finds a
//! mark, and announces its members again ([`records`](super::records)).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redis::Pipeline;
use tokio::time::sleep;

use super::{
    bus::Bus,
    commands::{Commands, Failed},
    connect::Failure,
    departures::Departures,
    keys::Keys,
    lease::{LEASE, Lease, RENEW},
    presence::{Entry, Index, Indexed, entries_of},
};
use crate::{
    backplane::{Ack, Envelope},
    clock::now_ms,
    hub::Hub,
    metrics::{Origin, RedisCommand},
};

/// A claim on a dead instance holds so long; the work ends before that, and goes on in the next turn.
const CLAIM: Duration = LEASE;
const WORK: Duration = Duration::from_secs(8);

/// How long the mark stays for an instance that may never come back.
const MARK: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) struct Reaper {
    hub: Arc<Hub>,
    bus: Arc<Bus>,
    keys: Keys,
    address: String,
    departures: Arc<Departures>,
}

impl Reaper {
    pub(super) fn new(hub: Arc<Hub>, bus: Arc<Bus>, keys: Keys, departures: Arc<Departures>) -> Self {
        let address = hub.address.to_string();
        Self { hub, bus, keys, address, departures }
    }

    /// Looks for the dead until the connection is lost. When Redis stood still for all, or was away, every lease
    /// has run out: the first instance that is back gives the others the time of a lease to come back too.
    pub(super) async fn run(&self, commands: &Commands, lease: &Lease) -> Failure {
        sleep(LEASE).await;
        loop {
            match self.sweep(commands, lease).await {
                Ok(()) => {}
                Err(failed) if failed.is_refusal() => {
                    tracing::warn!(error = %failed, "cannot clean up after dead instances; trying again");
                }
                Err(failed) => return failed.into(),
            }
            sleep(RENEW).await;
        }
    }

    async fn sweep(&self, commands: &Commands, lease: &Lease) -> Result<(), Failed> {
        if !self.claim(commands, &self.keys.sweep(), RENEW / 2).await? {
            return Ok(());
        }
        for (address, record) in lease.all(commands).await? {
            if record.is_none() && address != self.address {
                self.reap(commands, &address).await?;
            }
        }
        Ok(())
    }

    /// Whether it is this instance's turn; nobody else's for as long.
    async fn claim(&self, commands: &Commands, key: &str, hold: Duration) -> Result<bool, Failed> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("SET").arg(key).arg(&self.address).arg("NX").arg("PX").arg(hold.as_millis() as u64);
        let (claimed,): (Option<String>,) = commands.run(RedisCommand::Lease, &pipeline).await?;
        Ok(claimed.is_some())
    }

    async fn reap(&self, commands: &Commands, dead: &str) -> Result<(), Failed> {
        let claim = self.keys.reaping(dead);
        if !self.claim(commands, &claim, CLAIM).await? {
            return Ok(());
        }
        // Looked at again after the claim: one that comes back writes its lease first and then waits for the
        // claim to end, so either it is seen here, or it writes its records after they were removed.
        let mut pipeline = Pipeline::new();
        pipeline.cmd("EXISTS").arg(self.keys.lease(dead));
        pipeline.cmd("ZSCORE").arg(self.keys.instances()).arg(dead);
        let (alive, renewed): (bool, Option<f64>) = commands.run(RedisCommand::Lease, &pipeline).await?;
        if !alive {
            // Before anything is announced, so that whatever happens meanwhile the mark is there.
            let mut pipeline = Pipeline::new();
            let mark = self.keys.reaped(dead);
            pipeline.cmd("SET").arg(mark).arg(&self.address).arg("PX").arg(MARK.as_millis() as u64).ignore();
            commands.run::<()>(RedisCommand::Lease, &pipeline).await?;
            // Its clients were last seen when it was.
            let seen = renewed.map_or_else(now_ms, |renewed| renewed as u64);
            let members = self.clean(commands, dead, Some(seen)).await?;
            tracing::info!(instance = dead, members, "cleaned up after an instance that died");
            // If it comes back now, it announces its members when the claim has ended: after these words.
            let _ = self.bus.flush().await;
        }
        let mut pipeline = Pipeline::new();
        pipeline.cmd("DEL").arg(&claim).ignore();
        commands.run(RedisCommand::Lease, &pipeline).await
    }

    /// Takes this instance out of everything: it leaves.
    pub(super) async fn release(&self, commands: &Commands) -> Result<(), Failed> {
        self.clean(commands, &self.address, None).await?;
        let own = &self.hub.address;
        let latest = self.keys.latest(own.instance.as_str());
        let mut pipeline = Pipeline::new();
        pipeline.cmd("DEL").arg(self.keys.lease(&self.address)).ignore();
        pipeline.cmd("GET").arg(&latest);
        let (epoch,): (Option<String>,) = commands.run(RedisCommand::Lease, &pipeline).await?;
        // A later start has written its own.
        if epoch == Some(own.epoch.to_string()) {
            let mut pipeline = Pipeline::new();
            pipeline.cmd("DEL").arg(&latest).ignore();
            commands.run::<()>(RedisCommand::Lease, &pipeline).await?;
        }
        Ok(())
    }

    /// Removes what an instance has left, and says how many members of channels it had. Of one that has died, `died` says
    /// when it was last alive, in milliseconds since 1970: the leaves of its members are announced.
    async fn clean(&self, commands: &Commands, address: &str, died: Option<u64>) -> Result<usize, Failed> {
        let started = Instant::now();
        let mut pipeline = Pipeline::new();
        pipeline.cmd("UNLINK").arg(self.keys.clients(address)).ignore();
        commands.run::<()>(RedisCommand::Directory, &pipeline).await?;
        let mut members = 0;
        let mut index = Index::new(&self.keys, address);
        while let Some(page) = index.page(commands).await? {
            let left = entries_of(&self.keys, commands, address, page).await?;
            let mut pipeline = Pipeline::new();
            for (indexed, entries) in &left {
                members += entries.len();
                if died.is_some() && indexed.announced {
                    self.announce(indexed, entries);
                }
                // Before they are removed, so that whatever happens meanwhile nobody is forgotten.
                let seen = died.unwrap_or_else(now_ms);
                self.departures.write_left(&indexed.channel, entries, seen, &mut pipeline);
                if !entries.is_empty() {
                    let fields: Vec<_> = entries.iter().map(|entry| &entry.field[..]).collect();
                    pipeline.cmd("HDEL").arg(self.keys.presence(&indexed.channel)).arg(fields).ignore();
                }
                pipeline.cmd("HDEL").arg(self.keys.channels(address)).arg(indexed.channel.as_str()).ignore();
            }
            if !pipeline.is_empty() {
                commands.run::<()>(RedisCommand::Presence, &pipeline).await?;
            }
            if started.elapsed() > WORK {
                return Ok(members);
            }
        }
        let mut pipeline = Pipeline::new();
        pipeline.cmd("UNLINK").arg(self.keys.channels(address)).ignore();
        pipeline.cmd("ZREM").arg(self.keys.instances()).arg(address).ignore();
        commands.run::<()>(RedisCommand::Lease, &pipeline).await?;
        Ok(members)
    }

    fn announce(&self, indexed: &Indexed, entries: &[Entry]) {
        for entry in entries {
            let leave = Envelope::Leave(entry.client, &entry.info);
            self.bus.publish(&indexed.channel, &leave, Ack::ignore());
            self.hub.deliver(indexed.channel.as_str(), &leave, Origin::Remote);
        }
    }
}
