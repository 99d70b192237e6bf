//! One server process: started by us, measured through /proc, and always stopped by us.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::interrupt;

/// A server that does not serve by then never will.
const START_LIMIT: Duration = Duration::from_secs(10);

/// A running process, killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    name: String,
    child: Child,
    log: PathBuf,
    started: Instant,
}

impl Server {
    /// Starts the command; what it prints goes to a file in `directory`.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(crate) fn start(name: &str, command: &mut Command, directory: &Path) -> anyhow::Result<Self> {
        let log = directory.join(format!("{name}.log"));
        let output = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        command.current_dir(directory).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let started = Instant::now();
        let program = command.get_program().display().to_string();
        let child = command.spawn().with_context(|| {
            format!("start {program} as {name}; if it is missing, install it (apt-get install redis-server nodejs npm)")
        })?;
        Ok(Self { name: name.to_owned(), child, log, started })
    }

    /// Waits until `serves` says so, and returns how long that took from the start of the process.
    ///
    /// # Errors
    /// When the process ends, or does not serve within ten seconds; with the end of its log.
    pub(crate) fn wait_until(&mut self, mut serves: impl FnMut() -> bool) -> anyhow::Result<Duration> {
        loop {
            interrupt::check()?;
            if serves() {
                return Ok(self.started.elapsed());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended while starting ({status}): {}", self.name, self.last_words());
            }
            if self.started.elapsed() > START_LIMIT {
                bail!("{} does not serve after {START_LIMIT:?}: {}", self.name, self.last_words());
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Processor time used so far, by all threads, in user and kernel mode.
    ///
    /// # Errors
    /// When the process is gone.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let path = self.proc("stat");
        let stat = fs::read_to_string(&path).with_context(|| format!("{}: read {path}", self.name))?;
        // The program's name stands in brackets and may hold anything; user and system time are the 12th and
        // 13th fields behind it.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks: u64 = fields.split_ascii_whitespace().skip(11).take(2).flat_map(str::parse::<u64>).sum();
        Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// When the process is gone.
    pub(crate) fn resident(&self) -> anyhow::Result<u64> {
        let path = self.proc("statm");
        let statm = fs::read_to_string(&path).with_context(|| format!("{}: read {path}", self.name))?;
        let pages: u64 =
            statm.split_ascii_whitespace().nth(1).context("no resident size in statm")?.parse()?;
        Ok(pages * rustix::param::page_size() as u64)
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.id())
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It holds nothing worth keeping, and a drain would take longer than the measurement. Both calls fail
        // only when the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
