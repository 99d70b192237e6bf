//! Boards on which all members move at once, half of them on each instance: the brokers by the protocol of boards,
//! beside Socket.IO on Node.js, where a movement is an event of its own to everybody else in a room.

use std::time::{Duration, Instant};

use super::{Case, Figure, Limit, Outcome, quantile, seconds_per_million};
use crate::board::{Movement, Screens};
use crate::cluster::Cluster;
use crate::faults::Faults;
use crate::flow::{STALL, WARM_UP};
use crate::meter::Meter;
use crate::net::{Event, Events, Net};
use crate::side::Side;
use crate::wire::{boards, socketio};

const BESIDE_NODE: [Side; 2] = [Side::Node, Side::BrokerBoards];
const BOARD: &str = "plan";
/// What the broker tells of one member in a second at most, by default.
const PER_SECOND: u32 = 30;
/// On so many screens times are taken, or on all where there are fewer.
const TIMED: usize = 20;
/// In nanoseconds.
const MILLISECOND: f64 = 1e6;

const fn figure(label: &'static str, decimals: usize) -> Figure {
    Figure { label, decimals, target: None, goal: None }
}

/// The figures, of which only the first names the board. Where many move, their movements share what a message costs.
const fn figures(first: &'static str, bytes: Option<Limit>) -> [Figure; 8] {
    let to_redis = figure("the same, bytes to Redis per movement shown to all", 1);
    [
        figure(first, 0),
        figure("the same, % of what all were to be shown", 1),
        figure("the same, movement to a screen on the other instance, p50 ms", 1),
        figure("the same, p99 ms", 1),
        figure("the same, servers' cores in use", 2),
        figure("the same, CPU s per million cursors shown", 3),
        Figure { target: bytes, ..to_redis },
        figure("the same, KB per second to each client", 1),
    ]
}

/// What a movement on a busy board costs Redis.
const BUSY: Option<Limit> = Some(Limit::AtMost(16.0));

/// A meeting.
pub(crate) const OF_10: Case = Case {
    name: "board10",
    sides: BESIDE_NODE,
    figures: &figures("10 members on A and B, 30 movements/s each, cursors shown per s", None),
    run: |side, time| run(side, time, 10),
};

/// A class.
pub(crate) const OF_100: Case = Case {
    name: "board100",
    sides: BESIDE_NODE,
    figures: &figures("100 members on A and B, 30 movements/s each, cursors shown per s", BUSY),
    run: |side, time| run(side, time, 100),
};

/// An audience.
pub(crate) const OF_500: Case = Case {
    name: "board500",
    sides: BESIDE_NODE,
    figures: &figures("500 members on A and B, 30 movements/s each, cursors shown per s", BUSY),
    run: |side, time| run(side, time, 500),
};

/// A board with members that move.
struct Moving {
    side: Side,
    net: Net,
    screens: Screens,
    clock: Instant,
    /// When each member moved, in nanoseconds of the clock, by the number of the movement.
    moved: Vec<Vec<u64>>,
    /// Movements so far.
    movements: u64,
    /// Cursors of others that screens have shown so far.
    shown: u64,
    /// From a movement to a screen on the other instance, in nanoseconds.
    latencies: Vec<u64>,
}

fn run(side: Side, time: Duration, members: usize) -> anyhow::Result<Outcome> {
    let cluster = Cluster::start(side)?;
    let mut net = Net::new(cluster.wire)?;
    net.open(cluster.doors().take(members).map(|door| (door, Some(BOARD.to_owned()))))?;
    let mut board = Moving {
        side,
        net,
        screens: Screens::new(members),
        clock: Instant::now(),
        moved: vec![Vec::new(); members],
        movements: 0,
        shown: 0,
        latencies: Vec::new(),
    };
    board.go_on(WARM_UP)?;
    board.latencies.clear();
    let (movements, shown, received) = (board.movements, board.shown, board.net.received);
    let to_redis = cluster.bytes_to_redis()?;
    let meter = Meter::start(&cluster)?;
    board.go_on(time)?;
    let usage = meter.stop(&cluster)?;
    let to_redis = cluster.bytes_to_redis()? - to_redis;
    let (movements, shown) = (board.movements - movements, board.shown - shown);
    let received = board.net.received - received;
    board.latencies.sort_unstable();

    let seconds = usage.wall.as_secs_f64();
    let to_be_shown = movements * (members as u64 - 1);
    let values = vec![
        shown as f64 / seconds,
        shown as f64 * 100.0 / to_be_shown.max(1) as f64,
        quantile(&board.latencies, 0.5, MILLISECOND),
        quantile(&board.latencies, 0.99, MILLISECOND),
        usage.servers.as_secs_f64() / seconds,
        seconds_per_million(usage.servers, shown),
        to_redis as f64 * (members - 1) as f64 / shown.max(1) as f64,
        received as f64 / 1e3 / seconds / members as f64,
    ];
    Ok(Outcome { values, faults: board.finish()?, usage: Some(usage) })
}

impl Moving {
    /// All members move, each at a time of its own within the turn.
    fn go_on(&mut self, time: Duration) -> anyhow::Result<()> {
        let mut events = Events::new();
        let members = self.moved.len();
        let pause = Duration::from_secs(1) / PER_SECOND / members as u32;
        let started = Instant::now();
        let mut next = started;
        while started.elapsed() < time {
            while next <= Instant::now() {
                self.moves(self.movements as usize % members);
                next += pause;
            }
            let wait = next.saturating_duration_since(Instant::now());
            self.net.turn(&mut events, wait.min(time.saturating_sub(started.elapsed())))?;
            self.look(&events);
        }
        Ok(())
    }

    /// A member moves. While what it said before is still under way it says nothing, as pages do.
    fn moves(&mut self, member: usize) {
        self.movements += 1;
        if self.net.is_blocked(member) {
            return;
        }
        let movement = Movement { member, number: self.moved[member].len() };
        self.moved[member].push(self.clock.elapsed().as_nanos() as u64);
        let bytes = match self.side {
            Side::Node => socketio::moved(BOARD, &movement.to_json()),
            _ => boards::moved(movement.place()),
        };
        self.net.send(member, &bytes);
    }

    fn look(&mut self, events: &Events) {
        let now = self.clock.elapsed().as_nanos() as u64;
        let every = self.moved.len().div_ceil(TIMED);
        for &(member, event) in events {
            let Event::Told(excerpt) = event else { continue };
            // Members are on both instances in turn, and so are the pairs of them whose screens are timed.
            let is_timed = (member / 2).is_multiple_of(every);
            for movement in self.screens.show(member, self.net.told(excerpt)) {
                self.shown += u64::from(movement.member != member);
                let moved = self.moved.get(movement.member).and_then(|moved| moved.get(movement.number));
                if let Some(moved) = moved.filter(|_| is_timed && movement.member % 2 != member % 2) {
                    self.latencies.push(now.saturating_sub(*moved));
                }
            }
        }
    }

    /// What went wrong. The last movement of each member has to come to all screens of a board; a volatile event may be
    /// passed over.
    fn finish(mut self) -> anyhow::Result<Faults> {
        let mut faults = self.net.faults.clone();
        if self.side != Side::Node {
            faults.lost += self.wait_for_the_last()?;
        }
        faults.lost += self.screens.lost;
        faults.misordered += self.screens.misordered;
        Ok(faults)
    }

    /// How many members' last movements have not been shown, once all have or no more come.
    fn wait_for_the_last(&mut self) -> anyhow::Result<u64> {
        let mut events = Events::new();
        let waiting = Instant::now();
        loop {
            let last = self.moved.iter().enumerate().filter_map(|(member, moved)| {
                moved.len().checked_sub(1).map(|number| Movement { member, number })
            });
            let missing = last.filter(|movement| !self.screens.have_shown(*movement)).count() as u64;
            if missing == 0 || waiting.elapsed() > STALL {
                return Ok(missing);
            }
            self.net.turn(&mut events, Duration::from_millis(50))?;
            self.look(&events);
        }
    }
}
