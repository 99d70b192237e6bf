//! Programs of the system that the work needs: what is missing is named with its reason, then installed.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::paths::which;
use crate::steps::{Step, Steps};
use crate::terminal::{bold, dim, say};

/// A thing that has to be on the machine.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Need {
    /// A program on the PATH, or a file by its whole path.
    probe: &'static str,
    /// Debian's package.
    package: &'static str,
    why: &'static str,
}

const fn need(probe: &'static str, package: &'static str, why: &'static str) -> Need {
    Need { probe, package, why }
}

/// For the images, wherever they run.
pub(crate) const IMAGES: &[Need] = &[
    need("buildah", "buildah", "builds the container images"),
    need("mmdebstrap", "mmdebstrap", "makes the images' base from the system's packages"),
];

/// For the local cluster.
pub(crate) const CLUSTER: &[Need] = &[
    need("containerd", "containerd", "runs the pods"),
    need("runc", "runc", "starts a pod's containers"),
    need("/usr/lib/cni/ptp", "containernetworking-plugins", "connects pods to the network"),
    need("ip", "iproute2", "makes the network namespaces"),
    need("nft", "nftables", "kube-proxy's rules for Services"),
    need("socat", "socat", "brings the cluster's ports to loopback"),
    need("openssl", "openssl", "makes the cluster's certificates"),
];

/// For the checks of the sources.
pub(crate) const CHECKS: &[Need] = &[need("git", "git", "lists the files of the checkout")];

/// For what comes from the npm registry: clients, and the server that the brokers are measured beside.
pub(crate) const NODE: &[Need] = &[
    need("node", "nodejs", "runs the clients and servers that the broker is tested with and measured beside"),
    need("npm", "npm", "installs them"),
];

/// For the broker's tests with clients that other people wrote, beside [`NODE`].
pub(crate) const CLIENTS: &[Need] = &[
    need("chromium", "chromium", "a browser listens to the broker in its tests"),
    need("nc", "netcat-openbsd", "speaks to the broker over TCP and UDP in its tests"),
    need("curl", "curl", "listens to the broker in its tests"),
];

/// For fuzzing.
pub(crate) const FUZZ: &[Need] = &[need("c++", "g++", "builds libFuzzer")];

/// For the broker's tests on Redis.
pub(crate) const REDIS: &[Need] = &[
    need("redis-server", "redis-server", "the broker's tests start real servers"),
    need("redis-cli", "redis-tools", "looks into those servers"),
];

/// For `cluster up --registry`.
pub(crate) const REGISTRY: &[Need] =
    &[need("docker-registry", "docker-registry", "an image registry on loopback")];

fn missing<'a>(needs: impl IntoIterator<Item = &'a Need>) -> Vec<&'a Need> {
    let there =
        |probe: &str| if probe.starts_with('/') { Path::new(probe).exists() } else { which(probe).is_some() };
    needs.into_iter().filter(|need| !there(need.probe)).collect()
}

/// Makes sure that everything of the groups is there; installs what is not.
pub(crate) fn ensure(steps: &Steps, groups: &[&'static [Need]]) -> Result<()> {
    let missing = missing(groups.iter().copied().flatten());
    if !missing.is_empty() {
        say("\n  These are missing and get installed with apt-get:\n");
        for need in &missing {
            say(format!("    {:<28} {}", bold(need.package), dim(need.why)));
        }
        say("");
    }
    let mut names: Vec<&str> = missing.iter().map(|need| need.package).collect();
    names.dedup();
    steps.run("packages", |step| {
        if names.is_empty() {
            step.note("all there");
            return Ok(());
        }
        if which("apt-get").is_none() {
            bail!("this system has no apt-get; install the equivalents of: {}", names.join(" "));
        }
        install(step, &names)?;
        step.note(names.join(", "));
        Ok(())
    })
}

/// Installs what a folder's lock file names, when it is not there.
pub(crate) fn npm(steps: &Steps, name: &str, folder: &Path) -> Result<()> {
    steps.run(name, |step| {
        let written = |file: &str| fs::metadata(folder.join(file)).and_then(|file| file.modified()).ok();
        // npm writes this file at the end of an installation.
        let installed = written("node_modules/.package-lock.json");
        if installed.is_some() && installed >= written("package-lock.json") {
            step.note("all there");
            return Ok(());
        }
        let mut npm = Command::new("npm");
        step.run(npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(folder))
    })
}

fn install(step: &Step, names: &[&str]) -> Result<()> {
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(["-o", "DPkg::Lock::Timeout=120"]).args(args);
        command
    };
    let args = [&["install", "-y", "--no-install-recommends"], names].concat();
    // Old lists are the usual reason of a failure: try with what is there, then with new ones.
    if step.run(&mut apt(&args)).is_err() {
        step.run(&mut apt(&["update"]))?;
        if step.run(&mut apt(&args)).is_err() {
            bail!("apt-get could not install them; as root: apt-get install {}", names.join(" "));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_missing() {
        let needs = [need("sh", "dash", ""), need("/no/such/file", "nothing", "")];
        assert_eq!(missing(&needs), [&needs[1]]);
    }
}
