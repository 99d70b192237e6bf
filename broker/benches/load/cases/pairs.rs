//! Many publishers on one instance, each with one subscriber on the other.

use std::time::Duration;

use super::{BESIDE_REDIS, Case, Figure, Limit, Outcome, seconds_per_million};
use crate::cluster::Cluster;
use crate::flow::{Flow, Pace};
use crate::side::Side;

/// Few pairs with much under way: how far batching goes.
pub(crate) const WINDOWED: Case = Case {
    name: "pairs",
    sides: BESIDE_REDIS,
    figures: &[
        Figure {
            label: "50 pairs A → B, 64 in flight each, deliveries/s",
            decimals: 0,
            target: Some(Limit::RatioAtLeast(0.25)),
            goal: Some(Limit::RatioAtLeast(0.6)),
        },
        Figure { label: "the same, CPU s per million deliveries", decimals: 2, target: None, goal: None },
    ],
    run: |side, time| run(side, time, 50, 64),
};

/// Many pairs with one message each: how much a message costs by itself.
pub(crate) const SINGLE: Case = Case {
    name: "pairs200",
    sides: BESIDE_REDIS,
    figures: &[
        Figure {
            label: "200 pairs A → B, one in flight each, deliveries/s",
            decimals: 0,
            target: None,
            goal: Some(Limit::RatioAtLeast(0.6)),
        },
        Figure { label: "the same, CPU s per million deliveries", decimals: 2, target: None, goal: None },
    ],
    run: |side, time| run(side, time, 200, 1),
};

fn run(side: Side, time: Duration, pairs: usize, window: u64) -> anyhow::Result<Outcome> {
    let cluster = Cluster::start(side)?;
    let mut flow = Flow::open(&cluster, pairs, 1, &[cluster.far])?;
    let flowed = flow.run(Pace::Window(window), time)?;
    let values = vec![
        flowed.deliveries as f64 / flowed.usage.wall.as_secs_f64(),
        seconds_per_million(flowed.usage.servers, flowed.deliveries),
    ];
    Ok(Outcome { values, faults: flow.finish(), usage: Some(flowed.usage) })
}
