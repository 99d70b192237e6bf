//! What all clusters of this machine share: settings of the kernel, and a socket that every kubelet puts in the same
//! place. The first cluster notes how the machine was, the last one leaves it so.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{cgroup, process, state};

/// Below it stands what must not outlive a boot: sockets, and the note of this module.
pub(super) const RUN: &str = "/run/switchboard";

/// A kubelet sets these for itself and for the whole machine.
const SYSCTLS: [&str; 6] = [
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
];

/// The machine, by the places that matter here.
pub(super) struct Machine {
    run: PathBuf,
    sysctls: PathBuf,
    /// Where a kubelet meets device plugins, whatever its root folder is; it empties the folder when it starts.
    plugins: PathBuf,
}

/// Kept while there are clusters, for all of them together: the second one would only see what the first one's
/// kubelet has set.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    /// The machine's boot: what an earlier one had is of no use.
    boot: String,
    clusters: BTreeSet<String>,
    /// The settings as they were before the first of them.
    sysctls: BTreeMap<String, String>,
}

impl Machine {
    pub(super) fn this() -> Self {
        Self {
            run: RUN.into(),
            sysctls: "/proc/sys".into(),
            plugins: "/var/lib/kubelet/device-plugins".into(),
        }
    }

    /// Refuses to start a kubelet beside one that is not ours, whose plugins it would remove.
    pub(super) fn check(&self) -> Result<()> {
        let socket = self.socket();
        let listeners = fs::read_to_string("/proc/net/unix").unwrap_or_default();
        // Ours have networks of their own, and are never seen in the host's.
        let on_the_host = listens(&listeners, &socket);
        let somewhere = UnixStream::connect(&socket).is_ok();
        if on_the_host || somewhere && !our_kubelet_runs() {
            bail!(
                "this machine runs a kubelet already: it listens on {}\n\
                 a local cluster's kubelet uses the same place, and would remove that one's device plugins\n\
                 stop it first, or use its cluster: cargo xtask up --context NAME --registry REPOSITORY",
                socket.display()
            );
        }
        Ok(())
    }

    /// Notes a cluster before it changes anything, and how the machine was before the first.
    pub(super) fn enter(&self, cluster: &str) -> Result<()> {
        let _lock = self.lock()?;
        let mut note = match self.note()? {
            Some(note) => note,
            None => Note { boot: state::boot()?, clusters: BTreeSet::new(), sysctls: self.settings() },
        };
        note.clusters.insert(cluster.to_owned());
        self.write(&note)
    }

    /// Forgets a cluster that is gone. The last one leaves the machine as the first one found it; what was removed
    /// for that is returned.
    pub(super) fn leave(&self, cluster: &str) -> Result<Vec<&'static str>> {
        let _lock = self.lock()?;
        let mut removed = Vec::new();
        if let Some(mut note) = self.note()? {
            note.clusters.remove(cluster);
            if !note.clusters.is_empty() {
                self.write(&note)?;
                return Ok(removed);
            }
            for (name, value) in &note.sysctls {
                // A machine that forbids it forbade the kubelet too.
                let _ = fs::write(self.sysctls.join(name), value);
            }
            removed.extend(self.remove_socket()?);
        }
        // One of an earlier boot goes too.
        let _ = fs::remove_file(self.file());
        let _ = fs::remove_dir(&self.run);
        Ok(removed)
    }

    /// Keeps other runs, also of other checkouts, away from the note as long as the answer lives.
    fn lock(&self) -> Result<File> {
        loop {
            fs::create_dir_all(&self.run).with_context(|| format!("cannot make {}", self.run.display()))?;
            // The folder itself is locked, so that there is no file that would have to stay.
            let folder = match File::open(&self.run) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                folder => folder.with_context(|| format!("cannot open {}", self.run.display()))?,
            };
            folder.lock().with_context(|| format!("cannot lock {}", self.run.display()))?;
            // Whoever had it before may have removed it.
            let locked = folder.metadata()?.ino();
            if fs::metadata(&self.run).is_ok_and(|now| now.ino() == locked) {
                return Ok(folder);
            }
        }
    }

    fn file(&self) -> PathBuf {
        // No cluster has a dot in its name.
        self.run.join("machine.json")
    }

    fn socket(&self) -> PathBuf {
        self.plugins.join("kubelet.sock")
    }

    /// What was noted since the machine started.
    fn note(&self) -> Result<Option<Note>> {
        let Ok(text) = fs::read_to_string(self.file()) else { return Ok(None) };
        let Ok(note) = serde_json::from_str::<Note>(&text) else { return Ok(None) };
        Ok((note.boot == state::boot()?).then_some(note))
    }

    fn write(&self, note: &Note) -> Result<()> {
        state::replace(&self.file(), &serde_json::to_string_pretty(note)?)
    }

    fn settings(&self) -> BTreeMap<String, String> {
        let read = |name: &str| {
            let value = fs::read_to_string(self.sysctls.join(name)).ok()?;
            Some((name.to_owned(), value.trim().to_owned()))
        };
        SYSCTLS.into_iter().filter_map(read).collect()
    }

    /// Removes the socket that killed kubelets left, and its folders where nothing else is in them.
    fn remove_socket(&self) -> Result<Option<&'static str>> {
        let socket = self.socket();
        // Somebody else's kubelet may have come in the meantime.
        let left =
            UnixStream::connect(&socket).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused);
        if left {
            fs::remove_file(&socket).with_context(|| format!("cannot remove {}", socket.display()))?;
        }
        for folder in self.plugins.ancestors().take(2) {
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(left.then_some("kubelet's socket"))
    }
}

fn our_kubelet_runs() -> bool {
    let groups = cgroup::of_clusters();
    groups.iter().flat_map(|group| cgroup::processes(group)).any(|pid| process::name(pid) == "kubelet")
}

/// Whether somebody listens on a path, by the kernel's table of this network's Unix sockets.
fn listens(table: &str, socket: &Path) -> bool {
    const LISTENS: u32 = 1 << 16;
    table.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace();
        let flags = fields.nth(3).and_then(|flags| u32::from_str_radix(flags, 16).ok()).unwrap_or_default();
        flags & LISTENS != 0 && fields.nth(3).is_some_and(|path| Path::new(path) == socket)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// A machine of files, which go with it.
    struct Toy {
        root: PathBuf,
        machine: Machine,
    }

    impl Toy {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("xtask-{}-{name}", std::process::id()));
            let sysctls = root.join("sys");
            fs::create_dir_all(sysctls.join("kernel")).unwrap();
            let machine = Machine { run: root.join("run"), sysctls, plugins: root.join("kubelet/plugins") };
            let toy = Self { root, machine };
            toy.set("10");
            toy
        }

        /// What a kubelet does.
        fn set(&self, value: &str) {
            fs::write(self.machine.sysctls.join("kernel/panic"), value).unwrap();
        }

        fn value(&self) -> String {
            fs::read_to_string(self.machine.sysctls.join("kernel/panic")).unwrap()
        }

        fn listen(&self) -> UnixListener {
            fs::create_dir_all(&self.machine.plugins).unwrap();
            let _ = fs::remove_file(self.machine.socket());
            UnixListener::bind(self.machine.socket()).unwrap()
        }
    }

    impl Drop for Toy {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.root);
        }
    }

    #[test]
    fn the_last_cluster_restores_what_the_first_one_found() {
        let toy = Toy::new("settings");
        toy.machine.enter("a").unwrap();
        toy.set("99");
        toy.machine.enter("b").unwrap();
        toy.machine.leave("a").unwrap();
        assert_eq!(toy.value(), "99");
        toy.machine.leave("b").unwrap();
        assert_eq!(toy.value(), "10");
        assert!(!toy.machine.run.exists());
    }

    #[test]
    fn a_cluster_that_never_was_changes_nothing() {
        let toy = Toy::new("nothing");
        drop(toy.listen());
        assert!(toy.machine.leave("a").unwrap().is_empty());
        assert!(toy.machine.socket().exists());
        assert!(!toy.machine.run.exists());
    }

    #[test]
    fn what_an_earlier_boot_had_is_not_restored() {
        let toy = Toy::new("boot");
        let earlier = Note {
            boot: "earlier".to_owned(),
            clusters: BTreeSet::from(["gone".to_owned()]),
            sysctls: BTreeMap::from([("kernel/panic".to_owned(), "7".to_owned())]),
        };
        fs::create_dir_all(&toy.machine.run).unwrap();
        toy.machine.write(&earlier).unwrap();
        toy.machine.enter("a").unwrap();
        toy.set("99");
        toy.machine.leave("a").unwrap();
        assert_eq!(toy.value(), "10");
    }

    #[test]
    fn the_kubelets_socket_goes_with_the_last_cluster() {
        let toy = Toy::new("socket");
        toy.machine.enter("a").unwrap();
        toy.machine.enter("b").unwrap();
        drop(toy.listen());
        assert!(toy.machine.leave("a").unwrap().is_empty());
        assert!(toy.machine.socket().exists());
        assert_eq!(toy.machine.leave("b").unwrap(), ["kubelet's socket"]);
        assert!(!toy.root.join("kubelet").exists());
    }

    #[test]
    fn what_is_not_ours_stays_beside_the_kubelets_socket() {
        let toy = Toy::new("foreign");
        toy.machine.enter("a").unwrap();
        let listener = toy.listen();
        assert!(toy.machine.leave("a").unwrap().is_empty());
        assert!(toy.machine.socket().exists());
        drop(listener);
        toy.machine.enter("a").unwrap();
        fs::write(toy.machine.plugins.join("checkpoint"), "").unwrap();
        toy.machine.leave("a").unwrap();
        assert!(!toy.machine.socket().exists());
        assert!(toy.machine.plugins.join("checkpoint").exists());
    }

    #[test]
    fn a_foreign_kubelet_is_refused_and_what_one_left_is_not() {
        let toy = Toy::new("refused");
        toy.machine.check().unwrap();
        let listener = toy.listen();
        let error = toy.machine.check().unwrap_err().to_string();
        assert!(error.contains("runs a kubelet already"), "{error}");
        drop(listener);
        toy.machine.check().unwrap();
    }

    #[test]
    fn only_a_listener_of_that_path_counts() {
        let table = "Num       RefCount Protocol Flags    Type St Inode Path\n\
                     0000000000000000: 00000003 00000000 00000000 0001 03  1131 /a\n\
                     0000000000000000: 00000002 00000000 00010000 0001 01  1132 /b\n\
                     0000000000000000: 00000002 00000000 00010000 0001 01  1133\n";
        assert!(!listens(table, Path::new("/a")));
        assert!(listens(table, Path::new("/b")));
        assert!(!listens(table, Path::new("/c")));
    }
}
