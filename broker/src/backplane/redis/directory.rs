//! The directory: which instance holds which client.
//!
//! Each start of an instance has one hash of its clients. Connecting is one field of a command that many
//! connects share, a dead instance is forgotten with one command, and looking for a client asks every living
//! instance's hash, which happens seldom.
//!
//! The hub's registry is the truth; what waits to be written is only whose record changed.

use std::sync::Arc;

use redis::Pipeline;
use serde::{Deserialize, Serialize};

use super::{
    commands::{CHUNK, Commands, Failed},
    keys::{self, Keys},
};
use crate::{backplane::Located, hub::Hub, message::ClientId, metrics::RedisCommand, registry::Client};

/// What stands in the directory of a client.
#[derive(Serialize, Deserialize)]
struct Record<'a> {
    user: std::borrow::Cow<'a, str>,
    endpoint: std::borrow::Cow<'a, str>,
    connected: u64,
}

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
                        set.arg(id.to_string()).arg(record(&client));
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

    /// Looks for a client on these living instances.
    pub(super) async fn locate(
        &self,
        commands: &Commands,
        client: ClientId,
        instances: &[String],
    ) -> Result<Option<Located>, Failed> {
        let field = client.to_string();
        for chunk in instances.chunks(CHUNK) {
            let mut pipeline = Pipeline::new();
            for address in chunk {
                pipeline.cmd("HGET").arg(self.keys.clients(address)).arg(&field);
            }
            let found: Vec<Option<Vec<u8>>> = commands.run(RedisCommand::Directory, &pipeline).await?;
            let located = chunk.iter().zip(found).find_map(|(address, record)| {
                let record = record?;
                let record: Record<'_> = serde_json::from_slice(&record).ok()?;
                Some(Located {
                    address: keys::address(address)?,
                    user: record.user.into_owned(),
                    connected: record.connected,
                    last_message: record.connected,
                })
            });
            if located.is_some() {
                return Ok(located);
            }
        }
        Ok(None)
    }
}

fn record(client: &Client) -> Vec<u8> {
    let record = Record {
        user: client.user.as_ref().into(),
        endpoint: client.endpoint.as_str().into(),
        connected: client.connected,
    };
    serde_json::to_vec(&record).unwrap_or_default()
}
