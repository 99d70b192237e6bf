//! What is measured. Every case is written once and runs over a peer and over the brokers, in each round.

use std::time::Duration;

use crate::faults::Faults;
use crate::meter::Usage;
use crate::side::Side;

mod boards;
mod connects;
mod fanout;
mod idle;
mod latency;
mod pairs;
mod socketio;
mod start;
mod storm;

/// One case.
#[derive(Debug)]
pub(crate) struct Case {
    /// What the command line calls it.
    pub(crate) name: &'static str,
    /// The peer that the brokers are measured beside, and the brokers.
    pub(crate) sides: [Side; 2],
    /// The figures that it gives, in this order.
    pub(crate) figures: &'static [Figure],
    /// Measures one side once; the duration is how long each of its flows is measured.
    pub(crate) run: fn(Side, Duration) -> anyhow::Result<Outcome>,
}

/// One figure of a case.
#[derive(Debug)]
pub(crate) struct Figure {
    /// What it says, with its unit.
    pub(crate) label: &'static str,
    /// Digits behind the point.
    pub(crate) decimals: usize,
    /// What must hold.
    pub(crate) target: Option<Limit>,
    /// What the design hopes for.
    pub(crate) goal: Option<Limit>,
}

/// A bound on a figure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// The broker's figure is at most so many times the peer's.
    RatioAtMost(f64),
    /// The broker's figure is at least so many times the peer's.
    RatioAtLeast(f64),
    /// The broker's figure itself is at most this.
    AtMost(f64),
}

/// What one side of one round gave.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// The case's figures, in its order.
    pub(crate) values: Vec<f64>,
    /// What went wrong.
    pub(crate) faults: Faults,
    /// What the machine was busy with, where the case keeps it busy.
    pub(crate) usage: Option<Usage>,
}

/// The brokers beside raw Redis.
const BESIDE_REDIS: [Side; 2] = [Side::RawRedis, Side::Broker];

/// All cases, in the order of the tables.
pub(crate) const ALL: [Case; 16] = [
    latency::CASE,
    pairs::WINDOWED,
    pairs::SINGLE,
    fanout::CASE,
    idle::CASE,
    connects::CASE,
    storm::CASE,
    start::CASE,
    socketio::LATENCY,
    socketio::ROOMS_OF_2,
    socketio::ROOMS_OF_50,
    socketio::ROOM_OF_1000,
    socketio::IDLE,
    boards::OF_10,
    boards::OF_100,
    boards::OF_500,
];

/// A quantile of sorted nanoseconds, in units of so many of them.
fn quantile(sorted: &[u64], quantile: f64, unit: f64) -> f64 {
    let rank = (sorted.len() as f64 * quantile) as usize;
    sorted
        .get(rank.min(sorted.len().saturating_sub(1)))
        .map_or(f64::NAN, |&nanoseconds| nanoseconds as f64 / unit)
}

/// Seconds of processor time for a million deliveries.
fn seconds_per_million(time: Duration, deliveries: u64) -> f64 {
    time.as_secs_f64() * 1e6 / deliveries.max(1) as f64
}
