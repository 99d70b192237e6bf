//! File systems made from the system's own packages, where no base image can be pulled.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, bail};

use super::{BROKER, Image, NODE, OPERATOR, PROMETHEUS, REDIS};
use crate::paths::Paths;
use crate::steps::Step;

/// The packages of each file system. The base has the C library that the binaries were linked with:
/// it is made from the release that this machine runs.
const ROOTS: [(&str, &str); 4] = [
    ("base", "base-files,base-passwd,ca-certificates,coreutils,dash,libc6,libgcc-s1,tzdata"),
    ("node", "base-files,base-passwd,coreutils,dash,nodejs"),
    ("redis", "base-files,base-passwd,coreutils,dash,redis-server,redis-tools"),
    ("prometheus", "base-files,base-passwd,ca-certificates,coreutils,dash,prometheus,tzdata"),
];

/// What the packages bring along that no pod looks at: a node imports in a third of the time without.
const NEEDLESS: [&str; 13] = [
    "/usr/share/bug/*",
    "/usr/share/doc/*",
    "/usr/share/fonts/*",
    "/usr/share/info/*",
    "/usr/share/javascript/*",
    "/usr/share/lintian/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
    "/usr/share/perl*",
    "/usr/lib/*/perl*",
    "/usr/lib/*/libperl*",
    "/usr/bin/perl*",
    "/usr/bin/promtool",
];

pub(super) fn file(paths: &Paths, name: &str) -> PathBuf {
    super::folder(paths).join(format!("root-{name}.tar"))
}

/// Makes those that the images need and that are not there.
pub(super) fn ensure(step: &Step, paths: &Paths, images: &[Image]) -> Result<()> {
    let wanted = |root: &str| match root {
        "base" => images.contains(&BROKER) || images.contains(&OPERATOR),
        "node" => images.contains(&NODE),
        "redis" => images.contains(&REDIS),
        _ => images.contains(&PROMETHEUS),
    };
    let release = release()?;
    // They wait for the network most of the time: all at once.
    thread::scope(|scope| {
        let works: Vec<_> = ROOTS
            .iter()
            .filter(|(name, _)| wanted(name))
            .map(|(name, packages)| scope.spawn(|| make(step, paths, &release, name, packages)))
            .collect();
        works.into_iter().try_for_each(|work| match work.join() {
            Ok(result) => result,
            Err(_) => bail!("a file system could not be made"),
        })
    })
}

fn make(step: &Step, paths: &Paths, release: &str, name: &str, packages: &str) -> Result<()> {
    let (file, mark) = (file(paths, name), file(paths, name).with_extension("made"));
    let wanted = format!("{release} {packages} without {}", NEEDLESS.join(" "));
    if file.exists() && fs::read_to_string(&mark).is_ok_and(|made| made == wanted) {
        return Ok(());
    }
    step.log(format!("making the file system {name} from {release}'s packages"));
    let fresh = file.with_extension("new.tar");
    let mut command = Command::new("mmdebstrap");
    // Unpacked only: nothing of it has to be configured to run one program.
    command.args(["--variant=extract", "--mode=root", "--quiet", &format!("--include={packages}")]);
    command.args(NEEDLESS.map(|path| format!("--dpkgopt=path-exclude={path}")));
    step.run(command.arg(release).arg(&fresh))?;
    fs::rename(&fresh, &file)?;
    Ok(fs::write(mark, wanted)?)
}

/// The code name of the machine's release.
fn release() -> Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
    let name = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    name.map(|name| name.trim_matches('"').to_owned())
        .filter(|name| !name.is_empty())
        .context("/etc/os-release has no VERSION_CODENAME; the images need a Debian-like system")
}
