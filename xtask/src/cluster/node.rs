//! A node: containerd, kubelet and kube-proxy in a network namespace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::network::{CONTROL_PLANE, PODS, node_address, pod_range};
use super::{Cluster, State, cgroup, process, registry};
use crate::images::{self, Image};
use crate::steps::{Step, wait_for};

pub(super) fn start(step: &Step, cluster: &Cluster, state: &mut State, index: u8) -> Result<()> {
    let part = format!("n{index}");
    let dir = cluster.data().join(&part);
    fs::create_dir_all(dir.join("cni"))?;
    cgroup::make(&cluster.unique(&part))?;

    write(&dir, "containerd.toml", &containerd_config(cluster, index, &dir))?;
    write(&dir, "cni/10-pods.conflist", &cni_config(cluster, index, &dir))?;
    let mut containerd = Command::new("containerd");
    containerd.arg("--config").arg(dir.join("containerd.toml"));
    process::start(cluster, state, &format!("containerd-{index}"), Some(&part), &containerd)?;
    wait_for("containerd answers", Duration::from_secs(20), || {
        state.check_alive()?;
        Ok(step.run(ctr(cluster, index).arg("version")).is_ok().then_some(()))
    })?;
    import(step, cluster, index, images::PAUSE)?;

    write(&dir, "resolv.conf", "")?;
    write(&dir, "kubelet.yaml", &kubelet_config(cluster, index, &dir))?;
    let mut kubelet = Command::new(cluster.paths.bin("kubelet"));
    kubelet.args([
        format!("--kubeconfig={}", pki(cluster, &format!("node-{index}.conf")).display()),
        format!("--config={}", dir.join("kubelet.yaml").display()),
        format!("--hostname-override=node-{index}"),
        format!("--node-ip={}", node_address(index)),
        format!("--root-dir={}", dir.join("kubelet").display()),
    ]);
    process::start(cluster, state, &format!("kubelet-{index}"), Some(&part), &kubelet)?;

    write(&dir, "proxy.yaml", &proxy_config(cluster, index))?;
    let mut proxy = Command::new(cluster.paths.bin("kube-proxy"));
    proxy.arg("--config").arg(dir.join("proxy.yaml"));
    process::start(cluster, state, &format!("kube-proxy-{index}"), Some(&part), &proxy)
}

/// Imports an image, unless its contents are there already.
pub(super) fn import(step: &Step, cluster: &Cluster, index: u8, image: Image) -> Result<()> {
    let archive = images::archive(&cluster.paths, image);
    let digest = images::digest_of(&archive)?;
    let marks = cluster.data().join(format!("n{index}/imported"));
    let mark = marks.join(image.name());
    if fs::read_to_string(&mark).is_ok_and(|old| old == digest) {
        return Ok(());
    }
    let images = || {
        let mut command = ctr(cluster, index);
        command.args(["--namespace", "k8s.io", "images"]);
        command
    };
    step.run(images().arg("import").arg(archive))?;
    let tagged = format!("{}:{}", image.repository(), image.tag(&cluster.paths)?);
    step.run(images().args(["tag", "--force", &image.reference(), &tagged]))?;
    fs::create_dir_all(marks)?;
    Ok(fs::write(mark, digest)?)
}

pub(super) fn socket(cluster: &Cluster, index: u8) -> PathBuf {
    cluster.sockets.join(format!("n{index}.sock"))
}

fn ctr(cluster: &Cluster, index: u8) -> Command {
    let mut command = Command::new("ctr");
    command.arg("--address").arg(socket(cluster, index));
    command
}

fn pki(cluster: &Cluster, file: &str) -> PathBuf {
    cluster.data().join("pki").join(file)
}

fn write(dir: &Path, file: &str, text: &str) -> Result<()> {
    Ok(fs::write(dir.join(file), text)?)
}

fn containerd_config(cluster: &Cluster, index: u8, dir: &Path) -> String {
    let (dir, socket, pause) = (dir.display(), socket(cluster, index), images::PAUSE.reference());
    let (socket, certs) = (socket.display(), registry::hosts(cluster));
    let certs = certs.display();
    // restrict_oom_score_adj: a sandbox's wish for a better score is refused in a container, and it would die.
    // netns_mounts_under_state_dir: pods' namespaces are mounts of ours, to be found again at the end.
    format!(
        r#"version = 2
root = "{dir}/containerd/root"
state = "{dir}/containerd/state"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
  address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{dir}/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{dir}/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{certs}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"#
    )
}

/// Every pod is routed, none is bridged: packets between two pods of a node pass kube-proxy's rules both ways.
fn cni_config(cluster: &Cluster, index: u8, dir: &Path) -> String {
    let config = serde_json::json!({
        "cniVersion": "1.0.0",
        "name": cluster.unique(&format!("n{index}")),
        "plugins": [{
            "type": "ptp",
            "ipMasq": false,
            "ipam": {
                "type": "host-local",
                "dataDir": dir.join("ipam"),
                "ranges": [[{"subnet": pod_range(index)}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    });
    format!("{config:#}\n")
}

fn kubelet_config(cluster: &Cluster, index: u8, dir: &Path) -> String {
    let (socket, ca) = (socket(cluster, index), pki(cluster, "ca.crt"));
    let config = serde_json::json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false}, "webhook": {"enabled": true}, "x509": {"clientCAFile": ca},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": pki(cluster, &format!("node-{index}.crt")),
        "tlsPrivateKeyFile": pki(cluster, &format!("node-{index}.key")),
        "containerRuntimeEndpoint": format!("unix://{}", socket.display()),
        "cgroupDriver": "cgroupfs",
        // A root of its own, or the kubelets of one machine remove each other's pods.
        "cgroupRoot": format!("/{}", cluster.unique(&format!("n{index}"))),
        "failCgroupV1": false,
        "failSwapOn": false,
        "localStorageCapacityIsolation": false,
        "clusterDomain": "cluster.local",
        "clusterDNS": [CONTROL_PLANE],
        "resolvConf": dir.join("resolv.conf"),
        "podLogsDir": dir.join("pods"),
        "volumePluginDir": dir.join("plugins"),
        // The disk is the developer's, and how full it is is not this cluster's business.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "nodeStatusUpdateFrequency": "4s",
        "syncFrequency": "10s",
        "configMapAndSecretChangeDetectionStrategy": "Watch",
    });
    format!("{config:#}\n")
}

fn proxy_config(cluster: &Cluster, index: u8) -> String {
    let config = serde_json::json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": pki(cluster, "proxy.conf")},
        "mode": "nftables",
        "clusterCIDR": PODS,
        "hostnameOverride": format!("node-{index}"),
        // The table's size is the machine's, not this namespace's.
        "conntrack": {"maxPerCore": 0},
        "nftables": {"minSyncPeriod": "200ms"},
    });
    format!("{config:#}\n")
}
