//! From nothing to a process that takes clients.

use std::time::Duration;

use super::{BESIDE_REDIS, Case, Figure, Limit, Outcome};
use crate::cluster::{Start, time_to_serve};
use crate::faults::Faults;
use crate::side::Side;

/// Beside it stands what redis-server itself takes to answer PING.
pub(crate) const CASE: Case = Case {
    name: "start",
    sides: BESIDE_REDIS,
    figures: &[
        Figure {
            label: "process start to ready, alone, ms",
            decimals: 1,
            target: None,
            goal: Some(Limit::AtMost(1000.0)),
        },
        Figure {
            label: "process start to ready, joining Redis, ms",
            decimals: 1,
            target: None,
            goal: Some(Limit::AtMost(1000.0)),
        },
    ],
    run,
};

fn run(side: Side, _time: Duration) -> anyhow::Result<Outcome> {
    let starts = match side {
        Side::RawRedis => [Start::Redis; 2],
        _ => [Start::BrokerAlone, Start::BrokerWithRedis],
    };
    let mut values = Vec::new();
    for start in starts {
        values.push(time_to_serve(start)?.as_secs_f64() * 1e3);
    }
    Ok(Outcome { values, faults: Faults::default(), usage: None })
}
