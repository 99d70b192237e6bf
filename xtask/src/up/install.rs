//! Switchboard's chart, Prometheus and the example.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::target::Target;
use super::{DEMO, NAMESPACE, SYSTEM};
use crate::images::{BROKER, OPERATOR, PROMETHEUS, REDIS};
use crate::steps::{Step, Steps, wait_for};

/// Installs the operator and Prometheus.
pub(crate) fn system(steps: &Steps, target: &Target) -> Result<()> {
    // Prometheus starts while the operator does.
    steps.run("prometheus", |step| prometheus(step, target))?;
    steps.run("chart", |step| chart(step, target))
}

fn chart(step: &Step, target: &Target) -> Result<()> {
    let mut helm = target.helm();
    helm.args(["upgrade", "--install", "switchboard"]).arg(target.paths.root.join("charts/switchboard"));
    helm.args(["--namespace", SYSTEM, "--create-namespace", "--wait", "--timeout", "120s"]);
    for (value, image) in [("image", OPERATOR), ("brokerImage", BROKER), ("redisImage", REDIS)] {
        // As strings: a tag of digits alone would become a number.
        helm.args(["--set-string", &format!("{value}.repository={}", target.repository(image))]);
        helm.args(["--set-string", &format!("{value}.tag={}", image.tag(&target.paths)?)]);
    }
    if let Err(error) = step.run(&mut helm) {
        explain(step, target, SYSTEM);
        return Err(error.context("Helm could not install charts/switchboard"));
    }
    step.note(format!("namespace {SYSTEM}"));
    Ok(())
}

fn prometheus(step: &Step, target: &Target) -> Result<()> {
    let file = target.paths.root.join("e2e/cluster/manifests/prometheus.yaml");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let text = text.replace("image: IMAGE", &format!("image: {}", target.image(PROMETHEUS)?));
    // Its configuration is read at start: another one has to be another pod.
    let stamp = format!("{:x}", Sha256::digest(&text));
    let text = text.replace("STAMP", &format!("\"{}\"", &stamp[..12]));
    step.feed(target.kubectl().args(["apply", "--server-side", "--force-conflicts", "-f", "-"]), &text)?;
    step.note(format!("namespace {DEMO}"));
    Ok(())
}

/// Applies the example and waits until all of it is ready, with the newest images.
pub(super) fn example(steps: &Steps, target: &Target) -> Result<()> {
    steps.run("chat", |step| {
        let file = target.paths.root.join("examples/chat.yaml");
        step.run(target.kubectl().args(["apply", "--namespace", NAMESPACE, "-f"]).arg(file))?;
        let image = target.image(BROKER)?;
        let ready = wait_for("the BrokerCluster chat is Ready", Duration::from_secs(180), || {
            let cluster = get(step, target, &["brokercluster", "chat"])?;
            let set = get(step, target, &["statefulset", "chat", "--ignore-not-found"])?;
            for condition in cluster["status"]["conditions"].as_array().into_iter().flatten() {
                step.log(format!(
                    "{}={}: {}",
                    text(condition, "type"),
                    text(condition, "status"),
                    text(condition, "message")
                ));
            }
            Ok(is_ready(&cluster, &set, &image).then(|| cluster["status"].clone()))
        });
        match ready {
            Ok(status) => {
                step.note(format!("{} brokers are Ready", status["readyReplicas"]));
                Ok(())
            }
            Err(error) => {
                explain(step, target, NAMESPACE);
                Err(error)
            }
        }
    })?;
    steps.run("prometheus ready", |step| {
        let args = ["rollout", "status", "--namespace", DEMO, "deployment/prometheus", "--timeout=120s"];
        step.run(target.kubectl().args(args))
    })
}

/// Ready, and not only still so from before something changed.
fn is_ready(cluster: &Value, set: &Value, image: &str) -> bool {
    let current = |object: &Value| object["status"]["observedGeneration"] == object["metadata"]["generation"];
    let condition = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
    let newest = set["spec"]["template"]["spec"]["containers"]
        .as_array()
        .is_some_and(|containers| containers.iter().any(|container| container["image"] == image));
    let rolled = set["status"]["updatedReplicas"] == set["spec"]["replicas"]
        && set["status"]["readyReplicas"] == set["spec"]["replicas"];
    current(cluster)
        && current(set)
        && newest
        && rolled
        && cluster["status"]["conditions"].as_array().is_some_and(|all| all.iter().any(condition))
}

fn get(step: &Step, target: &Target, what: &[&str]) -> Result<Value> {
    let output =
        step.output(target.kubectl().args(["get", "--namespace", NAMESPACE, "-o", "json"]).args(what))?;
    if output.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&output).context("kubectl's answer is no JSON")
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// Writes to the log what a person would look at next.
fn explain(step: &Step, target: &Target, namespace: &str) {
    let looks: [&[&str]; 3] = [
        &["get", "all,brokerclusters,pvc", "-o", "wide"],
        &["logs", "--all-containers", "--prefix", "--tail=20", "--selector", "app.kubernetes.io/name"],
        &["get", "events", "--sort-by=.lastTimestamp"],
    ];
    for look in looks {
        let _ = step.run(target.kubectl().args(["--namespace", namespace]).args(look));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ready_from_before_is_not_ready() {
        let cluster = |observed: u64| {
            json!({
                "metadata": {"generation": 2},
                "status": {"observedGeneration": observed, "conditions": [{"type": "Ready", "status": "True"}]},
            })
        };
        let set = json!({
            "metadata": {"generation": 1},
            "spec": {"replicas": 2, "template": {"spec": {"containers": [{"image": "new"}]}}},
            "status": {"observedGeneration": 1, "updatedReplicas": 2, "readyReplicas": 2},
        });
        assert!(is_ready(&cluster(2), &set, "new"));
        assert!(!is_ready(&cluster(1), &set, "new"));
        assert!(!is_ready(&cluster(2), &set, "newer"));
        assert!(!is_ready(&cluster(2), &Value::Null, "new"));
    }
}
