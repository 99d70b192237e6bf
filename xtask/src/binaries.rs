//! The cluster's upstream programs, built from the Go module in `e2e/cluster`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::paths::{Paths, which};
use crate::steps::{Step, Steps};

/// Program and Go package; those that the operator's tests wait for come first.
const API: &[(&str, &str)] = &[
    ("etcd", "./etcd"),
    ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    ("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
];
const NODE: &[(&str, &str)] = &[
    ("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
    ("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
    ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
    ("coredns", "./coredns"),
    ("provisioner", "./provisioner"),
    ("pause", "./pause"),
];
/// Goes into the image of Prometheus.
const DISCOVERY: &[(&str, &str)] = &[("discovery", "./discovery")];
const HELM: &[(&str, &str)] = &[("helm", "helm.sh/helm/v3/cmd/helm")];
const KUBECTL: &[(&str, &str)] = &[("kubectl", "k8s.io/kubernetes/cmd/kubectl")];

/// Which programs are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    /// An API server with its store and controllers.
    Api,
    /// Helm, and kubectl where the machine has none.
    Clients,
    /// What a cluster of the user's needs: the clients, and what goes into images.
    Remote,
    /// A whole cluster and its clients.
    All,
}

/// Builds what is missing or older than the Go module.
pub(crate) fn ensure(steps: &Steps, paths: &Paths, set: Set) -> Result<()> {
    steps.run("cluster programs", |step| {
        let _lock = paths.build_lock(step)?;
        let module = paths.root.join("e2e/cluster");
        let flags = linker_flags(&module)?;
        let mut built = Vec::new();
        let own_kubectl: &[_] = if which("kubectl").is_some() { &[] } else { KUBECTL };
        let groups: &[&[(&str, &str)]] = match set {
            Set::Api => &[API],
            Set::Clients => &[HELM, own_kubectl],
            Set::Remote => &[HELM, own_kubectl, DISCOVERY],
            Set::All => &[API, NODE, HELM, own_kubectl, DISCOVERY],
        };
        for (name, package) in groups.iter().copied().flatten() {
            if build(step, paths, &module, name, package, &flags)? {
                built.push(*name);
            }
        }
        step.note(if built.is_empty() {
            "up to date".to_owned()
        } else {
            format!("built {}", built.join(", "))
        });
        Ok(())
    })
}

/// The machine's kubectl, else our own.
pub(crate) fn kubectl(paths: &Paths) -> PathBuf {
    which("kubectl").unwrap_or_else(|| paths.bin("kubectl"))
}

fn build(step: &Step, paths: &Paths, module: &Path, name: &str, package: &str, flags: &str) -> Result<bool> {
    let stamp = stamp(module, package, flags)?;
    let (file, mark) = (paths.bin(name), paths.bin(&format!("{name}.stamp")));
    if file.exists() && fs::read_to_string(&mark).is_ok_and(|old| old == stamp) {
        return Ok(false);
    }
    if which("go").is_none() {
        bail!("Go is not on the PATH; install Go 1.26 or newer (https://go.dev/dl), then run this again");
    }
    fs::create_dir_all(paths.cluster.join("bin"))?;
    step.log(format!("building {name}; Kubernetes takes minutes the first time"));
    // Built beside and moved over, as the old program may be running.
    let fresh = paths.bin(&format!("{name}.new"));
    let mut go = Command::new("go");
    go.current_dir(module).env("CGO_ENABLED", "0").args(["build", "-trimpath", "-ldflags", flags, "-o"]);
    step.run(go.arg(&fresh).arg(package))?;
    fs::rename(&fresh, &file)?;
    fs::write(&mark, stamp)?;
    Ok(true)
}

/// What each program says of its version; without it the API server calls itself v0.0.0.
fn linker_flags(module: &Path) -> Result<String> {
    let text = fs::read_to_string(module.join("go.mod")).context("cannot read e2e/cluster/go.mod")?;
    let kubernetes = version(&text, "k8s.io/kubernetes")?;
    let helm = version(&text, "helm.sh/helm/v3")?;
    let coredns = version(&text, "github.com/coredns/coredns")?;
    let mut parts = kubernetes.trim_start_matches('v').split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut flags = format!(
        "-s -w -X k8s.io/component-base/version.gitVersion={kubernetes} \
         -X k8s.io/component-base/version.gitMajor={major} -X k8s.io/component-base/version.gitMinor={minor} \
         -X helm.sh/helm/v3/internal/version.version={helm} -X github.com/coredns/coredns/coremain.GitCommit={coredns}"
    );
    // Helm's lint and offline rendering assume an old Kubernetes unless they are told.
    for package in ["lint/rules", "chartutil"] {
        flags += &format!(
            " -X helm.sh/helm/v3/pkg/{package}.k8sVersionMajor={major} \
             -X helm.sh/helm/v3/pkg/{package}.k8sVersionMinor={minor}"
        );
    }
    Ok(flags)
}

fn version<'a>(go_mod: &'a str, module: &str) -> Result<&'a str> {
    let line = go_mod.lines().find_map(|line| line.trim().strip_prefix(module)?.strip_prefix(' '));
    line.and_then(|rest| rest.split_whitespace().next())
        .with_context(|| format!("e2e/cluster/go.mod does not require {module}"))
}

/// Changes with the module's pins, the program's own main and the flags.
fn stamp(module: &Path, package: &str, flags: &str) -> Result<String> {
    let mut files = vec![module.join("go.mod"), module.join("go.sum")];
    if package.starts_with("./") {
        let sources = fs::read_dir(module.join(package))?.flatten().map(|file| file.path());
        files.extend(sources.filter(|file| file.extension().is_some_and(|end| end == "go")));
    }
    files.sort();
    let mut hash = Sha256::new_with_prefix(flags);
    for file in files {
        hash.update(fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?);
    }
    Ok(format!("{:x}", hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_go_mod() {
        let text = "require (\n\tk8s.io/kubernetes v1.34.4\n\tk8s.io/api v0.34.4 // indirect\n)\n";
        assert_eq!(version(text, "k8s.io/kubernetes").unwrap(), "v1.34.4");
        assert!(version(text, "helm.sh/helm/v3").is_err());
    }
}
