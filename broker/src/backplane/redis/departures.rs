//! Departures in Redis: for each room a sorted set of users by the time when others are to be told that they have gone, if they
//! have, which is infinite for those who were found to be there; and one by when each was last seen going.
//!
//! While Redis is away the instance keeps its own, and puts them into Redis when it is back: then others are told.

use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use redis::Pipeline;

use super::{
    RedisBackplane,
    commands::{CHUNK, Commands, Failed},
    keys::Keys,
    presence::Entry,
};
use crate::{
    backplane::{
        Departing, Unavailable,
        departures::{self, KEPT, KEPT_FOR},
    },
    clock::now_ms,
    message::Channel,
    metrics::RedisCommand,
};

/// When others are to be told of somebody who was found to be there.
const NEVER: &str = "+inf";

/// How long after it has come a user is looked for. Its instance may have died before anything else stood in Redis, and
/// nobody would clean up after it.
const CONFIRM: Duration = Duration::from_secs(5);

/// The rooms whose departures are told, and how long after each.
#[derive(Default)]
pub(super) struct Rooms(Vec<(Channel, Duration)>);

impl Rooms {
    /// One more.
    pub(super) fn add(&mut self, room: &Channel, grace: Duration) {
        self.0.push((room.clone(), grace));
    }
}

pub(super) struct Departures {
    keys: Keys,
    rooms: Rooms,
    /// What could not be put into Redis.
    own: departures::Departures,
}

impl Departures {
    pub(super) fn new(keys: Keys, rooms: Rooms) -> Self {
        Self { keys, rooms, own: departures::Departures::default() }
    }

    /// How long after a departure from the room the others are told; nothing where they are not.
    pub(super) fn grace(&self, room: &Channel) -> Option<Duration> {
        self.rooms.0.iter().find(|(watched, _)| watched == room).map(|(_, grace)| *grace)
    }

    /// A user has come: whether the others are to be told.
    pub(super) async fn arrive(&self, commands: Option<&Commands>, room: &Channel, user: &str) -> bool {
        if let Some(commands) = commands {
            let key = self.keys.departures(room);
            let mut pipeline = Pipeline::new();
            pipeline.atomic();
            pipeline.cmd("ZSCORE").arg(&key).arg(user);
            let confirm = now_ms() + CONFIRM.as_millis() as u64;
            pipeline.cmd("ZADD").arg(&key).arg(confirm).arg(user).ignore();
            pipeline.cmd("ZREM").arg(self.keys.last_seen(room)).arg(user).ignore();
            pipeline.cmd("PEXPIRE").arg(&key).arg(KEPT_FOR.as_millis() as u64).ignore();
            let before = commands.run::<(Option<f64>,)>(RedisCommand::Presence, &pipeline).await;
            if let Ok((before,)) = before {
                return before.is_none();
            }
        }
        self.own.arrive(room, user)
    }

    /// A user has gone now.
    pub(super) async fn depart(&self, commands: Option<&Commands>, room: &Channel, user: &str) {
        let Some(grace) = self.grace(room) else { return };
        let now = now_ms();
        let due = now + grace.as_millis() as u64;
        if let Some(commands) = commands {
            let mut pipeline = Pipeline::new();
            self.write(room, &[user], now, due, &mut pipeline);
            if commands.run::<()>(RedisCommand::Presence, &pipeline).await.is_ok() {
                return;
            }
        }
        self.own.depart(room, user, now, due);
    }

    /// Adds what notes the departures of clients that their instance has left behind, if the room is watched.
    pub(super) fn write_left(&self, room: &Channel, left: &[Entry], seen: u64, pipeline: &mut Pipeline) {
        let Some(grace) = self.grace(room) else { return };
        let users: Vec<_> = left.iter().filter_map(|entry| departures::user_of(&entry.info)).collect();
        let users: Vec<_> = users.iter().map(String::as_str).collect();
        self.write(room, &users, seen, now_ms() + grace.as_millis() as u64, pipeline);
    }

    /// Adds what notes the departures of these users.
    fn write(&self, room: &Channel, users: &[&str], seen: u64, due: u64, pipeline: &mut Pipeline) {
        let kept_for = KEPT_FOR.as_millis() as u64;
        let (departures, last_seen) = (self.keys.departures(room), self.keys.last_seen(room));
        for users in users.chunks(CHUNK) {
            // Seen first: whoever is given the departure finds it.
            for (key, score) in [(&last_seen, seen), (&departures, due)] {
                let mut add = redis::cmd("ZADD");
                add.arg(key);
                users.iter().for_each(|user| {
                    add.arg(score).arg(*user);
                });
                pipeline.add_command(add).ignore();
            }
        }
        pipeline.cmd("ZREMRANGEBYRANK").arg(&last_seen).arg(0).arg(-(KEPT as i64) - 1).ignore();
        let too_old = format!("({}", seen.saturating_sub(kept_for));
        pipeline.cmd("ZREMRANGEBYSCORE").arg(&last_seen).arg("-inf").arg(too_old).ignore();
        for key in [&last_seen, &departures] {
            pipeline.cmd("PEXPIRE").arg(key).arg(kept_for).ignore();
        }
    }

    /// Takes the departures that are to be told by now. While Redis is away none is: the others could not be told.
    pub(super) async fn take(
        &self,
        commands: Result<Option<Commands>, Unavailable>,
    ) -> Vec<(Channel, String)> {
        match commands {
            Ok(None) => self.own.take(now_ms()),
            Ok(Some(commands)) => {
                self.bring(&commands).await;
                self.take_from_redis(&commands).await.unwrap_or_else(|failed| {
                    tracing::debug!(error = %failed, "cannot look for users who have gone");
                    Vec::new()
                })
            }
            Err(_) => Vec::new(),
        }
    }

    /// Brings to Redis what this instance has noted without it.
    async fn bring(&self, commands: &Commands) {
        for ((room, user, due), seen) in self.own.take_all() {
            match (due, seen) {
                (Some(due), Some(seen)) => {
                    let mut pipeline = Pipeline::new();
                    self.write(&room, &[&user], seen, due, &mut pipeline);
                    if commands.run::<()>(RedisCommand::Presence, &pipeline).await.is_err() {
                        self.own.depart(&room, &user, seen, due);
                    }
                }
                // Whoever is there.
                _ => drop(self.arrive(Some(commands), &room, &user).await),
            }
        }
    }

    async fn take_from_redis(&self, commands: &Commands) -> Result<Vec<(Channel, String)>, Failed> {
        if self.rooms.0.is_empty() {
            return Ok(Vec::new());
        }
        let now = now_ms();
        let mut pipeline = Pipeline::new();
        // Read and removed in one, so that one instance alone has each.
        pipeline.atomic();
        for (room, _) in &self.rooms.0 {
            let key = self.keys.departures(room);
            pipeline.cmd("ZRANGEBYSCORE").arg(&key).arg("-inf").arg(now);
            pipeline.cmd("ZREMRANGEBYSCORE").arg(&key).arg("-inf").arg(now).ignore();
        }
        let taken: Vec<Vec<String>> = commands.run(RedisCommand::Presence, &pipeline).await?;
        let rooms = self.rooms.0.iter().map(|(room, _)| room);
        let all =
            rooms.zip(taken).flat_map(|(room, users)| users.into_iter().map(|user| (room.clone(), user)));
        Ok(all.collect())
    }

    /// A departure that was taken was none.
    pub(super) async fn stay(&self, commands: Option<&Commands>, room: &Channel, user: &str) {
        let Some(commands) = commands else { return self.own.stay(room, user) };
        let mut pipeline = Pipeline::new();
        pipeline.cmd("ZADD").arg(self.keys.departures(room)).arg("NX").arg(NEVER).arg(user).ignore();
        // Without it others are told once more that the user is there, when it comes again.
        if let Err(failed) = commands.run::<()>(RedisCommand::Presence, &pipeline).await {
            tracing::debug!(error = %failed, "cannot note that a user is there");
        }
    }

    /// When each of these users was last seen.
    pub(super) async fn last_seen(
        &self,
        commands: Option<&Commands>,
        room: &Channel,
        users: &[String],
    ) -> Result<Vec<Option<u64>>, Failed> {
        let mut seen = self.own.last_seen(room, users);
        if let Some(commands) = commands.filter(|_| !users.is_empty()) {
            let mut pipeline = Pipeline::new();
            let key = self.keys.last_seen(room);
            for user in users {
                pipeline.cmd("ZSCORE").arg(&key).arg(user);
            }
            let there: Vec<Option<f64>> = commands.run(RedisCommand::Presence, &pipeline).await?;
            for (own, there) in seen.iter_mut().zip(there) {
                *own = (*own).max(there.map(|there| there as u64));
            }
        }
        Ok(seen)
    }
}

impl Departing for RedisBackplane {
    fn watch(&self, room: &Channel, grace: Duration) {
        self.rooms.lock().add(room, grace);
    }

    fn arrive<'a>(&'a self, room: &'a Channel, user: &'a str) -> BoxFuture<'a, bool> {
        async move {
            let Some(core) = self.core.get() else { return true };
            core.departures.arrive(core.commands().as_ref(), room, user).await
        }
        .boxed()
    }

    fn depart<'a>(&'a self, room: &'a Channel, user: &'a str) -> BoxFuture<'a, ()> {
        async move {
            let Some(core) = self.core.get() else { return };
            core.departures.depart(core.commands().as_ref(), room, user).await;
        }
        .boxed()
    }

    fn take(&self) -> BoxFuture<'_, Vec<(Channel, String)>> {
        async move {
            let Some(core) = self.core.get() else { return Vec::new() };
            core.departures.take(core.commands_or_alone()).await
        }
        .boxed()
    }

    fn stay<'a>(&'a self, room: &'a Channel, user: &'a str) -> BoxFuture<'a, ()> {
        async move {
            let Some(core) = self.core.get() else { return };
            core.departures.stay(core.commands().as_ref(), room, user).await;
        }
        .boxed()
    }

    fn last_seen<'a>(
        &'a self,
        room: &'a Channel,
        users: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<u64>>, Unavailable>> {
        async move {
            let core = self.core.get().ok_or(Unavailable::Disconnected)?;
            let commands = core.commands_or_alone()?;
            Ok(core.departures.last_seen(commands.as_ref(), room, users).await?)
        }
        .boxed()
    }
}
