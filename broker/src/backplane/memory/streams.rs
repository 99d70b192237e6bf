//! The streams of channels with history, as long as the process lives.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::{
    backplane::{Filter, Keep, Kept, Past, Position, Publication, StreamEpoch},
    message::Channel,
};

/// All streams. What has run out is removed when something is published or read.
#[derive(Default)]
pub(super) struct Streams(Mutex<Index>);

#[derive(Default)]
struct Index {
    streams: HashMap<Channel, Entry>,
    /// When each is to be looked at, for something of it may have run out.
    due: BTreeSet<(Instant, Channel)>,
}

struct Entry {
    stream: Arc<Mutex<Stream>>,
    due: Instant,
}

/// One channel's.
pub(super) struct Stream {
    top: Position,
    kept: VecDeque<Kept>,
    /// When what is kept runs out.
    until: Instant,
    /// When the position does.
    end: Instant,
    /// Whether it was removed since it was looked up.
    forgotten: bool,
}

impl Streams {
    /// The channel's stream, to do something under its lock; it begins here if there is none. What is appended is kept
    /// for `ttl`.
    pub(super) fn with<T>(
        &self,
        channel: &Channel,
        ttl: Option<Duration>,
        then: impl FnOnce(&mut Stream) -> T,
    ) -> T {
        loop {
            let stream = self.0.lock().open(channel, ttl);
            let mut stream = stream.lock();
            if !stream.forgotten {
                return then(&mut stream);
            }
        }
    }
}

impl Index {
    fn open(&mut self, channel: &Channel, ttl: Option<Duration>) -> Arc<Mutex<Stream>> {
        let now = Instant::now();
        while self.due.first().is_some_and(|(due, _)| *due <= now) {
            let Some((_, channel)) = self.due.pop_first() else { break };
            self.look_at(channel, now);
        }
        let end = now + Keep::POSITION;
        let entry = self.streams.entry(channel.clone()).or_insert_with(|| {
            self.due.insert((end, channel.clone()));
            let top = Position { offset: 0, epoch: StreamEpoch::generate() };
            let stream = Stream { top, kept: VecDeque::new(), until: now, end, forgotten: false };
            Entry { stream: Arc::new(Mutex::new(stream)), due: end }
        });
        if let Some(until) = ttl.map(|ttl| now + ttl)
            && until < entry.due
        {
            self.due.remove(&(entry.due, channel.clone()));
            self.due.insert((until, channel.clone()));
            entry.due = until;
        }
        entry.stream.clone()
    }

    /// The time of a stream has come: what has run out is given back, and the rest is looked at again.
    fn look_at(&mut self, channel: Channel, now: Instant) {
        let Some(entry) = self.streams.get_mut(&channel) else { return };
        // Whoever holds it uses it now, and it has time.
        entry.due = match entry.stream.try_lock() {
            None => now + Duration::from_secs(1),
            Some(mut stream) => {
                if stream.until <= now {
                    stream.kept = VecDeque::new();
                }
                stream.forgotten = stream.end <= now;
                if stream.until > now { stream.until } else { stream.end }
            }
        };
        if entry.due > now {
            self.due.insert((entry.due, channel));
        } else {
            self.streams.remove(&channel);
        }
    }
}

impl Stream {
    /// Appends a publication; its place.
    pub(super) fn append(&mut self, publication: &Publication<'_>, keep: Keep) -> Position {
        self.expire();
        self.top.offset += 1;
        self.kept.push_back(Kept::new(self.top.offset, publication));
        while self.kept.len() > keep.size() as usize {
            self.kept.pop_front();
        }
        self.until = Instant::now() + keep.ttl();
        self.top
    }

    /// Reads from it.
    pub(super) fn read(&mut self, filter: Filter) -> Past {
        self.expire();
        let limit = filter.limit.unwrap_or(usize::MAX);
        let is_asked = |kept: &&Kept| match filter.since {
            None => true,
            Some(since) if filter.reverse => kept.offset < since,
            Some(since) => kept.offset > since,
        };
        let asked = self.kept.iter().filter(is_asked);
        let publications = match filter.reverse {
            true => asked.rev().take(limit).cloned().collect(),
            false => asked.take(limit).cloned().collect(),
        };
        Past { top: self.top, publications }
    }

    /// Forgets what is kept, and not where it ends.
    pub(super) fn clear(&mut self) {
        self.kept.clear();
    }

    fn expire(&mut self) {
        let now = Instant::now();
        if self.until <= now {
            self.kept.clear();
        }
        self.end = now + Keep::POSITION;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publication(data: &str) -> Publication<'_> {
        Publication { info: b"", tags: b"", data: data.as_bytes() }
    }

    fn offsets(past: &Past) -> Vec<u64> {
        past.publications.iter().map(|kept| kept.offset).collect()
    }

    #[test]
    fn the_last_ones_are_kept_and_read_from_either_end() {
        let (streams, channel) = (Streams::default(), Channel::trusted("news"));
        let keep = Keep::new(3, Duration::from_secs(60)).unwrap();
        let top = (0..5)
            .map(|_| {
                streams.with(&channel, Some(keep.ttl()), |stream| stream.append(&publication("1"), keep))
            })
            .last();
        let read = |since, limit, reverse| {
            let past = streams.with(&channel, None, |stream| stream.read(Filter { since, limit, reverse }));
            assert_eq!(Some(past.top), top);
            offsets(&past)
        };
        assert_eq!(read(None, None, false), [3, 4, 5]);
        assert_eq!(read(None, Some(2), false), [3, 4]);
        assert_eq!(read(None, Some(2), true), [5, 4]);
        assert_eq!(read(Some(3), None, false), [4, 5]);
        assert_eq!(read(Some(4), None, true), [3]);
        assert!(read(None, Some(0), false).is_empty());
        streams.with(&channel, None, Stream::clear);
        assert!(read(None, None, false).is_empty(), "the position stays");
    }

    #[test]
    fn what_has_run_out_is_gone_and_the_position_outlives_it() {
        let (streams, channel) = (Streams::default(), Channel::trusted("news"));
        let keep = Keep::new(3, Duration::from_secs(60)).unwrap();
        let top = streams.with(&channel, Some(keep.ttl()), |stream| stream.append(&publication("1"), keep));
        streams.with(&channel, None, |stream| stream.until = Instant::now());
        assert_eq!(
            streams.with(&channel, None, |stream| stream.read(Filter::default())),
            Past { top, publications: Vec::new() }
        );
        // It is looked at when its time has come, and something else is looked up.
        let look_at_all = || {
            let mut index = streams.0.lock();
            let now = Instant::now();
            index.look_at(channel.clone(), now);
            index.streams.contains_key(&channel)
        };
        assert!(look_at_all(), "its position is kept");
        streams.with(&channel, None, |stream| stream.end = Instant::now());
        assert!(!look_at_all());
        let anew = streams.with(&channel, Some(keep.ttl()), |stream| stream.append(&publication("1"), keep));
        assert!(anew.offset == 1 && anew.epoch != top.epoch);
    }
}
