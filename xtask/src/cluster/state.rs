//! What is known of a running cluster, on disk before each thing is made.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{Cluster, forward, process};
use crate::steps::tail;

/// A cluster that was started, whole or not.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) name: String,
    pub(crate) nodes: u8,
    /// Where the API server answers on loopback.
    pub(crate) api_port: u16,
    /// Everything was started and was ready once.
    pub(crate) whole: bool,
    /// The machine's boot: after another one nothing of it can run.
    boot: String,
    /// What the cluster's things are called, to look them up by hand.
    pub(crate) namespaces: Vec<String>,
    pub(crate) cgroups: Vec<String>,
    pub(crate) folders: Vec<PathBuf>,
    /// Settings of the kernel that a kubelet changes, as they were.
    pub(crate) sysctls: BTreeMap<String, String>,
    pub(crate) processes: BTreeMap<String, process::Id>,
    /// Forwarders: name → port on loopback and where it leads.
    pub(crate) forwards: BTreeMap<String, forward::Forward>,
    #[serde(skip)]
    file: PathBuf,
    #[serde(skip)]
    logs: PathBuf,
}

/// A kubelet sets these for itself and for the whole machine.
const SYSCTLS: [&str; 5] = [
    "vm/overcommit_memory",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
];

impl State {
    pub(super) fn new(cluster: &Cluster, nodes: u8) -> Result<Self> {
        let parts: Vec<String> = (1..=nodes).map(|index| format!("n{index}")).collect();
        let read = |name: &&str| {
            let value = fs::read_to_string(format!("/proc/sys/{name}")).ok()?;
            Some(((*name).to_owned(), value.trim().to_owned()))
        };
        let unique = |first: &str| {
            std::iter::once(first)
                .chain(parts.iter().map(String::as_str))
                .map(|part| cluster.unique(part))
                .collect()
        };
        Ok(Self {
            name: cluster.name.clone(),
            nodes,
            api_port: forward::free_port(6443)?,
            whole: false,
            boot: boot()?,
            namespaces: unique("cp"),
            cgroups: unique("all"),
            folders: vec![cluster.data(), cluster.sockets.clone()],
            sysctls: SYSCTLS.iter().filter_map(read).collect(),
            processes: BTreeMap::new(),
            forwards: BTreeMap::new(),
            file: file(cluster),
            logs: cluster.logs(),
        })
    }

    pub(crate) fn load(cluster: &Cluster) -> Result<Option<Self>> {
        let Ok(text) = fs::read_to_string(file(cluster)) else { return Ok(None) };
        // A file cut short by a crash tells nothing; the names are enough to tear down.
        let Ok(mut state) = serde_json::from_str::<Self>(&text) else { return Ok(None) };
        (state.file, state.logs) = (file(cluster), cluster.logs());
        Ok(Some(state))
    }

    pub(super) fn save(&self) -> Result<()> {
        let fresh = self.file.with_extension("new");
        fs::write(&fresh, serde_json::to_string_pretty(self)?)
            .and_then(|()| fs::rename(&fresh, &self.file))
            .with_context(|| format!("cannot write {}", self.file.display()))
    }

    /// Everything was started and still runs.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole
            && boot().is_ok_and(|boot| boot == self.boot)
            && self.processes.values().all(process::Id::is_alive)
    }

    /// Says which component ended while others wait for it.
    pub(super) fn check_alive(&self) -> Result<()> {
        match self.processes.iter().find(|(_, id)| !id.is_alive()) {
            None => Ok(()),
            Some((name, _)) => {
                let log = self.logs.join(format!("{name}.log"));
                bail!("{name} ended; the end of {}:\n{}", log.display(), tail(&log, 12))
            }
        }
    }
}

pub(super) fn file(cluster: &Cluster) -> PathBuf {
    cluster.dir.join("state.json")
}

fn boot() -> Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}
