//! The cluster to install on: the local one, or one that the user has.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::binaries;
use crate::cluster::Cluster;
use crate::images::Image;
use crate::paths::Paths;

/// A cluster, how it is reached, and where its images are.
pub(crate) struct Target {
    pub(crate) paths: Paths,
    kubeconfig: Option<PathBuf>,
    context: Option<String>,
    repository: String,
}

impl Target {
    /// A cluster of ours, whose nodes are given the images.
    pub(crate) fn local(paths: &Paths, cluster: &Cluster) -> Self {
        Self {
            paths: paths.clone(),
            kubeconfig: Some(cluster.kubeconfig()),
            context: None,
            repository: "localhost/switchboard".to_owned(),
        }
    }

    /// A context of the user's kubeconfig, whose nodes pull from the user's registry.
    pub(crate) fn of_user(paths: &Paths, context: &str, repository: &str) -> Self {
        Self {
            paths: paths.clone(),
            kubeconfig: None,
            context: Some(context.to_owned()),
            repository: repository.to_owned(),
        }
    }

    pub(super) fn kubectl(&self) -> Command {
        self.command(binaries::kubectl(&self.paths), "--context")
    }

    pub(super) fn helm(&self) -> Command {
        self.command(self.paths.bin("helm"), "--kube-context")
    }

    fn command(&self, program: PathBuf, context: &str) -> Command {
        let mut command = Command::new(program);
        if let Some(file) = &self.kubeconfig {
            command.env("KUBECONFIG", file);
        }
        command.args(self.context.iter().flat_map(|name| [context, name]));
        command
    }

    /// An image's name without its tag.
    pub(super) fn repository(&self, image: Image) -> String {
        format!("{}/{}", self.repository, image.name())
    }

    /// An image's whole name, with the tag that changes with its contents.
    pub(super) fn image(&self, image: Image) -> Result<String> {
        Ok(format!("{}:{}", self.repository(image), image.tag(&self.paths)?))
    }
}
