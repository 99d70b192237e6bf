//! etcd, the API server, the controllers and the scheduler.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::network::{CONTROL_PLANE, PODS, SERVICES};
use super::{Cluster, State, process};
use crate::steps::{Step, wait_for};

pub(super) fn start(step: &Step, cluster: &Cluster, state: &mut State) -> Result<()> {
    let data = cluster.data();
    let pki = |file: &str| data.join("pki").join(file).display().to_string();
    let bin = |name: &str| Command::new(cluster.paths.bin(name));
    let audit = cluster.audit_log();
    let _ = fs::remove_file(&audit);

    let mut etcd = bin("etcd");
    etcd.arg("--data-dir").arg(data.join("etcd")).args([
        // Nothing here has to outlive the machine.
        "--unsafe-no-fsync",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
    ]);
    process::start(cluster, state, "etcd", Some("cp"), &etcd)?;

    let mut api = bin("kube-apiserver");
    api.args([
        "--etcd-servers=http://127.0.0.1:2379".to_owned(),
        format!("--service-cluster-ip-range={SERVICES}"),
        format!("--advertise-address={CONTROL_PLANE}"),
        format!("--client-ca-file={}", pki("ca.crt")),
        format!("--tls-cert-file={}", pki("apiserver.crt")),
        format!("--tls-private-key-file={}", pki("apiserver.key")),
        format!("--service-account-key-file={}", pki("sa.pub")),
        format!("--service-account-signing-key-file={}", pki("sa.key")),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        format!("--kubelet-client-certificate={}", pki("admin.crt")),
        format!("--kubelet-client-key={}", pki("admin.key")),
        format!("--kubelet-certificate-authority={}", pki("ca.crt")),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        "--allow-privileged=true".to_owned(),
        // No kube-proxy runs beside the API server: it goes to a webhook's pods, not to its Service's address.
        "--enable-aggregator-routing=true".to_owned(),
        // Pods of a lost node move after half a minute instead of five.
        "--default-not-ready-toleration-seconds=30".to_owned(),
        "--default-unreachable-toleration-seconds=30".to_owned(),
        format!(
            "--audit-policy-file={}",
            cluster.paths.root.join("e2e/cluster/manifests/audit.yaml").display()
        ),
        format!("--audit-log-path={}", audit.display()),
        "--audit-log-maxsize=200".to_owned(),
    ]);
    process::start(cluster, state, "kube-apiserver", Some("cp"), &api)?;
    wait_for("the API server is ready", Duration::from_secs(60), || {
        state.check_alive()?;
        Ok(step.run(cluster.kubectl().args(["get", "--raw", "/readyz"])).is_ok().then_some(()))
    })?;

    let mut controllers = bin("kube-controller-manager");
    controllers.args([
        format!("--kubeconfig={}", pki("controller-manager.conf")),
        format!("--service-account-private-key-file={}", pki("sa.key")),
        format!("--root-ca-file={}", pki("ca.crt")),
        "--use-service-account-credentials=true".to_owned(),
        format!("--cluster-cidr={PODS}"),
        "--leader-elect=false".to_owned(),
        "--node-monitor-grace-period=20s".to_owned(),
        "--node-monitor-period=2s".to_owned(),
    ]);
    process::start(cluster, state, "kube-controller-manager", Some("cp"), &controllers)?;

    let mut scheduler = bin("kube-scheduler");
    scheduler.args([format!("--kubeconfig={}", pki("scheduler.conf")), "--leader-elect=false".to_owned()]);
    process::start(cluster, state, "kube-scheduler", Some("cp"), &scheduler)
}
