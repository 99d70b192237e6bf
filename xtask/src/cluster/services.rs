//! What runs beside the nodes: DNS and the provisioner of volumes, with the objects they need.

use std::fs;
use std::process::Command;

use anyhow::Result;

use super::{Cluster, State, process};
use crate::steps::Step;

pub(super) fn start(step: &Step, cluster: &Cluster, state: &mut State) -> Result<()> {
    let manifest = cluster.paths.root.join("e2e/cluster/manifests/local.yaml");
    step.run(cluster.kubectl().args(["apply", "--server-side", "-f"]).arg(manifest))?;

    let data = cluster.data();
    let corefile = data.join("Corefile");
    let kubeconfig = data.join("pki/dns.conf");
    // Names outside of the cluster have no answer: nothing leads out.
    fs::write(
        &corefile,
        format!(
            "cluster.local:53 in-addr.arpa:53 {{\n    errors\n    kubernetes cluster.local in-addr.arpa {{\n        \
             kubeconfig {}\n        ttl 5\n    }}\n    cache 5\n}}\n.:53 {{\n    errors\n}}\n",
            kubeconfig.display()
        ),
    )?;
    let mut dns = Command::new(cluster.paths.bin("coredns"));
    dns.arg("-conf").arg(&corefile);
    process::start(cluster, state, "coredns", Some("cp"), &dns)?;

    let volumes = data.join("volumes");
    fs::create_dir_all(&volumes)?;
    let mut provisioner = Command::new(cluster.paths.bin("provisioner"));
    provisioner.arg("-kubeconfig").arg(data.join("pki/provisioner.conf")).arg("-root").arg(volumes);
    process::start(cluster, state, "provisioner", Some("cp"), &provisioner)
}
