//! Daemons: started in the cluster's cgroup, which is how all of them, and what they start, are found again.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{Cluster, State, cgroup};

/// A process that cannot be taken for a later one with its number.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct Id {
    pid: u32,
    /// Clock ticks from boot to start.
    started: u64,
}

impl Id {
    fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may hold spaces and brackets; what follows its last one does not.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?;
        let started = fields.nth(18)?.parse().ok()?;
        (state != "Z").then_some(Self { pid, started })
    }

    pub(crate) fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }
}

/// Starts a daemon in one of the cluster's network namespaces, or in the host's, and notes it in the state.
pub(super) fn start(
    cluster: &Cluster,
    state: &mut State,
    name: &str,
    namespace: Option<&str>,
    daemon: &Command,
) -> Result<()> {
    let log = cluster.logs().join(format!("{name}.log"));
    let log = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    // The shell joins the cgroup first, so that nothing of the daemon is ever outside of it.
    let mut command = Command::new("setsid");
    command.args(["sh", "-c", r#"echo $$ > "$0" && exec "$@""#]);
    command.arg(cgroup::tracking(&cluster.unique("all")).join("cgroup.procs"));
    if let Some(part) = namespace {
        command.arg("nsenter").arg(format!("--net={}", cluster.namespace(part).display()));
    }
    command.arg(daemon.get_program()).args(daemon.get_args()).current_dir("/");
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    if let Some(id) = Id::of(child.id()) {
        state.processes.insert(name.to_owned(), id);
    }
    state.save()
}

/// Ends processes at once.
pub(super) fn kill(pids: &[u32]) {
    if pids.is_empty() {
        return;
    }
    let mut command = Command::new("sh");
    command.args(["-c", r#"kill -KILL "$@""#, "sh"]).args(pids.iter().map(u32::to_string));
    // One that ended in the meantime makes this fail; the caller looks again anyway.
    let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
}

/// A process's name, to tell the user what was ended.
pub(super) fn name(pid: u32) -> String {
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    // Up to the first argument; some write their state behind their name.
    let first = command.split(|byte| matches!(byte, 0 | b' ')).next().unwrap_or_default();
    let first = String::from_utf8_lossy(first).into_owned();
    match Path::new(&first).file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        // One that is ending has no arguments any more.
        None => fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_start() {
        let me = Id::of(std::process::id()).unwrap();
        assert!(me.is_alive());
        assert!(!Id { started: me.started + 1, ..me }.is_alive());
    }
}
