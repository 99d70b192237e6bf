//! What the figures were measured on.

use std::fs;
use std::process::Command;
use std::thread;

use anyhow::{Context, ensure};
use rustix::process::{Resource, getrlimit, setrlimit};

/// The widest case opens five thousand connections, and the servers inherit the limit.
const OPEN_FILES: u64 = 6000;

/// One line about the machine and the Redis.
pub(crate) fn describe() -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown processor", |(_, model)| model.trim());
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_ascii_whitespace().next().unwrap_or("unknown").to_owned();
    let redis = redis_version().unwrap_or_else(|| "missing".to_owned());
    format!("{cores} cores ({model}), Linux {kernel}, redis {redis}, load average before {load}")
}

fn redis_version() -> Option<String> {
    let output = Command::new("redis-server").arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_ascii_whitespace().find_map(|word| word.strip_prefix("v=")).map(str::to_owned)
}

/// Lets this process and its servers open as many files as the system allows.
///
/// # Errors
/// When that is too few for the cases.
pub(crate) fn raise_open_files() -> anyhow::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("raise the limit of open files")?;
    ensure!(
        limit.current.is_none_or(|files| files >= OPEN_FILES),
        "the limit of open files is {:?}: raise it to {OPEN_FILES} or more (ulimit -Hn, as root)",
        limit.current
    );
    Ok(())
}
