//! What is known of a running cluster, on disk before each thing is made.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{Cluster, forward, process};
use crate::steps::tail;

/// Where the API server is found when nobody else has the port.
const API_PORT: u16 = 6443;

/// A cluster that was started, whole or not.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) name: String,
    pub(crate) nodes: u8,
    /// Where the API server answers on loopback, as the kubeconfig says it too.
    pub(crate) api_port: u16,
    /// Everything was started and was ready once.
    pub(crate) whole: bool,
    /// The machine's boot: after another one nothing of it can run.
    boot: String,
    /// What the cluster's things are called, to look them up by hand.
    pub(crate) namespaces: Vec<String>,
    pub(crate) cgroups: Vec<String>,
    pub(crate) folders: Vec<PathBuf>,
    pub(crate) processes: BTreeMap<String, process::Id>,
    /// Forwarders: name → port on loopback and where it leads.
    pub(crate) forwards: BTreeMap<String, forward::Forward>,
    #[serde(skip)]
    file: PathBuf,
    #[serde(skip)]
    logs: PathBuf,
}

impl State {
    pub(super) fn new(cluster: &Cluster, nodes: u8) -> Result<Self> {
        let parts: Vec<String> = (1..=nodes).map(|index| format!("n{index}")).collect();
        let unique = |first: &str| {
            std::iter::once(first)
                .chain(parts.iter().map(String::as_str))
                .map(|part| cluster.unique(part))
                .collect()
        };
        Ok(Self {
            name: cluster.name.clone(),
            nodes,
            api_port: API_PORT,
            whole: false,
            boot: boot()?,
            namespaces: unique("cp"),
            cgroups: unique("all"),
            folders: vec![cluster.data(), cluster.sockets.clone()],
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
        replace(&self.file, &serde_json::to_string_pretty(self)?)
    }

    /// Everything was started and still runs, but for forwarders, which are started again without any loss.
    pub(crate) fn is_whole(&self) -> bool {
        let mut parts = self.processes.iter().filter(|(name, _)| !forward::is_forwarder(name));
        self.whole && boot().is_ok_and(|boot| boot == self.boot) && parts.all(|(_, id)| id.is_alive())
    }

    pub(super) fn is_alive(&self, name: &str) -> bool {
        self.processes.get(name).is_some_and(process::Id::is_alive)
    }

    /// Says which component ended while others wait for it.
    pub(super) fn check_alive(&self) -> Result<()> {
        self.processes.keys().try_for_each(|name| self.check(name))
    }

    /// Says that a component ended, and what it said last.
    pub(super) fn check(&self, name: &str) -> Result<()> {
        if self.is_alive(name) {
            return Ok(());
        }
        let log = self.logs.join(format!("{name}.log"));
        bail!("{name} ended; the end of {}:\n{}", log.display(), tail(&log, 12))
    }
}

pub(super) fn file(cluster: &Cluster) -> PathBuf {
    cluster.dir.join("state.json")
}

/// Names the time since the machine started.
pub(super) fn boot() -> Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Writes a file so that it is never seen half written.
pub(super) fn replace(file: &Path, text: &str) -> Result<()> {
    let fresh = file.with_extension("new");
    fs::write(&fresh, text)
        .and_then(|()| fs::rename(&fresh, file))
        .with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::Paths;

    #[test]
    fn a_forwarder_that_ended_leaves_the_cluster_whole() {
        let cluster = Cluster::named("test", &Paths::find().unwrap()).unwrap();
        let mut state = State::new(&cluster, 1).unwrap();
        state.whole = true;
        let ended = || serde_json::from_str::<process::Id>(r#"{"pid": 1, "started": 18446744073709551615}"#);
        state.processes.insert("forward-api".to_owned(), ended().unwrap());
        state.processes.insert("forward-api-inside".to_owned(), ended().unwrap());
        assert!(state.is_whole());
        assert!(state.check_alive().is_err());
        state.processes.insert("etcd".to_owned(), ended().unwrap());
        assert!(!state.is_whole());
    }
}
