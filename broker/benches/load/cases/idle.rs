//! Memory of connections that do nothing.

use std::time::{Duration, Instant};

use super::{BESIDE_REDIS, Case, Figure, Limit, Outcome};
use crate::cluster::Cluster;
use crate::net::{Events, Net};
use crate::side::Side;

const CONNECTIONS: usize = 5000;
/// As long as a server may take to tidy up after the rush.
const QUIET: Duration = Duration::from_secs(2);

/// Resident memory of the server that holds all of them.
pub(crate) const CASE: Case = Case {
    name: "idle",
    sides: BESIDE_REDIS,
    figures: &[Figure {
        label: "5,000 idle connections, a channel each, KiB per connection",
        decimals: 2,
        target: Some(Limit::AtMost(12.0)),
        goal: Some(Limit::AtMost(6.0)),
    }],
    run,
};

pub(super) fn run(side: Side, _time: Duration) -> anyhow::Result<Outcome> {
    let cluster = Cluster::start(side)?;
    let mut net = Net::new(cluster.wire)?;
    let before = cluster.resident()?;
    net.open((0..CONNECTIONS).map(|index| (cluster.near, Some(format!("own{index}")))))?;
    let mut events = Events::new();
    let opened = Instant::now();
    while opened.elapsed() < QUIET {
        net.turn(&mut events, QUIET.saturating_sub(opened.elapsed()))?;
    }
    let grown = cluster.resident()?.saturating_sub(before);
    Ok(Outcome { values: vec![grown as f64 / 1024.0 / CONNECTIONS as f64], faults: net.faults, usage: None })
}
