//! Clients that come, one after the other, each to a channel of its own.

use std::time::Duration;

use super::{BESIDE_REDIS, Case, Figure, Limit, Outcome};
use crate::cluster::Cluster;
use crate::meter::Meter;
use crate::net::Net;
use crate::side::Side;

const CONNECTIONS: usize = 4000;

/// Connecting and subscribing, with up to 64 of them at it at the same time.
pub(crate) const CASE: Case = Case {
    name: "connects",
    sides: BESIDE_REDIS,
    figures: &[
        Figure {
            label: "connect and subscribe, on A and B, per second",
            decimals: 0,
            target: None,
            goal: Some(Limit::RatioAtLeast(0.7)),
        },
        Figure { label: "the same, CPU ms per thousand", decimals: 0, target: None, goal: None },
    ],
    run,
};

fn run(side: Side, _time: Duration) -> anyhow::Result<Outcome> {
    let cluster = Cluster::start(side)?;
    let mut net = Net::new(cluster.wire)?;
    let meter = Meter::start(&cluster)?;
    let channels = (0..CONNECTIONS).map(|index| Some(format!("own{index}")));
    net.open(cluster.doors().zip(channels))?;
    let usage = meter.stop(&cluster)?;
    let values = vec![
        CONNECTIONS as f64 / usage.wall.as_secs_f64(),
        usage.servers.as_secs_f64() * 1e6 / CONNECTIONS as f64,
    ];
    Ok(Outcome { values, faults: net.faults, usage: Some(usage) })
}
