//! Where things stand in the checkout.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::steps::Step;

/// Folders of this checkout.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    /// The checkout.
    pub(crate) root: PathBuf,
    /// Cargo's target folder.
    pub(crate) target: PathBuf,
    /// What is built and kept for clusters: programs, images, logs.
    pub(crate) cluster: PathBuf,
}

impl Paths {
    pub(crate) fn find() -> Result<Self> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        let root = manifest.parent().context("xtask is not inside a checkout")?.to_owned();
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let target = if target.is_absolute() { target } else { root.join(target) };
        let cluster = root.join("target/cluster");
        Ok(Self { root, target, cluster })
    }

    pub(crate) fn bin(&self, name: &str) -> PathBuf {
        self.cluster.join("bin").join(name)
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.cluster.join("logs")
    }

    /// Waits until no other run builds programs or images of this checkout, and keeps them away.
    pub(crate) fn build_lock(&self, step: &Step) -> Result<File> {
        fs::create_dir_all(&self.cluster)?;
        let file = File::create(self.cluster.join("build.lock"))?;
        step.log("waiting for another run of this checkout to end its build");
        file.lock().context("cannot lock target/cluster/build.lock")?;
        Ok(file)
    }

    /// The path as a user in the checkout would type it.
    pub(crate) fn short(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

/// Finds a program on the PATH.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    // Daemons of the system stand in folders that an ordinary user's PATH may lack.
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}
