//! Presence: who is in a channel, on all instances.
//!
//! Each channel has one hash; a field says which start of which instance holds the client, so that what a dead
//! instance left can be told apart, and each instance has an index of the channels that it has members in, so
//! that it can be found. The local members are the truth about this instance: what waits to be written is only
//! which of them changed.

use ahash::HashMap;
use bytes::Bytes;
use parking_lot::Mutex;
use redis::{Cmd, Pipeline};

use super::{
    commands::{CHUNK, Commands, Failed},
    keys::{self, Keys},
};
use crate::{
    backplane::Member,
    message::{Channel, ClientId},
    metrics::RedisCommand,
};

/// Channels that are looked through with one pipeline.
const CHANNELS_AT_ONCE: usize = 100;

/// In an instance's index: whether joins were announced in the channel, so that a leave must be announced too.
const ANNOUNCED: &str = "announced";
const SILENT: &str = "silent";

pub(super) struct Presence {
    keys: Keys,
    address: String,
    local: Mutex<HashMap<Channel, Local>>,
}

/// This instance's members of one channel.
#[derive(Default)]
struct Local {
    members: HashMap<ClientId, Bytes>,
    /// Whether joins are announced in it.
    announced: bool,
    /// What the index says, if this connection has written it.
    indexed: Option<bool>,
}

/// A channel in which an instance has members.
pub(super) struct Indexed {
    pub(super) channel: Channel,
    pub(super) announced: bool,
}

/// What an instance has left in a channel.
pub(super) struct Entry {
    pub(super) field: Vec<u8>,
    pub(super) client: ClientId,
    pub(super) info: Vec<u8>,
}

impl Presence {
    pub(super) fn new(address: String, keys: Keys) -> Self {
        Self { keys, address, local: Mutex::default() }
    }

    pub(super) fn enter(&self, channel: &Channel, member: Member) {
        self.local.lock().entry(channel.clone()).or_default().members.insert(member.client, member.info);
    }

    pub(super) fn leave(&self, channel: &Channel, client: ClientId) {
        let mut local = self.local.lock();
        let Some(members) = local.get_mut(channel) else { return };
        members.members.remove(&client);
        if members.members.is_empty() && members.indexed.is_none() {
            local.remove(channel);
        }
    }

    /// A join was announced; whether this is news for the index.
    pub(super) fn announced(&self, channel: &Channel) -> bool {
        self.local.lock().get_mut(channel).is_some_and(|local| !std::mem::replace(&mut local.announced, true))
    }

    /// This instance's members whose joins are announced.
    pub(super) fn all_announced(&self) -> Vec<(Channel, ClientId)> {
        let local = self.local.lock();
        let announced = local.iter().filter(|(_, local)| local.announced);
        announced
            .flat_map(|(channel, local)| local.members.keys().map(|client| (channel.clone(), *client)))
            .collect()
    }

    /// Calls `then` with the member's description, if it is still in the channel. It cannot leave meanwhile.
    pub(super) fn with_member(&self, channel: &Channel, client: ClientId, then: impl FnOnce(&[u8])) {
        let local = self.local.lock();
        if let Some(info) = local.get(channel).and_then(|local| local.members.get(&client)) {
            then(info);
        }
    }

    /// This instance's members of the channel.
    pub(super) fn local(&self, channel: &Channel) -> Vec<Member> {
        let local = self.local.lock();
        let members = local.get(channel).into_iter().flat_map(|local| &local.members);
        members.map(|(client, info)| Member { client: *client, info: info.clone() }).collect()
    }

    /// What was written is not known to be there any more.
    pub(super) fn lost(&self) {
        self.local.lock().retain(|_, local| {
            local.indexed = None;
            !local.members.is_empty()
        });
    }

    /// The other instances' members of the channel, each with its instance's address.
    pub(super) async fn remote(
        &self,
        commands: &Commands,
        channel: &Channel,
    ) -> Result<Vec<(String, Member)>, Failed> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("HGETALL").arg(self.keys.presence(channel));
        let (all,): (Vec<(Vec<u8>, Vec<u8>)>,) = commands.run(RedisCommand::Presence, &pipeline).await?;
        let members = all.into_iter().filter_map(|(field, info)| {
            let (address, client) = keys::read_member(&field)?;
            (address != self.address).then(|| (address.to_owned(), Member { client, info: info.into() }))
        });
        Ok(members.collect())
    }

    /// Brings the entries of these members up to date.
    pub(super) async fn write(
        &self,
        commands: &Commands,
        changed: &mut [(Channel, ClientId)],
    ) -> Result<(), Failed> {
        for chunk in changed.chunks_mut(CHUNK) {
            chunk.sort_unstable();
            let (mut index, mut entries) = (Vec::new(), Vec::new());
            for members in chunk.chunk_by(|(one, _), (other, _)| one == other) {
                self.write_channel(members, &mut index, &mut entries);
            }
            let mut pipeline = Pipeline::new();
            if !index.is_empty() {
                pipeline.cmd("HSET").arg(self.keys.channels(&self.address)).arg(index).ignore();
            }
            for command in entries {
                pipeline.add_command(command).ignore();
            }
            if !pipeline.is_empty() {
                commands.run::<()>(RedisCommand::Presence, &pipeline).await?;
            }
        }
        Ok(())
    }

    /// Adds the commands for changed members of one channel, and what is new for the index.
    ///
    /// The index is written before the first entry and removed after the last, so that whenever the instance dies, its
    /// index leads to everything that it left.
    fn write_channel(
        &self,
        changed: &[(Channel, ClientId)],
        index: &mut Vec<(String, &'static str)>,
        entries: &mut Vec<Cmd>,
    ) {
        let Some((channel, _)) = changed.first() else { return };
        let key = self.keys.presence(channel);
        let (mut set, mut del) = (redis::cmd("HSET"), redis::cmd("HDEL"));
        set.arg(&key);
        del.arg(&key);
        let (mut here, mut gone) = (false, false);
        let mut guard = self.local.lock();
        let mut local = guard.get_mut(channel);
        for (_, client) in changed {
            let field = keys::member(&self.address, *client);
            match local.as_ref().and_then(|local| local.members.get(client)) {
                Some(info) => {
                    set.arg(field).arg(&info[..]);
                    here = true;
                }
                None => {
                    del.arg(field);
                    gone = true;
                }
            }
        }
        if let Some(local) = &mut local
            && here
            && local.indexed != Some(local.announced)
        {
            local.indexed = Some(local.announced);
            let announced = if local.announced { ANNOUNCED } else { SILENT };
            index.push((channel.as_str().to_owned(), announced));
        }
        entries.extend(here.then_some(set));
        entries.extend(gone.then_some(del));
        if local.is_none_or(|local| local.members.is_empty()) {
            guard.remove(channel);
            entries.push(self.unindexed(channel));
        }
    }

    fn unindexed(&self, channel: &Channel) -> Cmd {
        let mut del = redis::cmd("HDEL");
        del.arg(self.keys.channels(&self.address)).arg(channel.as_str());
        del
    }

    /// Writes all of it anew, and removes what an earlier connection left of members that are gone.
    pub(super) async fn rewrite(&self, commands: &Commands) -> Result<(), Failed> {
        let mut index = Index::new(&self.keys, &self.address);
        while let Some(page) = index.page(commands).await? {
            for (indexed, entries) in entries_of(&self.keys, commands, &self.address, page).await? {
                let stale = |entry: &&Entry| !self.is_local(&indexed.channel, entry.client);
                let mut changed: Vec<_> = entries
                    .iter()
                    .filter(stale)
                    .map(|entry| (indexed.channel.clone(), entry.client))
                    .collect();
                if changed.is_empty() && !self.local.lock().contains_key(&indexed.channel) {
                    let mut pipeline = Pipeline::new();
                    pipeline.add_command(self.unindexed(&indexed.channel)).ignore();
                    commands.run::<()>(RedisCommand::Presence, &pipeline).await?;
                }
                self.write(commands, &mut changed).await?;
            }
        }
        let mut all = Vec::new();
        for (channel, local) in self.local.lock().iter_mut() {
            local.indexed = None;
            all.extend(local.members.keys().map(|client| (channel.clone(), *client)));
        }
        self.write(commands, &mut all).await
    }

    fn is_local(&self, channel: &Channel, client: ClientId) -> bool {
        self.local.lock().get(channel).is_some_and(|local| local.members.contains_key(&client))
    }
}

/// Reads the index of an instance page by page. What is removed meanwhile does not disturb it.
pub(super) struct Index {
    key: String,
    cursor: Option<u64>,
}

impl Index {
    pub(super) fn new(keys: &Keys, address: &str) -> Self {
        Self { key: keys.channels(address), cursor: Some(0) }
    }

    /// The next channels, until there are no more.
    pub(super) async fn page(&mut self, commands: &Commands) -> Result<Option<Vec<Indexed>>, Failed> {
        let Some(cursor) = self.cursor else { return Ok(None) };
        let mut pipeline = Pipeline::new();
        pipeline.cmd("HSCAN").arg(&self.key).arg(cursor).arg("COUNT").arg(CHUNK);
        let ((next, found),): ((u64, Vec<(String, String)>),) =
            commands.run(RedisCommand::Presence, &pipeline).await?;
        self.cursor = (next != 0).then_some(next);
        let page = found.into_iter().map(|(channel, announced)| Indexed {
            channel: Channel::trusted(&channel),
            announced: announced == ANNOUNCED,
        });
        Ok(Some(page.collect()))
    }
}

/// Reads what an instance has left in these channels.
pub(super) async fn entries_of(
    keys: &Keys,
    commands: &Commands,
    address: &str,
    channels: Vec<Indexed>,
) -> Result<Vec<(Indexed, Vec<Entry>)>, Failed> {
    let pattern = keys::members_of(address);
    let mut all: Vec<_> = channels.into_iter().map(|indexed| (indexed, Vec::new())).collect();
    for chunk in all.chunks_mut(CHANNELS_AT_ONCE) {
        let mut open: Vec<_> = chunk.iter_mut().map(|channel| (0u64, channel)).collect();
        while !open.is_empty() {
            let mut pipeline = Pipeline::new();
            for (cursor, (indexed, _)) in &open {
                let key = keys.presence(&indexed.channel);
                pipeline
                    .cmd("HSCAN")
                    .arg(key)
                    .arg(*cursor)
                    .arg("MATCH")
                    .arg(&pattern)
                    .arg("COUNT")
                    .arg(CHUNK);
            }
            type Found = (u64, Vec<(Vec<u8>, Vec<u8>)>);
            let found: Vec<Found> = commands.run(RedisCommand::Presence, &pipeline).await?;
            for ((cursor, (_, entries)), (next, fields)) in open.iter_mut().zip(found) {
                *cursor = next;
                entries.extend(fields.into_iter().filter_map(|(field, info)| {
                    let (_, client) = keys::read_member(&field)?;
                    Some(Entry { field, client, info })
                }));
            }
            open.retain(|(cursor, _)| *cursor != 0);
        }
    }
    Ok(all)
}
