//! Wall clock and processor time of a stretch of a run.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::cluster::Cluster;

/// A running measurement.
#[derive(Debug)]
pub(crate) struct Meter {
    started: Instant,
    servers: Duration,
    generator: Duration,
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
}

impl Meter {
    /// Starts to measure.
    ///
    /// # Errors
    /// When a server is gone.
    pub(crate) fn start(cluster: &Cluster) -> anyhow::Result<Self> {
        Ok(Self { started: Instant::now(), servers: cluster.cpu()?, generator: own_cpu() })
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
        })
    }
}

impl Usage {
    /// Part of one core that the generator itself used: near 1, it may be what limits the figure.
    pub(crate) fn generator_share(&self) -> f64 {
        self.generator.as_secs_f64() / self.wall.as_secs_f64()
    }
}

fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}
