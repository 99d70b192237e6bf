//! Who is said to be in a room, who has gone from it, and when each was last seen there.
//!
//! Whoever goes is given a while to come back: a page that is loaded again, or a client whose instance drains or died, is
//! not gone. Of whoever does not come back the others are told by the instance that takes the departure.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt, ready};
use parking_lot::Mutex;
use serde::Deserialize;

use super::Unavailable;
use crate::message::Channel;

/// How many users of a room are remembered: who has been gone for longest is forgotten first.
pub const KEPT: usize = 100_000;

/// For how long.
pub const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Who is in rooms and who has gone, on all instances of a backplane. What is not overridden keeps nothing.
pub trait Departing: Send + Sync {
    /// Has departures from a room told, so long after each. It may be called before the start only.
    fn watch(&self, room: &Channel, grace: Duration) {
        let _ = (room, grace);
    }

    /// A user's client has come into a room that is watched: whether the others are to be told, for they think that the user
    /// is not there.
    fn arrive<'a>(&'a self, room: &'a Channel, user: &'a str) -> BoxFuture<'a, bool> {
        let _ = (room, user);
        ready(true).boxed()
    }

    /// A user's client has gone from a room that is watched; it may have others there. Clients that a dead instance had in it
    /// have gone too, without this call.
    fn depart<'a>(&'a self, room: &'a Channel, user: &'a str) -> BoxFuture<'a, ()> {
        let _ = (room, user);
        ready(()).boxed()
    }

    /// Takes the departures whose time has come: each is given to one instance, which tells of it. Among them may be users who
    /// came a while ago, so that nobody is taken to be there for ever who is not: whoever is found to be there
    /// [stays](Departing::stay), and whoever cannot be looked for [arrives](Departing::arrive) once more.
    fn take(&self) -> BoxFuture<'_, Vec<(Channel, String)>> {
        ready(Vec::new()).boxed()
    }

    /// A departure that was taken is not told, for the user has another client in the room.
    fn stay<'a>(&'a self, room: &'a Channel, user: &'a str) -> BoxFuture<'a, ()> {
        let _ = (room, user);
        ready(()).boxed()
    }

    /// When each of these users last went from a room that is watched and has not come again, in their order, in milliseconds since 1970; nothing of
    /// those of whom it is not known, or not any more ([`KEPT_FOR`]).
    fn last_seen<'a>(
        &'a self,
        room: &'a Channel,
        users: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<u64>>, Unavailable>> {
        let _ = (room, users);
        ready(Err(Unavailable::Refused)).boxed()
    }
}

/// Keeps nothing.
pub(super) struct Untold;

impl Departing for Untold {}

/// Departures in the memory of this process. All times are in milliseconds since 1970.
#[derive(Default)]
pub struct Departures(Mutex<HashMap<Channel, Room>>);

/// What is known of one room.
#[derive(Default)]
struct Room {
    /// When the others are to be told that a user has gone; nothing while it is there.
    due: HashMap<Arc<str>, Option<u64>>,
    /// When a user was last seen going.
    seen: HashMap<Arc<str>, u64>,
    /// The same by time.
    by_time: BTreeSet<(u64, Arc<str>)>,
}

/// A user of a room, and when the others are to be told of its departure; nothing while it is there.
pub type State = (Channel, String, Option<u64>);

impl Departures {
    /// A user has come: whether the others are to be told, for they think that it is not there.
    pub fn arrive(&self, room: &Channel, user: &str) -> bool {
        let mut rooms = self.0.lock();
        let room = rooms.entry(room.clone()).or_default();
        if let Some((user, seen)) = room.seen.remove_entry(user) {
            room.by_time.remove(&(seen, user));
        }
        room.due.insert(user.into(), None).is_none()
    }

    /// A user has gone who was seen at `seen`; others are to be told at `due`.
    pub fn depart(&self, room: &Channel, user: &str, seen: u64, due: u64) {
        let user: Arc<str> = user.into();
        let mut rooms = self.0.lock();
        let room = rooms.entry(room.clone()).or_default();
        if let Some(before) = room.seen.insert(user.clone(), seen) {
            room.by_time.remove(&(before, user.clone()));
        }
        room.by_time.insert((seen, user.clone()));
        room.due.insert(user, Some(due));
        let too_old = seen.saturating_sub(KEPT_FOR.as_millis() as u64);
        while room.by_time.len() > KEPT || room.by_time.first().is_some_and(|(seen, _)| *seen < too_old) {
            let Some((_, user)) = room.by_time.pop_first() else { break };
            room.seen.remove(&user);
            if room.due.get(&user).is_some_and(Option::is_some) {
                room.due.remove(&user);
            }
        }
    }

    /// Takes the departures that are to be told by now.
    pub fn take(&self, now: u64) -> Vec<(Channel, String)> {
        let mut taken = Vec::new();
        for (channel, room) in self.0.lock().iter_mut() {
            let is_due = |due: &Option<u64>| due.is_some_and(|due| due <= now);
            taken.extend(
                room.due
                    .extract_if(|_, due| is_due(due))
                    .map(|(user, _)| (channel.clone(), user.to_string())),
            );
        }
        taken
    }

    /// A departure that was taken was none: the user has another client there. Whatever has come of it since then stays.
    pub fn stay(&self, room: &Channel, user: &str) {
        self.0.lock().entry(room.clone()).or_default().due.entry(user.into()).or_insert(None);
    }

    /// When each of these users was last seen going; nothing of those that are not known.
    pub fn last_seen(&self, room: &Channel, users: &[String]) -> Vec<Option<u64>> {
        let rooms = self.0.lock();
        let room = rooms.get(room);
        users.iter().map(|user| room.and_then(|room| room.seen.get(&**user).copied())).collect()
    }

    /// Takes everything that is known: of each user its state, and when it was last seen going.
    pub fn take_all(&self) -> Vec<(State, Option<u64>)> {
        let rooms = std::mem::take(&mut *self.0.lock());
        let states = rooms.into_iter().flat_map(|(channel, room)| {
            let Room { due, seen, .. } = room;
            due.into_iter().map(move |(user, due)| {
                let seen = seen.get(&user).copied();
                ((channel.clone(), user.to_string(), due), seen)
            })
        });
        states.collect()
    }
}

/// The user in the description of a client; nothing for an anonymous one.
pub fn user_of(info: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Described {
        #[serde(default)]
        user: String,
    }
    let described: Described = serde_json::from_slice(info).ok()?;
    Some(described.user).filter(|user| !user.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> Channel {
        Channel::trusted("online")
    }

    #[test]
    fn a_departure_is_told_when_its_time_has_come_and_by_one_only() {
        let departures = Departures::default();
        assert!(departures.arrive(&room(), "ann"));
        assert!(!departures.arrive(&room(), "ann"));
        departures.depart(&room(), "ann", 10, 15);
        departures.depart(&room(), "bob", 10, 20);
        assert_eq!(departures.take(14), []);
        assert_eq!(departures.take(15), [(room(), "ann".to_owned())]);
        assert_eq!(departures.take(15), []);
        assert!(departures.arrive(&room(), "ann"), "the others think that she is not there");
    }

    #[test]
    fn whoever_comes_back_in_time_was_never_away() {
        let departures = Departures::default();
        departures.arrive(&room(), "ann");
        departures.depart(&room(), "ann", 10, 15);
        assert!(!departures.arrive(&room(), "ann"));
        assert_eq!(departures.take(1000), []);
    }

    #[test]
    fn whoever_has_another_client_stays_but_not_if_it_has_gone_meanwhile() {
        let departures = Departures::default();
        departures.depart(&room(), "ann", 10, 15);
        assert_eq!(departures.take(15).len(), 1);
        departures.stay(&room(), "ann");
        assert!(!departures.arrive(&room(), "ann"));
        departures.depart(&room(), "ann", 16, 20);
        departures.stay(&room(), "ann");
        assert_eq!(departures.take(20).len(), 1);
    }

    #[test]
    fn whoever_goes_again_is_told_later_and_was_seen_later() {
        let departures = Departures::default();
        departures.depart(&room(), "ann", 10, 15);
        departures.depart(&room(), "ann", 12, 17);
        assert_eq!(departures.take(16), []);
        let users = ["ann".to_owned(), "nobody".to_owned()];
        assert_eq!(departures.last_seen(&room(), &users), [Some(12), None]);
        assert_eq!(departures.last_seen(&Channel::trusted("other"), &users), [None, None]);
        assert_eq!(departures.take_all(), [((room(), "ann".to_owned(), Some(17)), Some(12))]);
        assert_eq!(departures.take_all(), []);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_ends() {
        let departures = Departures::default();
        for number in 0..KEPT as u64 + 10 {
            departures.depart(&room(), &number.to_string(), number, number);
        }
        let kept = departures.0.lock()[&room()].seen.len();
        assert_eq!(kept, KEPT);
        let seen = |users: [&str; 2]| departures.last_seen(&room(), &users.map(str::to_owned));
        assert_eq!(seen(["9", "10"]), [None, Some(10)]);
        let later = KEPT_FOR.as_millis() as u64 + 50_000;
        departures.depart(&room(), "ann", later, later);
        assert_eq!(seen(["49999", "50000"]), [None, Some(50_000)]);
    }

    #[test]
    fn a_client_is_described_with_its_user() {
        assert_eq!(user_of(br#"{"user":"a\"b","client":"x"}"#), Some("a\"b".to_owned()));
        assert_eq!(user_of(br#"{"user":"","client":"x"}"#), None);
        assert_eq!(user_of(b"{}"), None);
        assert_eq!(user_of(b"["), None);
    }
}
