//! Ports on loopback that lead into the cluster: a Unix socket crosses namespaces, socat stands at both ends.

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{Cluster, State, process};
use crate::steps::wait_for;

/// One forwarder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Forward {
    pub(crate) port: u16,
    pub(crate) target: String,
}

/// The wanted port of 127.0.0.1 when it is free, else any free one.
pub(super) fn free_port(wanted: u16) -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", wanted)).or_else(|_| TcpListener::bind(("127.0.0.1", 0)));
    Ok(listener.context("no port is free on loopback")?.local_addr()?.port())
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
    let (outer, inner) = (format!("forward-{name}"), format!("forward-{name}-inside"));
    if let Some(forward) = state.forwards.get(name) {
        let alive = [&outer, &inner]
            .iter()
            .all(|process| state.processes.get(*process).is_some_and(process::Id::is_alive));
        if alive && forward.target == target {
            return Ok(forward.port);
        }
    }
    for old in [&outer, &inner] {
        if let Some(id) = state.processes.remove(old).filter(process::Id::is_alive) {
            process::kill(&[id.pid()]);
        }
    }
    let port = free_port(wanted)?;
    state.forwards.insert(name.to_owned(), Forward { port, target: target.to_owned() });
    state.save()?;

    let socket = cluster.sockets.join(format!("{name}.sock"));
    let mut inside = Command::new("socat");
    inside
        .arg(format!("UNIX-LISTEN:{},fork,unlink-early", socket.display()))
        .arg(format!("TCP:{target},nodelay"));
    process::start(cluster, state, &inner, Some(namespace), &inside)?;
    wait_for("the forwarder's socket is there", Duration::from_secs(5), || {
        Ok(socket.exists().then_some(()))
    })?;
    let mut outside = Command::new("socat");
    outside
        .arg(format!("TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,nodelay"))
        .arg(format!("UNIX-CONNECT:{}", socket.display()));
    process::start(cluster, state, &outer, None, &outside)?;
    Ok(port)
}
