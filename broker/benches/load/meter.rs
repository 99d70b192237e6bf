//! Wall clock and processor time of a stretch of a run: ours, the servers', and everybody else's on the machine.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::time::{ClockId, clock_gettime};

use crate::cluster::Cluster;

/// A running measurement.
#[derive(Debug)]
pub(crate) struct Meter {
    started: Instant,
    servers: Duration,
    generator: Duration,
    machine: Duration,
}

/// What a stretch took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Wall clock.
    pub(crate) wall: Duration,
    /// Processor time of all servers.
    pub(crate) servers: Duration,
    /// Processor time of this generator.
    pub(crate) generator: Duration,
    /// Processor time that the whole machine was not idle, in all of its cores.
    pub(crate) machine: Duration,
}

impl Meter {
    /// Starts to measure.
    ///
    /// # Errors
    /// When a server is gone.
    pub(crate) fn start(cluster: &Cluster) -> anyhow::Result<Self> {
        Ok(Self { started: Instant::now(), servers: cluster.cpu()?, generator: own_cpu(), machine: busy()? })
    }

    /// Ends the measurement.
    ///
    /// # Errors
    /// When a server is gone.
    pub(crate) fn stop(self, cluster: &Cluster) -> anyhow::Result<Usage> {
        Ok(Usage {
            wall: self.started.elapsed(),
            servers: cluster.cpu()?.saturating_sub(self.servers),
            generator: own_cpu().saturating_sub(self.generator),
            machine: busy()?.saturating_sub(self.machine),
        })
    }
}

impl Usage {
    /// Part of one core that the generator itself used: near 1, it may be what limits the figure.
    pub(crate) fn generator_share(&self) -> f64 {
        self.generator.as_secs_f64() / self.wall.as_secs_f64()
    }

    /// Cores that other processes kept busy: far from 0, the figure is theirs as much as ours.
    pub(crate) fn others_share(&self) -> f64 {
        self.machine.saturating_sub(self.servers + self.generator).as_secs_f64() / self.wall.as_secs_f64()
    }
}

fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// Time that the machine's cores were not idle since it started.
fn busy() -> anyhow::Result<Duration> {
    let stat = fs::read_to_string("/proc/stat").context("read /proc/stat")?;
    // user nice system idle iowait irq softirq steal; what follows is contained in user and nice.
    let times: Vec<u64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_ascii_whitespace()
        .skip(1)
        .flat_map(str::parse)
        .collect();
    let busy: u64 =
        times.iter().take(8).enumerate().filter(|(at, _)| !matches!(at, 3 | 4)).map(|(_, time)| time).sum();
    Ok(Duration::from_secs_f64(busy as f64 / rustix::param::clock_ticks_per_second() as f64))
}
