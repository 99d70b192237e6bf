//! The processes of a pod. The cluster's nodes are this machine, so they can be found and signalled.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use rustix::process::{Pid, kill_process};

pub use rustix::process::Signal;

/// Sends a signal to a pod's process of this name.
pub fn signal(pod_uid: &str, program: &str, signal: Signal) -> Result<()> {
    let pid = find(pod_uid, program)
        .with_context(|| format!("the pod {pod_uid} has no process {program} on this machine"))?;
    kill_process(pid, signal).with_context(|| format!("cannot signal {program} ({pid:?})"))
}

fn find(pod_uid: &str, program: &str) -> Option<Pid> {
    let pids = fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let of_pod = |pid: &i32| {
        // Its cgroup is named after the pod, its command line after the program.
        let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let first = command.split(|byte| *byte == 0 || *byte == b' ').next().unwrap_or_default();
        let name = String::from_utf8_lossy(first).into_owned();
        let name = Path::new(&name).file_name().map(|name| name.to_string_lossy().into_owned());
        cgroup.contains(pod_uid) && name.as_deref() == Some(program)
    };
    pids.filter(of_pod).find_map(Pid::from_raw)
}
