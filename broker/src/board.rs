//! What one instance knows of one board: its own members, those of the others, and what is still to be told.
//!
//! Values in, values out: no clock, no lock, no I/O. Times are microseconds from any fixed moment on.

use std::collections::BTreeMap;

use slab::Slab;

use crate::{
    codec::presence::{
        Colour, Described, Event, Member, Origin, Point, Roster, ToClient, Welcome, What, write_news,
    },
    message::ClientId,
};

#[cfg(test)]
mod tests;

/// One board as this instance knows it.
pub struct Board {
    origin: Origin,
    /// Microseconds between two movements of one member that are told.
    pace: u64,
    /// The members of this instance, by their numbers.
    seats: Slab<Seat>,
    others: BTreeMap<Origin, Others>,
    /// Numbers of members that have something to be told, each once.
    waiting: Vec<u32>,
    /// Numbers that are free again after the next tick: before, something of theirs may be under way.
    free: Vec<u32>,
    asks: bool,
    tells: bool,
}

/// How a member is described.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// The user; empty when nobody has said it.
    pub user: Box<str>,
    /// What it is called.
    pub name: Box<str>,
    /// The colour of its cursor.
    pub colour: Colour,
}

/// A member, of this instance or of another.
#[derive(Default)]
struct Shown {
    about: About,
    cursor: Option<Point>,
    selection: Box<str>,
}

/// A member of this instance.
struct Seat {
    client: ClientId,
    shown: Shown,
    phase: Phase,
    /// What is to be told: a cursor, a selection; and whether it is noted that there is something.
    cursor_waits: bool,
    selection_waits: bool,
    listed: bool,
    /// Before this its movements wait.
    due: u64,
    /// When it did something last.
    active: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The channel has not let it in.
    Asked,
    /// It is on the board.
    Here,
    /// It has left, and everybody was told.
    Left,
    /// Its connection is done with it.
    Released { told: bool },
}

#[derive(Default)]
struct Others {
    members: BTreeMap<u32, Shown>,
    /// It has not said who it has since that came into doubt.
    doubted: bool,
}

/// What goes out at a tick.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tick {
    /// The other instances are to be asked whom they have.
    pub ask: bool,
    /// They are to be told whom this one has; empty when not.
    pub roster: Vec<u8>,
    /// What this instance's members have done, for everybody; empty when nothing.
    pub news: Vec<u8>,
    /// Movements in the news.
    pub moved: u64,
    /// Something waits for a later tick.
    pub again: bool,
}

impl Shown {
    fn of(member: &Member<'_>) -> Self {
        let about = About { user: member.user.into(), name: member.name.into(), colour: member.colour };
        Self { about, cursor: member.cursor, selection: member.selection.into() }
    }

    fn member(&self, number: u32) -> Member<'_> {
        let About { user, name, colour } = &self.about;
        Member { number, user, name, colour: *colour, cursor: self.cursor, selection: &self.selection }
    }
}

impl Board {
    /// A board that nobody is on. Each member's movements are told so many times a second at most.
    pub fn new(origin: Origin, rate: u32) -> Self {
        Self {
            origin,
            pace: 1_000_000 / u64::from(rate.max(1)),
            seats: Slab::new(),
            others: BTreeMap::new(),
            waiting: Vec::new(),
            free: Vec::new(),
            asks: false,
            tells: false,
        }
    }

    /// A number for a client that wants to be on the board.
    pub fn reserve(&mut self, client: ClientId, about: About, now: u64) -> u32 {
        let seat = Seat {
            client,
            shown: Shown { about, ..Shown::default() },
            phase: Phase::Asked,
            cursor_waits: false,
            selection_waits: false,
            listed: false,
            due: 0,
            active: now,
        };
        self.seats.insert(seat) as u32
    }

    /// The channel has let the client in; whether it still wants that. The first one has the others asked.
    pub fn enter(&mut self, number: u32, client: ClientId) -> bool {
        let is_first = !self.seats.iter().any(|(_, seat)| seat.phase == Phase::Here);
        let Some(seat) = self.seat(number, client).filter(|seat| seat.phase == Phase::Asked) else {
            return false;
        };
        seat.phase = Phase::Here;
        self.asks |= is_first;
        true
    }

    /// The client's connection is done with its number, which is free after the next tick; whether it had it still.
    pub fn release(&mut self, number: u32, client: ClientId) -> bool {
        let Some(seat) = self.seat(number, client) else { return false };
        let told = seat.phase != Phase::Here;
        seat.phase = Phase::Released { told };
        self.free.push(number);
        true
    }

    /// Whether the client is on the board.
    pub fn is_here(&self, number: u32, client: ClientId) -> bool {
        let seat = self.seats.get(number as usize);
        seat.is_some_and(|seat| seat.client == client && seat.phase == Phase::Here)
    }

    /// Whether the client has a number, on the board or on its way there.
    pub fn is_seated(&self, number: u32, client: ClientId) -> bool {
        let seat = self.seats.get(number as usize).filter(|seat| seat.client == client);
        seat.is_some_and(|seat| matches!(seat.phase, Phase::Asked | Phase::Here))
    }

    /// When the client did something last, if it is on the board.
    pub fn active(&self, number: u32, client: ClientId) -> Option<u64> {
        self.is_here(number, client).then(|| self.seats[number as usize].active)
    }

    /// Nobody of this instance is on the board or wants to be.
    pub fn is_vacant(&self) -> bool {
        self.seats.len() == self.free.len()
    }

    /// A client's cursor is here now; whether another place of it is forgotten for that, or nothing when the client is
    /// not on the board.
    pub fn moved(&mut self, number: u32, client: ClientId, place: Option<Point>, now: u64) -> Option<bool> {
        let seat = self.seat(number, client).filter(|seat| seat.phase == Phase::Here)?;
        seat.shown.cursor = place;
        seat.active = now;
        let merged = std::mem::replace(&mut seat.cursor_waits, true);
        self.list(number);
        Some(merged)
    }

    /// A client has selected something; whether it is on the board.
    pub fn selected(&mut self, number: u32, client: ClientId, selection: &str, now: u64) -> bool {
        let Some(seat) = self.seat(number, client).filter(|seat| seat.phase == Phase::Here) else {
            return false;
        };
        seat.shown.selection = selection.into();
        seat.active = now;
        seat.selection_waits = true;
        self.list(number);
        true
    }

    fn seat(&mut self, number: u32, client: ClientId) -> Option<&mut Seat> {
        let seat = self.seats.get_mut(number as usize)?;
        (seat.client == client && !matches!(seat.phase, Phase::Released { .. })).then_some(seat)
    }

    fn list(&mut self, number: u32) {
        if let Some(seat) = self.seats.get_mut(number as usize)
            && !std::mem::replace(&mut seat.listed, true)
        {
            self.waiting.push(number);
        }
    }

    /// What is to be told now.
    pub fn tick(&mut self, now: u64) -> Tick {
        let mut tick = Tick { ask: std::mem::take(&mut self.asks), ..Tick::default() };
        let due = |number: &u32| self.seats.get(*number as usize).is_some_and(|seat| seat.due <= now);
        let (going, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting).into_iter().partition(due);
        self.waiting = waiting;
        let events = going.iter().flat_map(|number| self.seats[*number as usize].events(*number));
        let gone = self
            .free
            .iter()
            .filter(|number| self.seats[**number as usize].phase == Phase::Released { told: false });
        let gone = gone.map(|number| Event { number: *number, what: What::Gone });
        let counted = events.inspect(|event| {
            tick.moved += u64::from(matches!(event.what, What::Moved(_) | What::Away));
        });
        write_news(self.origin, counted.chain(gone), &mut tick.news);
        for number in going {
            let seat = &mut self.seats[number as usize];
            (seat.cursor_waits, seat.selection_waits, seat.listed) = (false, false, false);
            // Ticks do not come when movements are due: one that came late does not put off the next.
            seat.due = seat.due.max(now.saturating_sub(self.pace)) + self.pace;
        }
        for number in std::mem::take(&mut self.free) {
            self.seats.remove(number as usize);
            self.waiting.retain(|waiting| *waiting != number);
        }
        if std::mem::take(&mut self.tells) {
            let roster = self.roster();
            if !roster.members.is_empty() {
                ToClient::Roster(roster).write(&mut tick.roster);
            }
        }
        tick.again = !self.waiting.is_empty();
        tick
    }

    /// The members of this instance.
    fn roster(&self) -> Roster<'_> {
        let here = self.seats.iter().filter(|(_, seat)| seat.phase == Phase::Here);
        let members = here.map(|(number, seat)| seat.shown.member(number as u32)).collect();
        Roster { origin: self.origin, members }
    }

    /// Appends what the member of this number is told first.
    pub fn welcome(&self, number: u32, instance: &str, (rate, every): (u32, u32), out: &mut Vec<u8>) {
        let others = self.others.iter().map(|(origin, others)| Roster {
            origin: *origin,
            members: others.members.iter().map(|(number, shown)| shown.member(*number)).collect(),
        });
        let rosters = std::iter::once(self.roster()).chain(others).collect();
        let welcome = Welcome { number, origin: self.origin, instance, rate, every, rosters };
        ToClient::Welcome(welcome).write(out);
    }

    /// The channel was told that a member joined.
    pub fn joined(&mut self, described: &Described<'_>) {
        let (origin, number) = (described.origin, described.number);
        if origin == self.origin {
            // This instance was taken for dead, and says that its members are here.
            if let Some(seat) = self.seats.get_mut(number as usize)
                && seat.phase == Phase::Left
            {
                seat.phase = Phase::Here;
            }
            return;
        }
        let others = self.others.entry(origin).or_default();
        let shown = others.members.entry(number).or_default();
        shown.about = Shown::of(&described.member()).about;
    }

    /// The channel was told that a member left.
    pub fn left(&mut self, origin: Origin, number: u32) {
        if origin == self.origin {
            if let Some(seat) = self.seats.get_mut(number as usize)
                && seat.phase == Phase::Here
            {
                seat.phase = Phase::Left;
            }
        } else if let Some(others) = self.others.get_mut(&origin) {
            others.members.remove(&number);
            if others.members.is_empty() {
                self.others.remove(&origin);
            }
        }
    }

    /// Another instance has told something; whether it could be read as something that instances tell.
    pub fn told(&mut self, message: &ToClient<'_>) -> bool {
        match message {
            ToClient::News(origin, events) if *origin != self.origin => {
                for Event { number, what } in events {
                    let others = self.others.get_mut(origin);
                    let shown = others.and_then(|others| others.members.get_mut(number));
                    match (what, shown) {
                        (What::Moved(place), Some(shown)) => shown.cursor = Some(*place),
                        (What::Away, Some(shown)) => shown.cursor = None,
                        (What::Selected(text), Some(shown)) => shown.selection = (*text).into(),
                        (What::Gone, Some(_)) => self.left(*origin, *number),
                        (_, None) => {}
                    }
                }
                true
            }
            ToClient::Roster(Roster { origin, members }) if *origin != self.origin => {
                let members: BTreeMap<_, _> =
                    members.iter().map(|member| (member.number, Shown::of(member))).collect();
                match members.is_empty() {
                    true => drop(self.others.remove(origin)),
                    false => drop(self.others.insert(*origin, Others { members, doubted: false })),
                }
                true
            }
            _ => false,
        }
    }

    /// Another instance has asked whom this one has.
    pub fn asked(&mut self) {
        self.tells = true;
    }

    /// Something may have been missed, here and elsewhere: all tell each other anew whom they have, and what others
    /// have told before is in doubt until then.
    pub fn doubt(&mut self) {
        (self.asks, self.tells) = (true, true);
        self.others.values_mut().for_each(|others| others.doubted = true);
    }

    /// Forgets the members of those that are still in doubt; which instances those were.
    pub fn forget_doubted(&mut self) -> Vec<Origin> {
        let doubted: Vec<_> =
            self.others.iter().filter(|(_, others)| others.doubted).map(|(origin, _)| *origin).collect();
        self.others.retain(|_, others| !others.doubted);
        doubted
    }
}

impl Seat {
    /// What is to be told of it.
    fn events(&self, number: u32) -> impl Iterator<Item = Event<'_>> {
        let is_here = self.phase == Phase::Here;
        let moved = self.shown.cursor.map_or(What::Away, What::Moved);
        let moved = (is_here && self.cursor_waits).then_some(moved);
        let selected = (is_here && self.selection_waits).then_some(What::Selected(&self.shown.selection));
        moved.into_iter().chain(selected).map(move |what| Event { number, what })
    }
}
