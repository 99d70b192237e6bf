//! A channel with history, as this instance follows its stream: everything is delivered once and in the stream's
//! order. A hole in what arrives is filled from the stream, or subscribers are told.
//!
//! | how it stands | what arrives |
//! | --- | --- |
//! | the position is not known: the backplane was away when the first subscriber came | is delivered as it comes, and begins the stream here |
//! | it is known | the next one is delivered; those that were are dropped; those that are too early wait while what lies between is read |
//!
//! The flow's lock is held while something is delivered and while a client enters, so that a client is told its
//! position before anything that comes after it.

use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};

use super::Topic;
use crate::{
    backplane::{Filter, Kept, Past, Position, Publication, StreamEpoch},
    codec::Push,
    endpoint::Gateway,
    hub::Hub,
    metrics::{Gap, Origin},
};

/// Bytes that may wait for what lies before them, and bytes that are remembered while clients read the stream. What
/// does not fit is read from the stream again.
const KEPT_BYTES: usize = 4 * 1024 * 1024;

/// The pauses between attempts to read a stream that cannot be read.
const PAUSES: std::ops::Range<Duration> = Duration::from_millis(50)..Duration::from_secs(2);

/// How an instance follows a stream.
pub(super) struct Stream {
    pub(super) gateway: Weak<Gateway>,
    flow: Mutex<Flow>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Flow {
    /// Everything up to here was delivered.
    pub(super) at: Option<Position>,
    pub(super) phase: Following,
    /// Whether somebody was let in without a position.
    pub(super) unsure: bool,
    /// What came too early, and waits.
    ahead: Run,
    /// Clients that read the stream to know what they have missed.
    pub(super) readers: usize,
    /// What was delivered while they do.
    pub(super) recent: Run,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Following {
    #[default]
    Steady,
    /// The stream is being read.
    Filling,
    /// Something is missing for good: nothing more is delivered here, and subscribers are sent away.
    Broken,
}

/// Publications that are kept for a moment.
#[derive(Default)]
pub(super) struct Run {
    pub(super) publications: VecDeque<(StreamEpoch, Kept)>,
    bytes: usize,
    /// Whether some of them had no room.
    overrun: bool,
}

impl Run {
    fn push(&mut self, epoch: StreamEpoch, kept: Kept) {
        self.bytes += kept.len();
        self.publications.push_back((epoch, kept));
        if self.bytes > KEPT_BYTES {
            *self = Self { overrun: true, ..Self::default() };
        }
    }
}

/// What is to be done after the stream was read.
enum Filled {
    Done,
    Again,
    Broken,
}

impl Stream {
    pub(super) fn new(gateway: Weak<Gateway>) -> Self {
        Self { gateway, flow: Mutex::default() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Flow> {
        self.flow.lock()
    }
}

impl Flow {
    /// A client that has read the stream needs nothing of it any more.
    pub(super) fn read_ends(&mut self) {
        self.readers -= 1;
        if self.readers == 0 {
            self.recent = Run::default();
        }
    }

    /// Delivers these, of which the first has the number that comes next.
    fn deliver<'a>(
        &mut self,
        topic: &Topic,
        hub: &Hub,
        first: Position,
        publications: impl Iterator<Item = Publication<'a>> + Clone,
        origin: Origin,
    ) {
        let numbered = (first.offset..).zip(publications);
        let push = |(offset, publication)| Push::Publication(&topic.channel, publication, Some(offset));
        hub.fan_out(topic, numbered.clone().map(push), origin);
        let mut last = first.offset - 1;
        for (offset, publication) in numbered {
            last = offset;
            if self.readers > 0 {
                self.recent.push(first.epoch, Kept::new(offset, &publication));
            }
        }
        self.at = Some(Position { offset: last, ..first });
    }

    /// Delivers what was read of the stream and was not delivered before; whether it joins on to what was.
    pub(super) fn advance(&mut self, topic: &Topic, hub: &Hub, past: &Past) -> bool {
        let Some(at) = self.at else { return false };
        let new = past.publications.iter().skip_while(|kept| kept.offset <= at.offset);
        match new.clone().next() {
            None => past.top.offset <= at.offset,
            Some(first) if first.offset == at.offset + 1 => {
                let first = Position { offset: first.offset, ..at };
                self.deliver(topic, hub, first, new.map(Kept::publication), Origin::Remote);
                true
            }
            Some(_) => false,
        }
    }

    /// The stream was read behind `after`.
    fn filled(&mut self, topic: &Topic, hub: &Hub, after: Option<u64>, past: &Past) -> Filled {
        if self.phase == Following::Broken {
            return Filled::Done;
        }
        let Some(at) = self.at else {
            self.at = Some(past.top);
            return self.settle(topic, hub);
        };
        // Shorter than it was: a server that has lost what it had last taken.
        let has_shrunk = after.is_some_and(|after| past.top.offset < after);
        if past.top.epoch != at.epoch || has_shrunk {
            return Filled::Broken;
        }
        if after.is_some() {
            if !self.advance(topic, hub, past) {
                return Filled::Broken;
            }
            if self.at != Some(at) {
                hub.metrics.history.gaps.inc(Gap::Filled);
            }
        }
        self.settle(topic, hub)
    }

    /// Delivers what has waited.
    fn settle(&mut self, topic: &Topic, hub: &Hub) -> Filled {
        // Whoever came without a position cannot know what passed by since.
        if self.unsure {
            return Filled::Broken;
        }
        let Run { publications, overrun, .. } = std::mem::take(&mut self.ahead);
        let mut waiting = publications.into_iter();
        while let Some((epoch, kept)) = waiting.next() {
            let Some(at) = self.at else { break };
            if epoch != at.epoch {
                return Filled::Broken;
            }
            if kept.offset > at.offset + 1 {
                self.ahead.push(epoch, kept);
                waiting.for_each(|(epoch, kept)| self.ahead.push(epoch, kept));
                return Filled::Again;
            }
            if kept.offset > at.offset {
                let first = Position { offset: kept.offset, epoch };
                self.deliver(topic, hub, first, std::iter::once(kept.publication()), Origin::Remote);
            }
        }
        if overrun {
            return Filled::Again;
        }
        self.phase = Following::Steady;
        Filled::Done
    }
}

impl Topic {
    /// Takes publications of the channel's stream, of which the first has this place.
    pub(crate) fn receive<'a>(
        self: &Arc<Self>,
        hub: &Hub,
        first: Position,
        publications: impl Iterator<Item = Publication<'a>> + Clone,
        origin: Origin,
    ) {
        let Some(stream) = &self.stream else {
            // Another instance is configured to keep what this one does not.
            let push = |publication| Push::Publication(&self.channel, publication, None);
            hub.fan_out(self, publications.map(push), origin);
            return;
        };
        let count = publications.clone().count() as u64;
        let Some(last) = first.offset.checked_add(count).filter(|_| count > 0 && first.offset > 0) else {
            return;
        };
        let last = last - 1;
        let mut flow = stream.lock();
        let next = match flow.at {
            _ if flow.phase == Following::Broken => return,
            None => first.offset,
            Some(at) if at.epoch != first.epoch => {
                flow.phase = Following::Broken;
                drop(flow);
                return self.give_up();
            }
            Some(at) if last <= at.offset => return,
            Some(at) => at.offset + 1,
        };
        if first.offset <= next {
            let known = (next - first.offset) as usize;
            let first = Position { offset: next, ..first };
            return flow.deliver(self, hub, first, publications.skip(known), origin);
        }
        for (offset, publication) in (first.offset..).zip(publications) {
            flow.ahead.push(first.epoch, Kept::new(offset, &publication));
        }
        drop(flow);
        self.catch_up();
    }

    /// Reads what may be missing, unless that is being done.
    pub(crate) fn catch_up(self: &Arc<Self>) {
        let Some(stream) = &self.stream else { return };
        let mut flow = stream.lock();
        if flow.phase == Following::Steady {
            flow.phase = Following::Filling;
            tokio::spawn(self.clone().fill(false));
        }
    }

    /// The backplane listens to the channel, or cannot. With history, the position is read before anybody is let in.
    pub(super) fn listens(self: &Arc<Self>, outcome: Result<(), crate::backplane::Unavailable>) {
        match (&self.stream, outcome) {
            (Some(stream), Ok(())) => {
                let mut flow = stream.lock();
                if flow.phase != Following::Broken {
                    flow.phase = Following::Filling;
                }
                tokio::spawn(self.clone().fill(true));
            }
            _ => self.confirmed(outcome),
        }
    }

    /// Reads the stream until nothing is missing. Whoever waits for the topic to open, when it is `opening`, is let in
    /// after the first attempt, however that ends.
    async fn fill(self: Arc<Self>, mut opening: bool) {
        let mut pause = PAUSES.start;
        while let Some(stream) = self.stream.as_ref().filter(|_| !self.is_closed()) {
            let Some(gateway) = stream.gateway.upgrade() else { break };
            let after = stream.lock().at.map(|at| at.offset);
            let past = {
                let _turn = gateway.hub.channels.reading.acquire().await;
                let filter = after.map_or(Filter::POSITION, Filter::after);
                gateway.backplane.history(&self.channel, filter).await
            };
            let filled =
                past.as_ref().ok().map(|past| stream.lock().filled(&self, &gateway.hub, after, past));
            if matches!(filled, Some(Filled::Broken)) {
                stream.lock().phase = Following::Broken;
                return self.give_up();
            }
            if std::mem::take(&mut opening) {
                self.confirmed(Ok(()));
            }
            match filled {
                Some(Filled::Done) => return,
                Some(Filled::Again | Filled::Broken) => {}
                None => {
                    drop(gateway);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.end);
                }
            }
        }
        if opening {
            self.confirmed(Err(crate::backplane::Unavailable::Closed));
        }
    }

    /// Sends the subscribers away: they have missed what cannot be made up for here.
    pub(super) fn give_up(self: &Arc<Self>) {
        let gateway = self.stream.as_ref().and_then(|stream| stream.gateway.upgrade());
        if let Some(gateway) = gateway {
            gateway.insufficient(self);
        }
    }
}
