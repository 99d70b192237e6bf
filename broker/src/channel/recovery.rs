//! A client that enters a channel with history: where it stands there, and what it has missed.

use std::sync::{Arc, Weak};

use super::{
    Topic,
    stream::{Flow, Following},
    topic::{Step, Waiting},
};
use crate::{
    backplane::{Filter, Kept, Past, Position, StreamEpoch, Unavailable},
    endpoint::Gateway,
};

/// How often the stream is read for a client before it is told that it cannot be given what it has missed: each time
/// so much was published meanwhile that not all of it could be remembered.
const TRIES: usize = 5;

/// What a publication costs in a reply beside what was published, in bytes.
const FRAME: usize = 64;

/// A client on its way into a channel with history.
pub struct Joining {
    /// What reads the stream, and ends subscriptions.
    pub gateway: Weak<Gateway>,
    /// Whether subscriptions of the channel recover.
    pub recoverable: bool,
    /// What the client wants to be given, if it does.
    pub recover: Option<Recover>,
}

/// Where a client stood in a stream. The epoch is missing when what it says can be none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    /// The number of the last message that it has got.
    pub offset: u64,
    /// Which life of the stream.
    pub epoch: Option<StreamEpoch>,
}

impl Since {
    /// As a client writes it.
    pub fn new(offset: u64, epoch: &str) -> Self {
        Self { offset, epoch: StreamEpoch::parse(epoch) }
    }
}

/// What a client wants to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recover {
    /// All that came after this,
    pub since: Since,
    /// unless it is more than so many bytes.
    pub room: usize,
}

/// Where a client stands in a channel's stream as it enters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// Nobody knows: the backplane is away.
    Unpositioned,
    /// It gets all that comes after this.
    At {
        /// The place in the stream.
        position: Position,
        /// Whether it may come back to it.
        recoverable: bool,
        /// What it was given of what it has missed.
        recovery: Recovery,
    },
}

impl Arrival {
    /// The place in the stream, if it is known.
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::Unpositioned => None,
            Self::At { position, .. } => Some(*position),
        }
    }
}

/// What a client was given of what it has missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery {
    /// It has not asked.
    NotAsked,
    /// Not all of it is there any more, or it stood in another stream.
    Lost,
    /// All of it.
    Done(Vec<Kept>),
}

/// What stands against a client's entering at once.
pub(super) enum Instead {
    /// The stream has to be read.
    Read,
    /// It cannot be.
    Refuse,
}

impl Flow {
    /// Where a client stands that enters now.
    pub(super) fn arrive(&mut self, joining: &Joining) -> Result<Arrival, Instead> {
        let recover = joining.recover.filter(|_| joining.recoverable);
        let Some(at) = self.at else {
            self.unsure |= recover.is_none();
            return recover.map_or(Ok(Arrival::Unpositioned), |_| Err(Instead::Refuse));
        };
        let recovery = match recover {
            None => Recovery::NotAsked,
            Some(Recover { since, .. }) if since.epoch == Some(at.epoch) && since.offset == at.offset => {
                Recovery::Done(Vec::new())
            }
            Some(_) => return Err(Instead::Read),
        };
        Ok(Arrival::At { position: at, recoverable: joining.recoverable, recovery })
    }

    /// What lies between a client's position and the flow's, which is not before the end of what was read: of that, and
    /// of what was delivered since. `None` when that could not all be remembered.
    fn missed(&self, since: Since, past: &Past, room: usize) -> Option<Recovery> {
        let Some(at) = self.at.filter(|at| Some(at.epoch) == since.epoch) else {
            return Some(Recovery::Lost);
        };
        if since.offset > at.offset {
            return Some(Recovery::Lost);
        }
        let since_read = self.recent.publications.iter().map(|(_, kept)| kept);
        let all = past.publications.iter().chain(since_read.filter(|kept| kept.offset > past.top.offset));
        let (mut missed, mut last, mut bytes) = (Vec::new(), since.offset, 0);
        for kept in all.filter(|kept| kept.offset > since.offset && kept.offset <= at.offset) {
            if kept.offset != last + 1 {
                break;
            }
            last = kept.offset;
            bytes += kept.len() + FRAME;
            missed.push(kept.clone());
        }
        match last {
            _ if bytes > room => Some(Recovery::Lost),
            last if last == at.offset => Some(Recovery::Done(missed)),
            last if last < past.top.offset => Some(Recovery::Lost),
            _ => None,
        }
    }
}

/// How a client's reading ended.
enum Arrived {
    In(Step),
    Again(Waiting),
    /// The topic is closed to it: another one is to be asked.
    Elsewhere(Waiting),
}

impl Topic {
    /// Reads for a client what it has missed, and lets it in.
    pub(super) async fn recover(self: Arc<Self>, mut waiting: Waiting) {
        let Some(stream) = &self.stream else { return };
        for tries_left in (0..TRIES).rev() {
            let joining = waiting.confirm.stream.as_ref();
            let wanted = joining.and_then(|joining| joining.recover);
            let (Some(gateway), Some(Recover { since, room })) = (stream.gateway.upgrade(), wanted) else {
                break;
            };
            let at = stream.lock().at;
            // From where the topic stands too, so that it can be brought up to a client that is ahead of it.
            let from = at.map_or(0, |at| match since.epoch == Some(at.epoch) {
                true => since.offset.min(at.offset),
                false => at.offset,
            });
            let past = {
                let _turn = gateway.hub.channels.reading.acquire().await;
                gateway.backplane.history(&self.channel, Filter::after(from)).await
            };
            let past = match past {
                Ok(past) => past,
                Err(why) => {
                    stream.lock().read_ends();
                    return waiting.give_up(&self.channel, why);
                }
            };
            match self.arrive_with(&gateway, waiting, (since, room), &past, tries_left == 0) {
                Arrived::In(step) => return self.follow(step),
                Arrived::Again(again) => waiting = again,
                Arrived::Elsewhere(waiting) => {
                    return gateway.hub.channels.admit(&self.channel, waiting, &*gateway.backplane);
                }
            }
        }
        stream.lock().read_ends();
        waiting.give_up(&self.channel, Unavailable::Closed);
    }

    fn arrive_with(
        self: &Arc<Self>,
        gateway: &Gateway,
        waiting: Waiting,
        (since, room): (Since, usize),
        past: &Past,
        is_last_try: bool,
    ) -> Arrived {
        let Some(stream) = &self.stream else { return Arrived::Elsewhere(waiting) };
        let mut flow = stream.lock();
        let at = flow.at.filter(|_| flow.phase != Following::Broken);
        let Some(at) = at.filter(|at| at.epoch == past.top.epoch) else {
            flow.read_ends();
            let is_news = flow.phase != Following::Broken;
            flow.phase = Following::Broken;
            drop(flow);
            if is_news {
                self.give_up();
            }
            return Arrived::Elsewhere(waiting);
        };
        flow.advance(self, &gateway.hub, past);
        let recovery = match flow.missed(since, past, room) {
            Some(recovery) => recovery,
            None if is_last_try => Recovery::Lost,
            None => return Arrived::Again(waiting),
        };
        let position = flow.at.unwrap_or(at);
        flow.read_ends();
        let arrival = Arrival::At { position, recoverable: true, recovery };
        Arrived::In(self.enter_at(waiting, arrival))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backplane::Publication;

    fn kept(offsets: std::ops::RangeInclusive<u64>) -> Vec<Kept> {
        let publication = Publication { info: b"", tags: b"", data: b"1" };
        offsets.map(|offset| Kept::new(offset, &publication)).collect()
    }

    /// A flow that has delivered all up to `at`, and remembers `recent`.
    fn flow(epoch: StreamEpoch, at: u64, recent: std::ops::RangeInclusive<u64>) -> Flow {
        let mut flow = Flow::default();
        flow.at = Some(Position { offset: at, epoch });
        flow.recent.publications.extend(kept(recent).into_iter().map(|kept| (epoch, kept)));
        flow
    }

    #[test]
    fn what_was_read_and_what_was_delivered_since_are_joined_or_it_is_said_why_not() {
        let epoch = StreamEpoch::generate();
        let past = |top, read| Past { top: Position { offset: top, epoch }, publications: kept(read) };
        #[expect(clippy::reversed_empty_ranges, reason = "nothing")]
        let none = 1..=0;
        let done = |offsets| Some(Recovery::Done(kept(offsets)));
        for (at, recent, since, top, read, expected) in [
            (5, none.clone(), 2, 5, 3..=5, done(3..=5)),
            // Some were delivered after the stream was read, and some before that too.
            (7, 5..=7, 2, 5, 3..=5, done(3..=7)),
            // The stream is ahead of what was delivered: the rest is delivered in its turn.
            (4, none.clone(), 2, 6, 3..=6, done(3..=4)),
            (7, none.clone(), 7, 7, none.clone(), done(none.clone())),
            // The stream does not reach back, or has nothing any more.
            (7, none.clone(), 2, 7, 5..=7, Some(Recovery::Lost)),
            (7, none.clone(), 2, 7, none.clone(), Some(Recovery::Lost)),
            // A position that is not there.
            (7, none.clone(), 9, 7, none.clone(), Some(Recovery::Lost)),
            // Too much was delivered meanwhile to be remembered.
            (9, 8..=9, 2, 5, 3..=5, None),
        ] {
            let since = Since { offset: since, epoch: Some(epoch) };
            let missed = flow(epoch, at, recent).missed(since, &past(top, read), 10_000);
            assert_eq!(missed, expected, "{at} {since:?}");
        }
        let flow = flow(epoch, 5, none);
        let since = Since { offset: 2, epoch: Some(epoch) };
        assert_eq!(flow.missed(since, &past(5, 3..=5), 3 * FRAME), Some(Recovery::Lost), "no room");
        for epoch in [None, Some(StreamEpoch::generate())] {
            let since = Since { offset: 5, epoch };
            assert_eq!(flow.missed(since, &past(5, 3..=5), 10_000), Some(Recovery::Lost));
        }
    }

    #[test]
    fn who_has_missed_nothing_is_let_in_at_once() {
        let epoch = StreamEpoch::generate();
        let joining = |offset: Option<u64>, recoverable| Joining {
            gateway: Weak::new(),
            recoverable,
            recover: offset.map(|offset| Recover { since: Since { offset, epoch: Some(epoch) }, room: 1000 }),
        };
        #[expect(clippy::reversed_empty_ranges, reason = "nothing")]
        let mut here = flow(epoch, 5, 1..=0);
        let position = Position { offset: 5, epoch };
        for (offset, recoverable, recovery) in [
            (None, true, Some(Recovery::NotAsked)),
            (Some(5), true, Some(Recovery::Done(Vec::new()))),
            (Some(4), true, None),
            (Some(4), false, Some(Recovery::NotAsked)),
        ] {
            let expected = recovery.map(|recovery| Arrival::At { position, recoverable, recovery });
            assert_eq!(here.arrive(&joining(offset, recoverable)).ok(), expected, "{offset:?}");
        }
        assert!(!here.unsure);
        let mut nowhere = Flow::default();
        assert!(matches!(nowhere.arrive(&joining(Some(5), true)), Err(Instead::Refuse)));
        assert!(!nowhere.unsure);
        assert_eq!(nowhere.arrive(&joining(None, true)).ok(), Some(Arrival::Unpositioned));
        assert!(nowhere.unsure, "whoever is let in like that is told when the position is known");
    }
}
