//! Who is alive: each instance holds a lease and renews it. One that does not has died, whatever else of it is
//! still in Redis.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use redis::Pipeline;
use tokio::time::sleep;

use super::{
    commands::{Commands, Failed},
    connect::Failure,
    keys::Keys,
    probe::Probe,
    records::Records,
};
use crate::{
    backplane::{InstanceRecord, RedisRecord},
    clock::now_ms,
    hub::Hub,
    message::Epoch,
    metrics::RedisCommand,
};

/// How long a lease holds.
pub(super) const LEASE: Duration = Duration::from_secs(10);

/// How often it is renewed. For as long, an instance that was seen alive is taken to be alive.
pub(super) const RENEW: Duration = Duration::from_secs(3);

pub(super) struct Lease {
    hub: Arc<Hub>,
    keys: Keys,
    probe: Arc<Probe>,
    address: String,
    /// Other instances that were seen alive, and when.
    seen: Mutex<HashMap<String, Instant>>,
}

impl Lease {
    pub(super) fn new(hub: Arc<Hub>, keys: Keys, probe: Arc<Probe>) -> Self {
        let address = hub.address.to_string();
        Self { hub, keys, probe, address, seen: Mutex::default() }
    }

    /// What this instance says of itself.
    pub(super) fn record(&self, connected: bool) -> InstanceRecord {
        let round_trip_us = self.probe.last().map(|(took, _)| took.as_micros() as u64);
        InstanceRecord { redis: Some(RedisRecord { connected, round_trip_us }), ..self.hub.record() }
    }

    /// Writes the lease; whether the one before was still held. Two starts of one instance see each other here: the
    /// earlier one leaves.
    pub(super) async fn renew(&self, commands: &Commands) -> Result<bool, Failed> {
        let lease = self.keys.lease(&self.address);
        let record = serde_json::to_vec(&self.record(true)).unwrap_or_default();
        let mut pipeline = Pipeline::new();
        pipeline.cmd("EXISTS").arg(&lease);
        pipeline.cmd("SET").arg(&lease).arg(record).arg("PX").arg(LEASE.as_millis() as u64).ignore();
        pipeline.cmd("ZADD").arg(self.keys.instances()).arg(now_ms()).arg(&self.address).ignore();
        let own = self.hub.address.epoch;
        let latest_key = self.keys.latest(self.hub.address.instance.as_str());
        pipeline.cmd("GET").arg(&latest_key);
        let (held, latest): (bool, Option<String>) = commands.run(RedisCommand::Lease, &pipeline).await?;
        let latest = latest.and_then(|epoch| u64::from_str_radix(&epoch, 16).ok()).map_or(own, Epoch);
        if latest > own {
            self.hub.saw_epoch(latest);
        } else {
            // Should a later start have written in between, it writes again before long.
            let mut pipeline = Pipeline::new();
            let lease = LEASE.as_millis() as u64;
            pipeline.cmd("SET").arg(&latest_key).arg(own.to_string()).arg("PX").arg(lease).ignore();
            commands.run::<()>(RedisCommand::Lease, &pipeline).await?;
        }
        Ok(held)
    }

    /// Renews the lease until the connection is lost.
    pub(super) async fn run(&self, commands: &Commands, records: &Records) -> Failure {
        loop {
            sleep(RENEW).await;
            match self.renew(commands).await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::warn!(
                        "this instance's lease had run out; its directory and presence are written again"
                    );
                    records.rewrite();
                }
                Err(failed) if failed.is_refusal() => {
                    tracing::warn!(error = %failed, "Redis does not store this instance's lease; trying again");
                }
                Err(failed) => return failed.into(),
            }
        }
    }

    /// The addresses of all instances that are not cleaned up, with what each that lives says of itself.
    pub(super) async fn all(
        &self,
        commands: &Commands,
    ) -> Result<Vec<(String, Option<InstanceRecord>)>, Failed> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("ZRANGE").arg(self.keys.instances()).arg(0).arg(-1);
        let (addresses,): (Vec<String>,) = commands.run(RedisCommand::Lease, &pipeline).await?;
        if addresses.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = Pipeline::new();
        for address in &addresses {
            pipeline.cmd("GET").arg(self.keys.lease(address));
        }
        let leases: Vec<Option<Vec<u8>>> = commands.run(RedisCommand::Lease, &pipeline).await?;
        let read = |lease: Option<Vec<u8>>| serde_json::from_slice(&lease?).ok();
        Ok(addresses.into_iter().zip(leases.into_iter().map(read)).collect())
    }

    /// The addresses of the other instances that live.
    pub(super) async fn others(&self, commands: &Commands) -> Result<Vec<String>, Failed> {
        let all = self.all(commands).await?;
        let living = all.into_iter().filter(|(address, record)| record.is_some() && *address != self.address);
        Ok(living.map(|(address, _)| address).collect())
    }

    /// Those of these addresses whose instances live.
    pub(super) async fn living(
        &self,
        commands: &Commands,
        addresses: HashSet<String>,
    ) -> Result<HashSet<String>, Failed> {
        let (mut living, unknown): (HashSet<String>, HashSet<String>) = {
            let mut seen = self.seen.lock();
            seen.retain(|_, at| at.elapsed() < RENEW);
            addresses.into_iter().partition(|address| seen.contains_key(address))
        };
        if unknown.is_empty() {
            return Ok(living);
        }
        let mut pipeline = Pipeline::new();
        for address in &unknown {
            pipeline.cmd("EXISTS").arg(self.keys.lease(address));
        }
        let held: Vec<bool> = commands.run(RedisCommand::Lease, &pipeline).await?;
        let mut seen = self.seen.lock();
        for (address, _) in unknown.into_iter().zip(held).filter(|(_, held)| *held) {
            seen.insert(address.clone(), Instant::now());
            living.insert(address);
        }
        Ok(living)
    }
}
