//! Ports on loopback that lead into the cluster: a Unix socket crosses namespaces, socat stands at both ends.
//!
//! A forwarder that ended is started again. Nothing of the cluster is lost with it, so it says nothing about whether
//! the cluster is whole.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{Cluster, State, process};
use crate::steps::wait_for;

/// How soon socat listens or has given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// One forwarder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Forward {
    pub(crate) port: u16,
    /// The namespace in which the target's address means something.
    pub(crate) namespace: String,
    pub(crate) target: String,
}

/// Whether a process of the cluster is an end of a forwarder.
pub(super) fn is_forwarder(process: &str) -> bool {
    process.starts_with("forward-")
}

/// The end on the host, and the one inside.
fn ends(name: &str) -> [String; 2] {
    [format!("forward-{name}"), format!("forward-{name}-inside")]
}

fn is_alive(state: &State, name: &str) -> bool {
    ends(name).iter().all(|end| state.is_alive(end))
}

/// Leads a port of the host's loopback to an address as seen in one of the cluster's namespaces.
pub(super) fn to_host(
    cluster: &Cluster,
    state: &mut State,
    name: &str,
    wanted: u16,
    namespace: &str,
    target: &str,
) -> Result<u16> {
    let before = state.forwards.get(name);
    if let Some(forward) = before.filter(|forward| forward.target == target && is_alive(state, name)) {
        return Ok(forward.port);
    }
    // Somebody may know the port that it had.
    let wanted = before.map_or(wanted, |forward| forward.port);
    let [outer, inner] = ends(name);
    for end in [&outer, &inner] {
        stop(state, end)?;
    }
    let socket = cluster.sockets.join(format!("{name}.sock"));
    // One that was killed leaves it, and it would look as if the next one listened.
    let _ = fs::remove_file(&socket);
    let mut inside = Command::new("socat");
    inside
        .arg(format!("UNIX-LISTEN:{},fork,unlink-early", socket.display()))
        .arg(format!("TCP:{target},nodelay"));
    process::start(cluster, state, &inner, Some(namespace), &inside)?;
    wait_for("the forwarder's socket is there", PATIENCE, || {
        state.check(&inner)?;
        Ok(socket.exists().then_some(()))
    })?;
    let port = on_a_free_port(wanted, |port| {
        let forward = Forward { port, namespace: namespace.to_owned(), target: target.to_owned() };
        state.forwards.insert(name.to_owned(), forward);
        listen(cluster, state, &outer, port, &socket)
    })?;
    let Some(port) = port else {
        state.check(&outer)?;
        bail!("{outer} could not listen on any port of 127.0.0.1");
    };
    Ok(port)
}

/// Starts the forwarders that ended again, each where it was if that is possible; returns their names.
pub(super) fn revive(cluster: &Cluster, state: &mut State) -> Result<Vec<String>> {
    let ended: Vec<(String, Forward)> = state
        .forwards
        .iter()
        .filter(|(name, _)| !is_alive(state, name))
        .map(|(name, forward)| (name.clone(), forward.clone()))
        .collect();
    for (name, forward) in &ended {
        to_host(cluster, state, name, forward.port, &forward.namespace, &forward.target)?;
    }
    Ok(ended.into_iter().map(|(name, _)| name).collect())
}

/// Ends one end of a forwarder, and waits: only then its port is free.
fn stop(state: &mut State, end: &str) -> Result<()> {
    let Some(id) = state.processes.remove(end).filter(process::Id::is_alive) else { return Ok(()) };
    process::kill(&[id.pid()]);
    wait_for(&format!("{end} has ended"), PATIENCE, || Ok((!id.is_alive()).then_some(())))
}

/// Starts the end on the host; says whether it has the port.
fn listen(cluster: &Cluster, state: &mut State, outer: &str, port: u16, socket: &Path) -> Result<bool> {
    let mut outside = Command::new("socat");
    outside
        .arg(format!("TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,nodelay"))
        .arg(format!("UNIX-CONNECT:{}", socket.display()));
    process::start(cluster, state, outer, None, &outside)?;
    wait_for(&format!("{outer} listens"), PATIENCE, || {
        let Some(id) = state.processes.get(outer).filter(|id| id.is_alive()) else { return Ok(Some(false)) };
        Ok(has_port(id.pid(), port).then_some(true))
    })
}

/// Lets something listen on the wanted port, or on another. Between the look whether a port is free and the listening
/// somebody else may take it, so it is tried more than once; none when it never worked.
fn on_a_free_port(wanted: u16, mut listen: impl FnMut(u16) -> Result<bool>) -> Result<Option<u16>> {
    for wanted in [wanted, 0, 0] {
        let port = free_port(wanted)?;
        if listen(port)? {
            return Ok(Some(port));
        }
    }
    Ok(None)
}

/// The wanted port of 127.0.0.1 when it is free, else any free one.
fn free_port(wanted: u16) -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", wanted)).or_else(|_| TcpListener::bind(("127.0.0.1", 0)));
    Ok(listener.context("no port is free on loopback")?.local_addr()?.port())
}

/// Whether a process itself listens on a port: that somebody answers there would not say who.
fn has_port(pid: u32, port: u16) -> bool {
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap_or_default();
    let sockets: Vec<String> = listeners(&table, port).map(|socket| format!("socket:[{socket}]")).collect();
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files
        .filter_map(|file| fs::read_link(file.path()).ok())
        .any(|file| sockets.iter().any(|socket| Path::new(socket) == file))
}

/// The sockets that listen on a port, from the kernel's table of a network.
fn listeners(table: &str, port: u16) -> impl Iterator<Item = &str> {
    const LISTENS: &str = "0A";
    let place = format!(":{port:04X}");
    table.lines().filter_map(move |line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let listens = fields.get(1)?.ends_with(&place) && *fields.get(3)? == LISTENS;
        listens.then_some(*fields.get(9)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_lost_in_the_last_moment_is_replaced() {
        let mut tried = Vec::new();
        let mut thief = None;
        let port = on_a_free_port(0, |port| {
            tried.push(port);
            if thief.is_none() {
                thief = Some(TcpListener::bind(("127.0.0.1", port)).unwrap());
            }
            Ok(TcpListener::bind(("127.0.0.1", port)).is_ok())
        });
        assert_eq!(tried.len(), 2);
        assert_ne!(tried[0], tried[1]);
        assert_eq!(port.unwrap(), Some(tried[1]));
    }

    #[test]
    fn trying_ports_has_an_end() {
        assert_eq!(on_a_free_port(0, |_| Ok(false)).unwrap(), None);
    }

    #[test]
    fn it_is_known_who_listens() {
        let me = std::process::id();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(has_port(me, port));
        assert!(!has_port(1, port));
        drop(listener);
        assert!(!has_port(me, port));
    }
}
