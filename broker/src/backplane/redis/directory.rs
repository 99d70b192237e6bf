//! The directory: which instance holds which client.
//!
//! Each start of an instance has one hash of its clients. Connecting is one field of a command that many
//! connects share, a dead instance is forgotten with one command, and looking for a client asks every living
//! instance's hash, which happens seldom.
//!
//! The hub's registry is the truth; what waits to be written is only whose record changed.

use std::sync::Arc;

use redis::Pipeline;

use super::{
    commands::{CHUNK, Commands, Failed},
    keys::{self, Keys},
};
use crate::{backplane::Located, hub::Hub, message::ClientId, metrics::RedisCommand};

pub(super) struct Directory {
    hub: Arc<Hub>,
    keys: Keys,
    /// This instance's hash.
    own: String,
}

impl Directory {
    pub(super) fn new(hub: Arc<Hub>, keys: Keys) -> Self {
        let own = keys.clients(&hub.address.to_string());
        Self { hub, keys, own }
    }

    /// Brings the records of these clients up to date.
    pub(super) async fn write(&self, commands: &Commands, changed: &[ClientId]) -> Result<(), Failed> {
        for chunk in changed.chunks(CHUNK) {
            let (mut set, mut del) = (redis::cmd("HSET"), redis::cmd("HDEL"));
            set.arg(&self.own);
            del.arg(&self.own);
            let (mut here, mut gone) = (false, false);
            for id in chunk {
                match self.hub.registry.get(*id) {
                    Some(client) => {
                        let record = serde_json::to_vec(&client.record()).unwrap_or_default();
                        set.arg(id.to_string()).arg(record);
                        here = true;
                    }
                    None => {
                        del.arg(id.to_string());
                        gone = true;
                    }
                }
            }
            let mut pipeline = Pipeline::new();
            if here {
                pipeline.add_command(set).ignore();
            }
            if gone {
                pipeline.add_command(del).ignore();
            }
            commands.run::<()>(RedisCommand::Directory, &pipeline).await?;
        }
        Ok(())
    }

    /// Writes all of it anew.
    pub(super) async fn rewrite(&self, commands: &Commands) -> Result<(), Failed> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("UNLINK").arg(&self.own).ignore();
        commands.run::<()>(RedisCommand::Directory, &pipeline).await?;
        let all: Vec<_> = self.hub.registry.snapshot().iter().map(|client| client.id).collect();
        self.write(commands, &all).await
    }

    /// Looks for clients on these living instances.
    pub(super) async fn locate(
        &self,
        commands: &Commands,
        clients: &[&ClientId],
        instances: &[String],
    ) -> Result<Vec<Option<Located>>, Failed> {
        let mut located = Vec::new();
        for clients in clients.chunks(CHUNK) {
            let mut found = vec![None; clients.len()];
            for addresses in instances.chunks((CHUNK / clients.len()).max(1)) {
                let mut pipeline = Pipeline::new();
                for address in addresses {
                    let fields: Vec<_> = clients.iter().map(ToString::to_string).collect();
                    pipeline.cmd("HMGET").arg(self.keys.clients(address)).arg(fields);
                }
                let records: Vec<Vec<Option<Vec<u8>>>> =
                    commands.run(RedisCommand::Directory, &pipeline).await?;
                for (address, records) in addresses.iter().zip(records) {
                    for (place, record) in records.into_iter().enumerate() {
                        let read = || {
                            let client = serde_json::from_slice(&record?).ok()?;
                            Some(Located { address: keys::address(address)?, client })
                        };
                        found[place] = found[place].take().or_else(read);
                    }
                }
            }
            located.extend(found);
        }
        Ok(located)
    }
}
