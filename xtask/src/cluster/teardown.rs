//! Removes whatever a cluster left, whole or half made: by its names, not by memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::machine::Machine;
use super::{Cluster, MAX_NODES, cgroup, process, require_root, state};
use crate::steps::{Step, Steps, wait_for};
use crate::terminal::{dim, say};

/// Where CNI plugins keep what they did.
const CNI_RESULTS: &str = "/var/lib/cni/results";

/// What was removed, by kind.
type Removed = BTreeMap<&'static str, Vec<String>>;

/// Stops the cluster and shows what was removed.
pub(crate) fn down(steps: &Steps, cluster: &Cluster) -> Result<()> {
    require_root()?;
    cluster.check_owner()?;
    let removed = steps.run("down", |step| {
        let removed = remove(step, cluster)?;
        if removed.is_empty() {
            step.note("nothing was there");
        }
        Ok(removed)
    })?;
    for (kind, names) in removed {
        say(format!("    {:>3} {kind:<10} {}", names.len(), dim(&summary(&names))));
    }
    Ok(())
}

/// `kubelet ×2, socat ×4`.
fn summary(names: &[String]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    let parts: Vec<String> = counts
        .iter()
        .map(|(name, count)| if *count == 1 { (*name).to_owned() } else { format!("{name} ×{count}") })
        .collect();
    let shown = parts.iter().take(12).cloned().collect::<Vec<_>>().join(", ");
    if parts.len() > 12 { format!("{shown}, …") } else { shown }
}

pub(super) fn remove(step: &Step, cluster: &Cluster) -> Result<Removed> {
    let mut removed = Removed::new();
    let parts: Vec<String> = (1..=MAX_NODES).map(|index| format!("n{index}")).collect();
    let groups: Vec<String> =
        parts.iter().map(String::as_str).chain(["all"]).map(|part| cluster.unique(part)).collect();
    let shims = shim_sockets(cluster);

    step.log("ending processes");
    let ended = end_processes(&groups)?;
    note(&mut removed, "processes", ended);

    step.log("removing mounts");
    let mounts = unmount(step, &[cluster.data(), cluster.sockets.clone()])?;
    note(&mut removed, "mounts", mounts);

    step.log("removing namespaces");
    let mut namespaces = Vec::new();
    for part in parts.iter().map(String::as_str).chain(["cp"]) {
        if cluster.namespace(part).exists() {
            let name = cluster.unique(part);
            step.run(Command::new("ip").args(["netns", "delete", &name]))?;
            namespaces.push(name);
        }
    }
    note(&mut removed, "namespaces", namespaces);

    step.log("removing cgroups");
    let mut cgroups = Vec::new();
    for group in &groups {
        // The kernel may take a moment to forget the processes that were in it.
        let mut last = None;
        let count = wait_for("a cgroup is empty", Duration::from_secs(5), || {
            let result = cgroup::remove(group);
            let count = result.as_ref().ok().copied();
            last = result.err();
            Ok(count)
        });
        let count = count.map_err(|error| last.take().unwrap_or(error))?;
        cgroups.extend(std::iter::repeat_n(group.clone(), count));
    }
    note(&mut removed, "cgroups", cgroups);

    step.log("removing files");
    let mut files = remove_files(cluster, shims)?;
    files.extend(Machine::this().leave(&cluster.name)?.into_iter().map(str::to_owned));
    note(&mut removed, "files", files);
    Ok(removed)
}

fn note(removed: &mut Removed, kind: &'static str, names: Vec<String>) {
    if !names.is_empty() {
        removed.insert(kind, names);
    }
}

/// Kills until nothing is left: a process may start another while it is looked at.
fn end_processes(groups: &[String]) -> Result<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut names = Vec::new();
    wait_for("the cluster's processes end", Duration::from_secs(30), || {
        let running: BTreeSet<u32> = groups.iter().flat_map(|group| cgroup::processes(group)).collect();
        names.extend(running.difference(&seen).map(|pid| process::name(*pid)));
        let running: Vec<u32> = running.into_iter().collect();
        process::kill(&running);
        seen.extend(&running);
        Ok(running.is_empty().then_some(()))
    })?;
    Ok(names)
}

/// Unmounts all that is mounted below the folders, the newest first.
fn unmount(step: &Step, folders: &[PathBuf]) -> Result<Vec<String>> {
    let text = fs::read_to_string("/proc/self/mounts").context("cannot read the mounts")?;
    let places = text.lines().rev().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let place = PathBuf::from(unescape(fields.next()?));
        folders.iter().any(|folder| place.starts_with(folder)).then_some((place, fields.next()?))
    });
    let mut removed = Vec::new();
    for (place, kind) in places {
        // Lazily, as a dying container may still hold it.
        step.run(Command::new("umount").arg("--lazy").arg(&place))?;
        removed.push(kind.to_owned());
    }
    Ok(removed)
}

/// The kernel writes spaces of a path as `\040`.
fn unescape(path: &str) -> String {
    path.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
}

/// containerd's shims listen outside of its folders, under names that only it knows.
fn shim_sockets(cluster: &Cluster) -> Vec<PathBuf> {
    let tasks = |node: PathBuf| node.join("containerd/state/io.containerd.runtime.v2.task/k8s.io");
    let nodes = (1..=MAX_NODES).map(|index| cluster.data().join(format!("n{index}")));
    nodes
        .flat_map(|node| fs::read_dir(tasks(node)).into_iter().flatten().flatten())
        .filter_map(|task| fs::read_to_string(task.path().join("address")).ok())
        .filter_map(|address| Some(PathBuf::from(address.trim().strip_prefix("unix://")?)))
        .collect()
}

fn remove_files(cluster: &Cluster, shims: Vec<PathBuf>) -> Result<Vec<String>> {
    let mut files: Vec<(&str, PathBuf)> = shims.into_iter().map(|socket| ("shim's socket", socket)).collect();
    // Tools that have one place for all: the results of pods' networks, and links to pods' logs.
    for index in 1..=MAX_NODES {
        let network = format!("{}-", cluster.unique(&format!("n{index}")));
        for file in entries(CNI_RESULTS) {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // `<network>-<pod>-eth0`; beside it stands the pod's own loopback.
            let Some(pod) = name.strip_prefix(&network).and_then(|rest| rest.strip_suffix("-eth0")) else {
                continue;
            };
            files.push(("pod's address", Path::new(CNI_RESULTS).join(format!("cni-loopback-{pod}-lo"))));
            files.push(("pod's address", file));
        }
    }
    let ours = |link: &PathBuf| fs::read_link(link).is_ok_and(|to| to.starts_with(cluster.data()));
    files.extend(entries("/var/log/containers").filter(ours).map(|link| ("link to a log", link)));
    files.push(("state", state::file(cluster)));
    files.push(("kubeconfig", cluster.kubeconfig()));
    files.push(("data", cluster.data()));
    // The last, as it says whose all of this is.
    files.push(("sockets", cluster.sockets.clone()));

    let mut removed = Vec::new();
    for (what, file) in files {
        let Ok(kind) = fs::symlink_metadata(&file) else { continue };
        let result = if kind.is_dir() { fs::remove_dir_all(&file) } else { fs::remove_file(&file) };
        result.with_context(|| format!("cannot remove {}", file.display()))?;
        removed.push(what.to_owned());
    }
    Ok(removed)
}

fn entries(folder: &str) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_names_are_counted() {
        let names = ["socat", "kubelet", "socat"].map(str::to_owned);
        assert_eq!(summary(&names), "kubelet, socat ×2");
    }

    #[test]
    fn paths_of_mounts_are_read() {
        assert_eq!(unescape("/a\\040b"), "/a b");
    }
}
