//! The same work by Socket.IO: the brokers beside Node.js with the Redis adapter, which people have now.

use std::time::Duration;

use super::{Case, Figure, Outcome, fanout, idle, latency, seconds_per_million};
use crate::cluster::Cluster;
use crate::flow::{Flow, Pace};
use crate::side::Side;

const BESIDE_NODE: [Side; 2] = [Side::Node, Side::BrokerSocketIo];

const fn figure(label: &'static str, decimals: usize) -> Figure {
    Figure { label, decimals, target: None, goal: None }
}

/// Latency with nothing else going on.
pub(crate) const LATENCY: Case = Case {
    name: "sio-latency",
    sides: BESIDE_NODE,
    figures: &[
        figure("one in flight A → B, p50 µs", 1),
        figure("one in flight A → B, p99 µs", 1),
        figure("100 messages/s A → B, p50 µs", 1),
    ],
    run: latency::run,
};

/// A publisher and a listener each.
pub(crate) const ROOMS_OF_2: Case = Case {
    name: "sio-rooms2",
    sides: BESIDE_NODE,
    figures: &[
        figure("50 rooms of 2, A → B, 16 in flight each, deliveries/s", 0),
        figure("the same, CPU s per million deliveries", 2),
    ],
    run: |side, time| rooms(side, time, 50, 1, 16),
};

/// Group chats.
pub(crate) const ROOMS_OF_50: Case = Case {
    name: "sio-rooms50",
    sides: BESIDE_NODE,
    figures: &[
        figure("20 rooms of 50 on A and B, 2 in flight each, deliveries/s", 0),
        figure("the same, CPU s per million deliveries", 2),
    ],
    run: |side, time| rooms(side, time, 20, 50, 2),
};

/// One large room, at a steady pace and as fast as it goes.
pub(crate) const ROOM_OF_1000: Case = Case {
    name: "sio-room1000",
    sides: BESIDE_NODE,
    figures: &[
        figure("a room of 1,000 on A and B, 50/s, CPU s per million deliveries", 2),
        figure("the same, 8 in flight, deliveries/s", 0),
        figure("the same, CPU s per million deliveries", 2),
    ],
    run: fanout::run,
};

/// Memory of connections that do nothing.
pub(crate) const IDLE: Case = Case {
    name: "sio-idle",
    sides: BESIDE_NODE,
    figures: &[figure("5,000 idle connections, a room each, KiB per connection", 2)],
    run: idle::run,
};

fn rooms(side: Side, time: Duration, rooms: usize, members: usize, window: u64) -> anyhow::Result<Outcome> {
    let cluster = Cluster::start(side)?;
    let doors = [cluster.far, cluster.near];
    // With one listener it is on the other instance; many are on both.
    let mut flow = Flow::open(&cluster, rooms, members, if members == 1 { &doors[..1] } else { &doors })?;
    let flowed = flow.run(Pace::Window(window), time)?;
    let values = vec![
        flowed.deliveries as f64 / flowed.usage.wall.as_secs_f64(),
        seconds_per_million(flowed.usage.servers, flowed.deliveries),
    ];
    Ok(Outcome { values, faults: flow.finish(), usage: Some(flowed.usage) })
}
