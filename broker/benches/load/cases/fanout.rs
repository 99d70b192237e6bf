//! One publisher, a thousand subscribers on both instances.

use std::time::Duration;

use super::{BESIDE_REDIS, Case, Figure, Limit, Outcome, seconds_per_million};
use crate::cluster::Cluster;
use crate::flow::{Flow, Pace};
use crate::side::Side;

const SUBSCRIBERS: usize = 1000;
const PER_SECOND: u32 = 50;
const WINDOW: u64 = 8;

/// The cost of a wide channel, at a steady pace and as fast as it goes.
pub(crate) const CASE: Case = Case {
    name: "fanout",
    sides: BESIDE_REDIS,
    figures: &[
        Figure {
            label: "1,000 subscribers on A and B, 50/s, CPU s per million deliveries",
            decimals: 2,
            target: None,
            goal: Some(Limit::RatioAtMost(1.3)),
        },
        Figure { label: "the same, 8 in flight, deliveries/s", decimals: 0, target: None, goal: None },
        Figure { label: "the same, CPU s per million deliveries", decimals: 2, target: None, goal: None },
    ],
    run,
};

pub(super) fn run(side: Side, time: Duration) -> anyhow::Result<Outcome> {
    let cluster = Cluster::start(side)?;
    let mut flow = Flow::open(&cluster, 1, SUBSCRIBERS, &[cluster.near, cluster.far])?;
    let paced = flow.run(Pace::PerSecond(PER_SECOND), time)?;
    let saturated = flow.run(Pace::Window(WINDOW), time)?;
    let values = vec![
        seconds_per_million(paced.usage.servers, paced.deliveries),
        saturated.deliveries as f64 / saturated.usage.wall.as_secs_f64(),
        seconds_per_million(saturated.usage.servers, saturated.deliveries),
    ];
    Ok(Outcome { values, faults: flow.finish(), usage: Some(saturated.usage) })
}
