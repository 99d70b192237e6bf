//! An image registry beside the nodes, where one is wanted: the same name leads to it from the host and from pods.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::network::CONTROL_PLANE;
use super::{Cluster, State, forward, process};
use crate::steps::Step;

/// Where containerd looks up how a registry is reached.
pub(super) fn hosts(cluster: &Cluster) -> PathBuf {
    cluster.data().join("registries")
}

pub(super) fn start(step: &Step, cluster: &Cluster, state: &mut State) -> Result<()> {
    if !state.processes.get("registry").is_some_and(process::Id::is_alive) {
        let data = cluster.data().join("registry");
        fs::create_dir_all(&data)?;
        let config = data.join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\nhttp: {{addr: '{CONTROL_PLANE}:5000'}}\n",
            data.join("images").display()
        );
        fs::write(&config, text)?;
        let mut registry = Command::new("docker-registry");
        registry.arg("serve").arg(config);
        process::start(cluster, state, "registry", Some("cp"), &registry)?;
    }
    let port = forward::to_host(cluster, state, "registry", 5000, "cp", &format!("{CONTROL_PLANE}:5000"))?;
    let folder = hosts(cluster).join(format!("127.0.0.1:{port}"));
    fs::create_dir_all(&folder)?;
    let text = format!("[host.\"http://{CONTROL_PLANE}:5000\"]\n  capabilities = [\"pull\", \"resolve\"]\n");
    fs::write(folder.join("hosts.toml"), text)?;
    step.log(format!("the registry is 127.0.0.1:{port}, for the host and for the nodes"));
    Ok(())
}
