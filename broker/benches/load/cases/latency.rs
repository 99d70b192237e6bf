//! One message at a time, in on one instance and out on the other.

use std::time::Duration;

use super::{BESIDE_REDIS, Case, Figure, Limit, Outcome, quantile};
use crate::cluster::Cluster;
use crate::flow::{Flow, Pace};
use crate::side::Side;

/// In nanoseconds.
const MICROSECOND: f64 = 1e3;

/// Latency with nothing else going on.
pub(crate) const CASE: Case = Case {
    name: "latency",
    sides: BESIDE_REDIS,
    figures: &[
        Figure {
            label: "one in flight A → B, p50 µs",
            decimals: 1,
            target: Some(Limit::RatioAtMost(1.7)),
            goal: Some(Limit::RatioAtMost(1.5)),
        },
        Figure { label: "one in flight A → B, p99 µs", decimals: 1, target: None, goal: None },
        Figure { label: "100 messages/s A → B, p50 µs", decimals: 1, target: None, goal: None },
    ],
    run,
};

pub(super) fn run(side: Side, time: Duration) -> anyhow::Result<Outcome> {
    let cluster = Cluster::start(side)?;
    let mut flow = Flow::open(&cluster, 1, 1, &[cluster.far])?;
    let one_by_one = flow.run(Pace::Window(1), time)?;
    let paced = flow.run(Pace::PerSecond(100), time)?;
    let values = vec![
        quantile(&one_by_one.latencies, 0.5, MICROSECOND),
        quantile(&one_by_one.latencies, 0.99, MICROSECOND),
        quantile(&paced.latencies, 0.5, MICROSECOND),
    ];
    Ok(Outcome { values, faults: flow.finish(), usage: Some(one_by_one.usage) })
}
