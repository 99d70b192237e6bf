//! Messages flowing along lanes: a lane is one publisher, one channel and its subscribers.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::message::{Publication, Stamp};
use crate::meter::{Meter, Usage};
use crate::net::{Event, Events, Net};

/// Nobody is measured cold.
pub(crate) const WARM_UP: Duration = Duration::from_millis(500);
/// When nothing came for so long, what is under way is taken for lost.
pub(crate) const STALL: Duration = Duration::from_secs(1);

/// How fast publishers go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// As fast as messages arrive, with so many of each lane under way.
    Window(u64),
    /// So many a second on each lane, whatever arrives.
    PerSecond(u32),
}

/// All lanes of a case with their progress.
pub(crate) struct Flow<'cluster> {
    cluster: &'cluster Cluster,
    net: Net,
    lanes: Vec<Lane>,
    /// Number of the connection of the first subscriber; all behind it are subscribers too.
    first_subscriber: usize,
    subscribers: Vec<Subscriber>,
    clock: Instant,
    sent: u64,
    expected: u64,
    delivered: u64,
}

#[derive(Debug)]
struct Lane {
    publisher: usize,
    publication: Publication,
    subscribers: u64,
    sent: u64,
    /// Deliveries of this lane that are still to come.
    under_way: u64,
}

#[derive(Debug)]
struct Subscriber {
    lane: usize,
    next: u64,
}

/// What a stretch of flowing gave.
#[derive(Debug)]
pub(crate) struct Flowed {
    /// Deliveries within the measured time.
    pub(crate) deliveries: u64,
    /// From the publisher's write to the subscriber's read, in nanoseconds, sorted.
    pub(crate) latencies: Vec<u64>,
    /// What it took.
    pub(crate) usage: Usage,
}

impl<'cluster> Flow<'cluster> {
    /// Connects `lanes` publishers to the near door, and as many subscribers a lane as asked, every one to the
    /// next of `doors`.
    ///
    /// # Errors
    /// When a connection cannot be opened.
    pub(crate) fn open(
        cluster: &'cluster Cluster,
        lanes: usize,
        subscribers: usize,
        doors: &[std::net::SocketAddr],
    ) -> anyhow::Result<Self> {
        let mut net = Net::new(cluster.wire)?;
        let publishers = net.open((0..lanes).map(|_| (cluster.near, None)))?;
        let doors = doors.iter().copied().cycle();
        let members: Range<usize> = net.open(
            (0..lanes * subscribers)
                .zip(doors)
                .map(|(index, door)| (door, Some(channel(index / subscribers)))),
        )?;
        Ok(Self {
            cluster,
            net,
            lanes: publishers
                .map(|publisher| Lane {
                    publisher,
                    publication: cluster.wire.publication(&channel(publisher)),
                    subscribers: subscribers as u64,
                    sent: 0,
                    under_way: 0,
                })
                .collect(),
            first_subscriber: members.start,
            subscribers: (0..members.len())
                .map(|index| Subscriber { lane: index / subscribers, next: 0 })
                .collect(),
            clock: Instant::now(),
            sent: 0,
            expected: 0,
            delivered: 0,
        })
    }

    /// Flows at a pace: warms up, measures for `time`, and waits until all that was sent has arrived.
    ///
    /// # Errors
    /// When the run was interrupted or a server fails; lost messages are no error but counted.
    pub(crate) fn run(&mut self, pace: Pace, time: Duration) -> anyhow::Result<Flowed> {
        let mut latencies = Vec::new();
        self.flow(pace, WARM_UP, &mut latencies)?;
        latencies.clear();
        let (meter, before) = (Meter::start(self.cluster)?, self.delivered);
        self.flow(pace, time, &mut latencies)?;
        let (usage, deliveries) = (meter.stop(self.cluster)?, self.delivered - before);
        self.settle(&mut latencies)?;
        latencies.sort_unstable();
        Ok(Flowed { deliveries, latencies, usage })
    }

    /// Ends the flow and returns everything that went wrong in it.
    pub(crate) fn finish(self) -> crate::faults::Faults {
        let mut faults = self.net.faults;
        faults.lost += self.expected.saturating_sub(self.delivered);
        faults.unanswered += self.sent.saturating_sub(self.net.published + faults.errors);
        faults
    }

    fn flow(&mut self, pace: Pace, time: Duration, latencies: &mut Vec<u64>) -> anyhow::Result<()> {
        let mut events = Events::new();
        let started = Instant::now();
        let mut last_arrival = started;
        let mut next_send = started;
        while started.elapsed() < time {
            let now = Instant::now();
            let wait = match pace {
                Pace::Window(window) => {
                    if now > last_arrival + STALL {
                        self.lanes.iter_mut().for_each(|lane| lane.under_way = 0);
                        last_arrival = now;
                    }
                    self.fill(window);
                    STALL
                }
                Pace::PerSecond(rate) => {
                    while next_send <= now {
                        (0..self.lanes.len()).for_each(|lane| self.publish(lane));
                        next_send += Duration::from_secs(1) / rate;
                    }
                    next_send - now
                }
            };
            self.net.turn(&mut events, wait.min(time.saturating_sub(started.elapsed())))?;
            if self.arrive(&events, latencies) > 0 {
                last_arrival = now;
            }
        }
        Ok(())
    }

    fn fill(&mut self, window: u64) {
        for index in 0..self.lanes.len() {
            let lane = &self.lanes[index];
            let free = (window * lane.subscribers).saturating_sub(lane.under_way) / lane.subscribers;
            (0..free).for_each(|_| self.publish(index));
        }
    }

    fn publish(&mut self, index: usize) {
        let time = self.now();
        let lane = &mut self.lanes[index];
        self.net.publish(lane.publisher, &lane.publication, Stamp { sequence: lane.sent, time });
        lane.sent += 1;
        lane.under_way += lane.subscribers;
        self.sent += 1;
        self.expected += lane.subscribers;
    }

    /// Books what came, and returns how many deliveries that were.
    fn arrive(&mut self, events: &Events, latencies: &mut Vec<u64>) -> u64 {
        let now = self.now();
        let before = self.delivered;
        for &(id, event) in events {
            let Event::Message(stamp) = event else { continue };
            let Some(subscriber) =
                id.checked_sub(self.first_subscriber).and_then(|index| self.subscribers.get_mut(index))
            else {
                continue;
            };
            if stamp.sequence < subscriber.next {
                self.net.faults.misordered += 1;
                continue;
            }
            subscriber.next = stamp.sequence + 1;
            let lane = &mut self.lanes[subscriber.lane];
            lane.under_way = lane.under_way.saturating_sub(1);
            self.delivered += 1;
            latencies.push(now.saturating_sub(stamp.time));
        }
        self.delivered - before
    }

    /// Waits for the rest, as long as something comes.
    fn settle(&mut self, latencies: &mut Vec<u64>) -> anyhow::Result<()> {
        let mut events = Events::new();
        let mut last_arrival = Instant::now();
        while self.delivered < self.expected || self.net.published < self.sent {
            self.net.turn(&mut events, Duration::from_millis(50))?;
            if self.arrive(&events, latencies) > 0 {
                last_arrival = Instant::now();
            }
            if last_arrival.elapsed() > STALL {
                break;
            }
        }
        self.lanes.iter_mut().for_each(|lane| lane.under_way = 0);
        Ok(())
    }

    fn now(&self) -> u64 {
        self.clock.elapsed().as_nanos() as u64
    }
}

fn channel(lane: usize) -> String {
    format!("lane{lane}")
}
