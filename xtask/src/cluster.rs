//! A local cluster: a control plane and up to three nodes in network namespaces of their own.
//!
//! Everything a cluster makes is named after it, so that tearing down needs no memory of what was made:
//! a half-done or crashed start is removed like a whole one.

mod cgroup;
mod control_plane;
mod forward;
mod machine;
mod network;
mod node;
mod pki;
mod process;
mod registry;
mod services;
mod state;
mod teardown;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::binaries;
use crate::images::Image;
use crate::paths::Paths;
use crate::steps::{Step, Steps, wait_for};
use machine::Machine;

pub(crate) use state::State;
pub(crate) use teardown::down;

/// The most nodes that are worth their memory on one machine.
pub(crate) const MAX_NODES: u8 = 3;
/// The cluster's name when none is given.
pub(crate) const DEFAULT_NAME: &str = "switchboard";

/// One local cluster, running or not.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    pub(crate) paths: Paths,
    /// Kubeconfig, state, audit log and the components' logs.
    pub(crate) dir: PathBuf,
    /// Sockets, whose paths have to be short, and the note whose cluster this is.
    pub(crate) sockets: PathBuf,
}

impl Cluster {
    pub(crate) fn named(name: &str, paths: &Paths) -> Result<Self> {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 20 || !name.chars().all(good) {
            bail!("the name '{name}' does not do: use 1 to 20 of a-z, 0-9 and '-'");
        }
        let dir =
            if name == DEFAULT_NAME { paths.cluster.clone() } else { paths.cluster.join("named").join(name) };
        let sockets = Path::new(machine::RUN).join(name);
        Ok(Self { name: name.to_owned(), paths: paths.clone(), dir, sockets })
    }

    /// What lives and dies with the cluster: certificates, etcd, containers, volumes.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.join("run")
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// Where the API server notes every write.
    pub(crate) fn audit_log(&self) -> PathBuf {
        self.dir.join("audit.log")
    }

    /// What a command needs to mean this cluster.
    pub(crate) fn name_flag(&self) -> String {
        if self.name == DEFAULT_NAME { String::new() } else { format!(" --name {}", self.name) }
    }

    fn logs(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// The unique name of one of this cluster's namespaces, cgroups or networks.
    fn unique(&self, part: &str) -> String {
        format!("sb-{}-{part}", self.name)
    }

    fn namespace(&self, part: &str) -> PathBuf {
        Path::new("/run/netns").join(self.unique(part))
    }

    /// kubectl, as the cluster's administrator.
    pub(crate) fn kubectl(&self) -> Command {
        let mut command = Command::new(binaries::kubectl(&self.paths));
        command.env("KUBECONFIG", self.kubeconfig());
        command
    }

    /// Starts a program, the next argument, on the first node's network: pods and Services have addresses there.
    pub(crate) fn inside(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.namespace("n1").display()));
        command.env("KUBECONFIG", self.data().join("pki/admin.conf"));
        command
    }

    /// A process of the first node's pods, by the name of its program.
    pub(crate) fn process_of_pod(&self, program: &str) -> Option<u32> {
        cgroup::processes(&self.unique("n1")).into_iter().find(|pid| process::name(*pid) == program)
    }

    /// Keeps other runs away from this cluster as long as the answer lives.
    pub(crate) fn lock(&self) -> Result<File> {
        fs::create_dir_all(&self.dir).with_context(|| format!("cannot make {}", self.dir.display()))?;
        let file = File::create(self.dir.join("lock"))?;
        if file.try_lock().is_err() {
            bail!(
                "another xtask works on the cluster '{}' of this checkout; wait until it is done",
                self.name
            );
        }
        Ok(file)
    }

    /// Refuses to touch the cluster of another checkout.
    fn check_owner(&self) -> Result<()> {
        let Ok(owner) = fs::read_to_string(self.sockets.join("owner")) else { return Ok(()) };
        let owner = PathBuf::from(owner);
        if owner == self.dir || !owner.exists() {
            return Ok(());
        }
        let root = owner.ancestors().find(|folder| folder.join("Cargo.toml").exists()).unwrap_or(&owner);
        bail!(
            "a cluster named '{0}' belongs to the checkout {1}\n\
             remove it:       cd {1} && cargo xtask down --name {0}\n\
             or run beside it: give this one another name with --name",
            self.name,
            root.display()
        );
    }
}

/// What is asked of a cluster.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    /// How many nodes; none given: as many as there are, else one.
    pub(crate) nodes: Option<u8>,
    /// An image registry beside the nodes.
    pub(crate) registry: bool,
}

/// Makes sure that the cluster runs; one that is whole is used again.
pub(crate) fn up(steps: &Steps, cluster: &Cluster, wanted: Wanted) -> Result<State> {
    check(cluster)?;
    steps.run("cluster", |step| {
        if let Some(mut state) = State::load(cluster)? {
            let fits = wanted.nodes.is_none_or(|nodes| nodes == state.nodes);
            if fits && state.is_whole() {
                let revived = open_again(cluster, &mut state)?;
                // The nodes know the registry by its port.
                if wanted.registry || revived.iter().any(|name| name == "registry") {
                    registry::start(step, cluster, &mut state)?;
                }
                let mut note = format!("{}, still running", describe(&state));
                if !revived.is_empty() {
                    note.push_str(&format!(", forwarders started again: {}", revived.join(", ")));
                }
                step.note(note);
                return Ok(state);
            }
            step.log("what is there is not whole or of another size: it is removed first");
        }
        Machine::this().check()?;
        teardown::remove(step, cluster)?;
        let state = start(step, cluster, wanted)?;
        step.note(describe(&state));
        Ok(state)
    })
}

fn describe(state: &State) -> String {
    let nodes = if state.nodes == 1 { "1 node".to_owned() } else { format!("{} nodes", state.nodes) };
    format!("{nodes}, API at 127.0.0.1:{}", state.api_port)
}

fn start(step: &Step, cluster: &Cluster, wanted: Wanted) -> Result<State> {
    let nodes = wanted.nodes.unwrap_or(1);
    Machine::this().enter(&cluster.name)?;
    for folder in [cluster.data(), cluster.logs(), cluster.sockets.clone()] {
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(cluster.sockets.join("owner"), cluster.dir.as_os_str().as_encoded_bytes())?;
    let mut state = State::new(cluster, nodes)?;
    state.save()?;

    cgroup::make(&cluster.unique("all"))?;
    network::make(step, cluster, nodes)?;
    // First of all that runs, as the kubeconfig names its port.
    open_api(cluster, &mut state)?;
    pki::make(step, cluster, &state)?;
    control_plane::start(step, cluster, &mut state)?;
    for index in 1..=nodes {
        node::start(step, cluster, &mut state, index)?;
    }
    services::start(step, cluster, &mut state)?;
    if wanted.registry {
        registry::start(step, cluster, &mut state)?;
    }
    wait_for("the nodes are ready", Duration::from_secs(90), || {
        state.check_alive()?;
        let path = "{range .items[*]}{.status.conditions[?(@.type==\"Ready\")].status} {end}";
        let ready =
            step.output(cluster.kubectl().args(["get", "nodes", "-o", &format!("jsonpath={path}")]))?;
        Ok((ready.matches("True").count() == usize::from(nodes)).then_some(()))
    })?;
    state.whole = true;
    state.save()?;
    Ok(state)
}

/// Leads a port of loopback to the API server, the one that the state names if that is free.
fn open_api(cluster: &Cluster, state: &mut State) -> Result<()> {
    state.api_port = forward::to_host(cluster, state, "api", state.api_port, "cp", "127.0.0.1:6443")?;
    state.save()
}

/// Starts forwarders that ended again, the API server's too; returns their names.
fn open_again(cluster: &Cluster, state: &mut State) -> Result<Vec<String>> {
    let revived = forward::revive(cluster, state)?;
    let before = state.api_port;
    open_api(cluster, state)?;
    if state.api_port != before {
        pki::from_host(cluster, state.api_port)?;
    }
    Ok(revived)
}

/// Says at once, before anything is built for it, when the cluster cannot be started.
pub(crate) fn check(cluster: &Cluster) -> Result<()> {
    require_root()?;
    cluster.check_owner()?;
    if State::load(cluster)?.is_some_and(|state| state.is_whole()) {
        return Ok(());
    }
    Machine::this().check()
}

/// Containers and network namespaces are root's.
fn require_root() -> Result<()> {
    let status = fs::read_to_string("/proc/self/status")?;
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1));
    if user != Some("0") {
        bail!("a local cluster needs root, for network namespaces and containers; run this with sudo -E");
    }
    Ok(())
}

/// Gives every node an image, under its usual name and under the tag of its contents.
pub(crate) fn import(step: &Step, cluster: &Cluster, state: &State, image: Image) -> Result<()> {
    (1..=state.nodes).try_for_each(|index| node::import(step, cluster, index, image))
}

/// A port on loopback that leads to a Service, the wanted one when it is free.
pub(crate) fn forward_service(
    cluster: &Cluster,
    state: &mut State,
    name: &str,
    port: u16,
    target: &str,
) -> Result<u16> {
    forward::to_host(cluster, state, name, port, "n1", target)
}
