//! Roles that one instance has: a lease for each, which another instance takes when it has run out.

use redis::Pipeline;

use super::{
    commands::{Commands, Failed},
    keys::{self, Keys},
};
use crate::{logic::ROLE_LEASE, message::Address, metrics::RedisCommand};

/// Takes the role if nobody has it, or renews it if this instance does. Who has it; nobody if its lease ran out just now.
pub(super) async fn hold(
    commands: &Commands,
    keys: &Keys,
    own: &Address,
    role: &str,
) -> Result<Option<Address>, Failed> {
    let (key, address) = (keys.role(role), own.to_string());
    let lease = ROLE_LEASE.as_millis() as u64;
    let mut pipeline = Pipeline::new();
    pipeline.cmd("SET").arg(&key).arg(&address).arg("NX").arg("PX").arg(lease).ignore();
    pipeline.cmd("GET").arg(&key);
    let (holder,): (Option<String>,) = commands.run(RedisCommand::Lease, &pipeline).await?;
    if holder.as_ref() == Some(&address) {
        // Should it have run out in this very moment and be another's now, that one has it a little longer.
        let mut pipeline = Pipeline::new();
        pipeline.cmd("PEXPIRE").arg(&key).arg(lease).ignore();
        commands.run::<()>(RedisCommand::Lease, &pipeline).await?;
    }
    Ok(holder.and_then(|holder| keys::address(&holder)))
}

/// Gives the role up.
pub(super) async fn release(commands: &Commands, keys: &Keys, own: &str, role: &str) -> Result<(), Failed> {
    let key = keys.role(role);
    let mut pipeline = Pipeline::new();
    pipeline.cmd("GET").arg(&key);
    let (holder,): (Option<String>,) = commands.run(RedisCommand::Lease, &pipeline).await?;
    if holder.as_deref() == Some(own) {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("DEL").arg(&key).ignore();
        commands.run::<()>(RedisCommand::Lease, &pipeline).await?;
    }
    Ok(())
}
