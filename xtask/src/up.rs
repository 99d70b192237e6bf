//! From nothing to a running BrokerCluster.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::binaries;
use crate::cluster::Cluster;
use crate::images::{self, Image};
use crate::paths::Paths;
use crate::steps::{Step, Steps};

/// A cluster to install on, ours or the user's.
pub(crate) struct Target {
    pub(crate) paths: Paths,
    /// Chooses the cluster for kubectl and Helm: our kubeconfig, or a context of the user's.
    kubeconfig: Option<PathBuf>,
    context: Option<String>,
    /// Where the images are, up to their short names.
    repository: String,
}

impl Target {
    pub(crate) fn local(paths: &Paths, cluster: &Cluster) -> Result<Self> {
        Ok(Self {
            paths: paths.clone(),
            kubeconfig: Some(cluster.kubeconfig()),
            context: None,
            repository: "localhost/switchboard".to_owned(),
        })
    }

    pub(crate) fn kubectl(&self) -> Command {
        let mut command = Command::new(binaries::kubectl(&self.paths));
        if let Some(file) = &self.kubeconfig {
            command.env("KUBECONFIG", file);
        }
        command.args(self.context.iter().flat_map(|context| ["--context", context]));
        command
    }

    fn helm(&self) -> Command {
        let mut command = Command::new(self.paths.bin("helm"));
        if let Some(file) = &self.kubeconfig {
            command.env("KUBECONFIG", file);
        }
        command.args(self.context.iter().flat_map(|context| ["--kube-context", context]));
        command
    }

    /// The name of an image, with the tag that changes with its contents.
    fn image(&self, image: Image) -> Result<(String, String)> {
        Ok((format!("{}/{}", self.repository, image.name()), image.tag(&self.paths)?))
    }
}

/// Installs the operator and Prometheus.
pub(crate) fn install(steps: &Steps, target: &Target) -> Result<()> {
    steps.run("chart", |step| chart(step, target))
}

fn chart(step: &Step, target: &Target) -> Result<()> {
    let (operator, tag) = target.image(images::OPERATOR)?;
    let mut helm = target.helm();
    helm.args(["upgrade", "--install", "switchboard"]).arg(target.paths.root.join("charts/switchboard"));
    helm.args(["--namespace", "switchboard-system", "--create-namespace", "--wait", "--timeout", "120s"]);
    helm.args(["--set", &format!("image.repository={operator},image.tag={tag}")]);
    step.run(&mut helm)
}
