//! Certificates and kubeconfigs: an authority of the cluster's own, and one identity per component.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use base64::prelude::{BASE64_STANDARD, Engine};

use super::network::{CONTROL_PLANE, node_address};
use super::{Cluster, State};
use crate::steps::Step;

/// The clients of the API server: file, organisation, name.
const CLIENTS: [(&str, &str, &str); 6] = [
    ("admin", "system:masters", "admin"),
    ("controller-manager", "switchboard", "system:kube-controller-manager"),
    ("scheduler", "switchboard", "system:kube-scheduler"),
    ("proxy", "switchboard", "system:kube-proxy"),
    ("dns", "switchboard", "local:dns"),
    ("provisioner", "switchboard", "local:provisioner"),
];

pub(super) fn make(step: &Step, cluster: &Cluster, state: &State) -> Result<()> {
    let pki = cluster.data().join("pki");
    fs::create_dir_all(&pki)?;
    let openssl = |words: &str| {
        step.run(Command::new("openssl").current_dir(&pki).args(words.split(' ')))
            .context("cannot make the cluster's certificates")
    };
    openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.crt \
             -days 3650 -subj /CN=switchboard-local-ca",
    )?;
    openssl("ecparam -name prime256v1 -genkey -noout -out sa.key")?;
    openssl("ec -in sa.key -pubout -out sa.pub")?;

    let sign = |file: &str, subject: &str, names: &str| -> Result<()> {
        fs::write(pki.join(format!("{file}.ext")), format!("subjectAltName={names}\n"))?;
        openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {file}.key -out {file}.csr -subj {subject}"
        ))?;
        openssl(&format!(
            "x509 -req -in {file}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out {file}.crt -days 3650 -extfile {file}.ext"
        ))
    };
    let names = format!(
        "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost,\
         IP:127.0.0.1,IP:10.96.0.1,IP:{CONTROL_PLANE}"
    );
    sign("apiserver", "/CN=kube-apiserver", &names)?;
    let inside = format!("https://{CONTROL_PLANE}:6443");
    for (file, organisation, name) in CLIENTS {
        sign(file, &format!("/O={organisation}/CN={name}"), &format!("DNS:{file}"))?;
        kubeconfig(&pki, file, &inside, &cluster.name, &pki.join(format!("{file}.conf")))?;
    }
    for index in 1..=state.nodes {
        let file = format!("node-{index}");
        let names = format!("DNS:{file},IP:{}", node_address(index));
        sign(&file, &format!("/O=system:nodes/CN=system:node:{file}"), &names)?;
        kubeconfig(&pki, &file, &inside, &cluster.name, &pki.join(format!("{file}.conf")))?;
    }
    from_host(cluster, state.api_port)
}

/// Writes the kubeconfig of the host, which goes through a port of loopback.
pub(super) fn from_host(cluster: &Cluster, port: u16) -> Result<()> {
    let server = format!("https://127.0.0.1:{port}");
    kubeconfig(&cluster.data().join("pki"), "admin", &server, &cluster.name, &cluster.kubeconfig())
}

/// A kubeconfig that holds all it needs, so that it can be copied elsewhere.
fn kubeconfig(pki: &Path, client: &str, server: &str, name: &str, to: &Path) -> Result<()> {
    let read = |file: String| -> Result<String> { Ok(BASE64_STANDARD.encode(fs::read(pki.join(file))?)) };
    let (ca, certificate, key) =
        (read("ca.crt".to_owned())?, read(format!("{client}.crt"))?, read(format!("{client}.key"))?);
    let text = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": ca}}],
        "users": [{"name": client, "user": {"client-certificate-data": certificate, "client-key-data": key}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": client}}],
    });
    fs::write(to, format!("{text:#}\n")).with_context(|| format!("cannot write {}", to.display()))?;
    private(to)
}

/// Only the owner may read what lets its reader be somebody.
fn private(file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(file, fs::Permissions::from_mode(0o600))?)
}
