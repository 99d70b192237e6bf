//! Control groups, in the old layout (a hierarchy per controller) and in the unified one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Where control groups are mounted: one place, or one per controller.
fn hierarchies() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut found: Vec<PathBuf> = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let place = fields.nth(1)?;
            fields.next()?.starts_with("cgroup").then(|| PathBuf::from(place))
        })
        .filter(|place| place.starts_with("/sys/fs/cgroup"))
        .collect();
    found.dedup();
    found
}

/// The hierarchy in which the cluster's processes are kept together.
pub(super) fn tracking(name: &str) -> PathBuf {
    let root = Path::new("/sys/fs/cgroup");
    if root.join("cgroup.controllers").exists() { root.join(name) } else { root.join("pids").join(name) }
}

/// The groups in which clusters keep their processes, of this checkout or another.
pub(super) fn of_clusters() -> Vec<String> {
    let entries = fs::read_dir(tracking("")).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.starts_with("sb-") && name.ends_with("-all")).collect()
}

/// Makes a group in every hierarchy.
pub(super) fn make(name: &str) -> Result<()> {
    for root in hierarchies() {
        let group = root.join(name);
        fs::create_dir_all(&group).with_context(|| format!("cannot make the cgroup {}", group.display()))?;
        // A group of the old cpuset hierarchy takes no process before it has processors and memory.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let (from, to) = (root.join(file), group.join(file));
            if from.exists() && to.exists() {
                fs::write(to, fs::read(from)?)?;
            }
        }
        // In the unified one, controllers have to be handed down; those that are not there are left out.
        if root.join("cgroup.controllers").exists() {
            for controller in ["cpu", "cpuset", "memory", "pids", "io", "hugetlb"] {
                let _ = fs::write(root.join("cgroup.subtree_control"), format!("+{controller}"));
            }
        }
    }
    Ok(())
}

/// The processes of a group and of all below it.
pub(super) fn processes(name: &str) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for root in hierarchies() {
        for group in below(&root.join(name)) {
            let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
            found.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
        }
    }
    found
}

/// Removes a group and all below it; says how many went.
pub(super) fn remove(name: &str) -> Result<usize> {
    let mut removed = 0;
    for root in hierarchies() {
        for group in below(&root.join(name)) {
            fs::remove_dir(&group)
                .with_context(|| format!("cannot remove the cgroup {}", group.display()))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// A folder and all folders in it, the deepest first.
fn below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let folders = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut found: Vec<PathBuf> = folders.flat_map(|entry| below(&entry.path())).collect();
    found.push(folder.to_owned());
    found
}
