//! Everybody joins the same channel at the same moment, as after a deploy.

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::{BESIDE_REDIS, Case, Figure, Limit, Outcome};
use crate::cluster::Cluster;
use crate::message::Stamp;
use crate::meter::Meter;
use crate::net::{Event, Events, Net};
use crate::side::Side;

const CLIENTS: usize = 2000;
const CHANNEL: &str = "everybody";
const PATIENCE: Duration = Duration::from_secs(10);

/// The time until all are in; then one message shows that they really are.
pub(crate) const CASE: Case = Case {
    name: "storm",
    sides: BESIDE_REDIS,
    figures: &[Figure {
        label: "2,000 clients on A and B join one channel, ms",
        decimals: 1,
        target: None,
        goal: Some(Limit::RatioAtMost(1.5)),
    }],
    run,
};

fn run(side: Side, _time: Duration) -> anyhow::Result<Outcome> {
    let cluster = Cluster::start(side)?;
    let mut net = Net::new(cluster.wire)?;
    let publisher = net.open([(cluster.near, None)])?.start;
    let clients = net.open(cluster.doors().take(CLIENTS).map(|door| (door, None)))?;
    let subscribe = cluster.wire.subscribe(CHANNEL);
    let meter = Meter::start(&cluster)?;
    for client in clients {
        net.send(client, &subscribe);
    }
    let joined = wait_for(&mut net, |event| event == Event::Subscribed)?;
    let usage = meter.stop(&cluster)?;
    ensure!(joined == CLIENTS, "join {CHANNEL}: {joined} of {CLIENTS} within {PATIENCE:?}; {}", net.faults);

    net.publish(publisher, &cluster.wire.publication(CHANNEL), Stamp { sequence: 0, time: 0 });
    let heard = wait_for(&mut net, |event| matches!(event, Event::Message(_)))?;
    net.faults.lost += (CLIENTS - heard) as u64;
    Ok(Outcome { values: vec![usage.wall.as_secs_f64() * 1e3], faults: net.faults, usage: Some(usage) })
}

/// How many clients had the event, once all had it or no more came.
fn wait_for(net: &mut Net, wanted: impl Fn(Event) -> bool) -> anyhow::Result<usize> {
    let mut events = Events::new();
    let (mut count, started) = (0, Instant::now());
    while count < CLIENTS && started.elapsed() < PATIENCE {
        net.turn(&mut events, Duration::from_millis(100))?;
        count += events.iter().filter(|(_, event)| wanted(*event)).count();
    }
    Ok(count)
}
