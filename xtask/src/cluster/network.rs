//! Network namespaces: a bridge in the control plane's, to which every node's is wired. Nothing leads out.

use std::fs;
use std::process::Command;

use anyhow::Result;

use super::Cluster;
use crate::steps::Step;

/// The control plane's address, at which the nodes find the API server and DNS.
pub(super) const CONTROL_PLANE: &str = "10.200.0.1";
/// Addresses of pods; a node has a part of it.
pub(super) const PODS: &str = "10.244.0.0/16";
/// Addresses of Services.
pub(super) const SERVICES: &str = "10.96.0.0/16";

/// A node's own address.
pub(super) fn node_address(index: u8) -> String {
    format!("10.200.0.1{index}")
}

/// The addresses of a node's pods.
pub(super) fn pod_range(index: u8) -> String {
    format!("10.244.{index}.0/24")
}

pub(super) fn make(step: &Step, cluster: &Cluster, nodes: u8) -> Result<()> {
    let plane = cluster.unique("cp");
    let ip = |namespace: &str, words: &str| -> Result<()> {
        let mut command = Command::new("ip");
        if !namespace.is_empty() {
            command.args(["-n", namespace]);
        }
        step.run(command.args(words.split(' ')))
    };
    fs::create_dir_all("/run/netns")?;
    add(step, cluster, "cp")?;
    ip(&plane, "link add br0 type bridge")?;
    ip(&plane, &format!("addr add {CONTROL_PLANE}/24 dev br0"))?;
    ip(&plane, "link set br0 up")?;
    for index in 1..=nodes {
        let node = cluster.unique(&format!("n{index}"));
        add(step, cluster, &format!("n{index}"))?;
        // Both ends are made inside, so that no interface ever shows on the host.
        ip(&plane, &format!("link add p{index} type veth peer name eth0 netns {node}"))?;
        ip(&plane, &format!("link set p{index} master br0 up"))?;
        ip(&node, &format!("addr add {}/24 dev eth0", node_address(index)))?;
        ip(&node, "link set eth0 up")?;
        // Service addresses need some route before kube-proxy rewrites them; behind it nothing leads out.
        ip(&node, &format!("route add default via {CONTROL_PLANE}"))?;
        ip(&plane, &format!("route add {} via {}", pod_range(index), node_address(index)))?;
    }
    for from in 1..=nodes {
        for to in (1..=nodes).filter(|to| *to != from) {
            let node = cluster.unique(&format!("n{from}"));
            ip(&node, &format!("route add {} via {}", pod_range(to), node_address(to)))?;
        }
    }
    Ok(())
}

fn add(step: &Step, cluster: &Cluster, part: &str) -> Result<()> {
    let name = cluster.unique(part);
    step.run(Command::new("ip").args(["netns", "add", &name]))?;
    step.run(Command::new("ip").args(["-n", &name, "link", "set", "lo", "up"]))?;
    let net = format!("--net={}", cluster.namespace(part).display());
    step.run(Command::new("nsenter").args([&net, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]))
}
