//! Container images, without a container engine: built by buildah, handed to the nodes as archives.

mod rootfs;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::cluster::{self, Cluster, State};
use crate::paths::Paths;
use crate::steps::{Step, Steps};

/// An image of this project, by its short name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Image(&'static str);

pub(crate) const BROKER: Image = Image("broker");
pub(crate) const OPERATOR: Image = Image("operator");
pub(crate) const PAUSE: Image = Image("pause");
pub(crate) const PROMETHEUS: Image = Image("prometheus");
pub(crate) const REDIS: Image = Image("redis");
/// Node.js, for what the tests run beside the brokers.
pub(crate) const NODE: Image = Image("node");

/// What `up` installs.
pub(crate) const ALL: [Image; 4] = [BROKER, OPERATOR, REDIS, PROMETHEUS];
/// The same, and what every pod of a local cluster needs.
pub(crate) const WITH_PAUSE: [Image; 5] = [PAUSE, BROKER, OPERATOR, REDIS, PROMETHEUS];
const BASE: Image = Image("base");

impl Image {
    pub(crate) fn name(self) -> &'static str {
        self.0
    }

    /// The name under which the nodes of a local cluster have it.
    pub(crate) fn reference(self) -> String {
        format!("{}:dev", self.repository())
    }

    pub(crate) fn repository(self) -> String {
        format!("localhost/switchboard/{}", self.0)
    }

    /// The tag that changes with the image's contents.
    pub(crate) fn tag(self, paths: &Paths) -> Result<String> {
        Ok(digest_of(&archive(paths, self))?.chars().take(12).collect())
    }
}

fn folder(paths: &Paths) -> PathBuf {
    paths.cluster.join("images")
}

/// The file in which an image travels to the nodes.
pub(crate) fn archive(paths: &Paths, image: Image) -> PathBuf {
    folder(paths).join(format!("{}.tar", image.0))
}

/// A digest of what the archive was built from.
pub(crate) fn digest_of(archive: &Path) -> Result<String> {
    let file = archive.with_extension("digest");
    fs::read_to_string(&file)
        .with_context(|| format!("{} is not built; run: cargo xtask images", archive.display()))
}

/// Builds the two release binaries.
pub(crate) fn build_release(steps: &Steps, paths: &Paths) -> Result<()> {
    steps.run("broker and operator", |step| {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&paths.root).args(["build", "--release", "--bins"]);
        step.run(cargo.args(["-p", "switchboard-broker", "-p", "switchboard-operator"]))
    })
}

/// Builds the images whose inputs changed.
pub(crate) fn ensure(steps: &Steps, paths: &Paths, images: &[Image]) -> Result<()> {
    steps.run("images", |step| {
        let _lock = paths.build_lock(step)?;
        fs::create_dir_all(folder(paths))?;
        rootfs::ensure(step, paths, images)?;
        let mut built = Vec::new();
        for image in images {
            if build(step, paths, *image)? {
                built.push(image.0);
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

/// Gives every node the images that it does not have.
pub(crate) fn import(steps: &Steps, cluster: &Cluster, state: &State, images: &[Image]) -> Result<()> {
    steps.run("images to nodes", |step| {
        for image in images {
            cluster::import(step, cluster, state, *image)?;
        }
        Ok(())
    })
}

/// Pushes images to a registry; each gets the tag of its contents.
pub(crate) fn push(steps: &Steps, paths: &Paths, images: &[Image], repository: &str) -> Result<()> {
    steps.run("images to registry", |step| {
        // Only a registry on this very machine may do without encryption.
        let host = repository.split(['/', ':']).next().unwrap_or_default();
        let verify = !matches!(host, "localhost" | "127.0.0.1");
        for image in images {
            let target = format!("docker://{repository}/{}:{}", image.0, image.tag(paths)?);
            let verify = format!("--tls-verify={verify}");
            step.run(buildah(paths).args(["push", &verify, &image.reference(), &target]))
                .with_context(|| format!("cannot push to {repository}; log in with: buildah login {host}"))?;
        }
        step.note(repository);
        Ok(())
    })
}

fn buildah(paths: &Paths) -> Command {
    let mut command = Command::new("buildah");
    let storage = folder(paths).join("storage");
    command.arg("--root").arg(storage.join("root")).arg("--runroot").arg(storage.join("run"));
    command.args(["--storage-driver", "vfs"]);
    command
}

/// A file of an image's build context: its name there, and where it is now.
type Input = (&'static str, PathBuf);

/// The Containerfile and the files that it copies.
fn inputs(paths: &Paths, image: Image) -> Result<(PathBuf, Vec<Input>)> {
    let release = |name: &str| paths.target.join("release").join(name);
    let local = |name: &str| paths.root.join("e2e/cluster/images").join(format!("{name}.Containerfile"));
    Ok(match image {
        BROKER => (paths.root.join("broker/Containerfile"), vec![("broker", release("broker"))]),
        OPERATOR => (paths.root.join("operator/Containerfile"), vec![("operator", release("operator"))]),
        PAUSE => (local("pause"), vec![("pause", paths.bin("pause"))]),
        BASE => (local("base"), vec![("base.tar", rootfs::file(paths, "base"))]),
        NODE => (local("node"), vec![("node.tar", rootfs::file(paths, "node"))]),
        REDIS => (local("redis"), vec![("redis.tar", rootfs::file(paths, "redis"))]),
        PROMETHEUS => {
            let root = ("prometheus.tar", rootfs::file(paths, "prometheus"));
            (local("prometheus"), vec![root, ("discovery", paths.bin("discovery"))])
        }
        Image(other) => bail!("no image is called {other}"),
    })
}

/// One digest of many, without the files' names: a checkout may stand elsewhere.
fn digest(sums: &str) -> String {
    let sums: String = sums.lines().filter_map(|line| line.split(' ').next()).collect();
    format!("{:x}", Sha256::digest(sums))
}

fn build(step: &Step, paths: &Paths, image: Image) -> Result<bool> {
    let (containerfile, files) = inputs(paths, image)?;
    let based = matches!(image, BROKER | OPERATOR);
    let mut sums = Command::new("sha256sum");
    // A child, as xtask itself is compiled without optimisation and the files are large.
    sums.arg(&containerfile).args(files.iter().map(|(_, file)| file));
    if based {
        build(step, paths, BASE)?;
        sums.arg(archive(paths, BASE).with_extension("digest"));
    }
    let digest = digest(&step.output(&mut sums)?);
    let archive = archive(paths, image);
    if archive.exists() && digest_of(&archive).is_ok_and(|old| old == digest) {
        return Ok(false);
    }

    let context = folder(paths).join("context").join(image.0);
    let _ = fs::remove_dir_all(&context);
    fs::create_dir_all(&context)?;
    for (name, file) in &files {
        fs::hard_link(file, context.join(name)).or_else(|_| fs::copy(file, context.join(name)).map(drop))?;
    }
    step.log(format!("building the image {}", image.0));
    let mut command = buildah(paths);
    command.args(["build", "--isolation", "chroot", "--quiet", "--tag", &image.reference()]);
    if based {
        command.arg("--build-arg").arg(format!("BASE={}", BASE.reference()));
    }
    step.run(command.arg("--file").arg(&containerfile).arg(&context))?;
    let _ = fs::remove_file(&archive);
    let target = format!("docker-archive:{}:{}", archive.display(), image.reference());
    step.run(buildah(paths).args(["push", "--quiet", &image.reference(), &target]))?;
    fs::write(archive.with_extension("digest"), digest)?;
    // Layers of the image that was replaced.
    step.run(buildah(paths).args(["rmi", "--prune"]))?;
    Ok(true)
}
