//! From nothing to a running BrokerCluster, with messages that really cross from pod to pod.

mod client;
mod counters;
mod demo;
mod install;
mod target;

use anyhow::{Result, bail};

use crate::cluster::{self, Cluster, State, Wanted};
use crate::paths::Paths;
use crate::steps::Steps;
use crate::terminal::{bold, cyan, dim, elapsed, say};
use crate::{binaries, images, packages};

pub(crate) use install::system;
pub(crate) use target::Target;

/// Where the example lives.
const NAMESPACE: &str = "default";
/// Where the operator lives.
const SYSTEM: &str = "switchboard-system";
/// Where Prometheus lives: a namespace of ours, as a cluster of the user's may have its own Prometheus in any other.
const DEMO: &str = "switchboard-demo";

/// On a local cluster, which is started when it does not run.
pub(crate) fn local(steps: &Steps, paths: &Paths, cluster: &Cluster, wanted: Wanted) -> Result<()> {
    say(format!(
        "\n  {} {}\n",
        bold("Switchboard"),
        dim("on a Kubernetes cluster of its own, on this machine")
    ));
    cluster::check(cluster)?;
    let _lock = cluster.lock()?;
    let mut state = switchboard_ready(steps, paths, cluster, wanted)?;
    let target = Target::local(paths, cluster);
    system(steps, &target)?;
    install::example(steps, &target)?;
    let port = steps.run("client port", |step| {
        let address = "jsonpath={.spec.clusterIP}:{.spec.ports[0].port}";
        let service = ["get", "service", "chat", "--namespace", NAMESPACE, "-o", address];
        let address = step.output(target.kubectl().args(service))?;
        let port = cluster::forward_service(cluster, &mut state, "chat", 8000, address.trim())?;
        step.note(format!("127.0.0.1:{port}"));
        Ok(port)
    })?;
    demo::run(steps, &target)?;
    counters::show(steps, &target)?;
    next(
        steps,
        &[
            ("talk to the cluster", format!("export KUBECONFIG={}", paths.short(&cluster.kubeconfig()))),
            ("look at it", "kubectl get bc chat".to_owned()),
            ("more brokers", "kubectl scale bc/chat --replicas=3".to_owned()),
            ("their logs", "kubectl logs -f -l app.kubernetes.io/instance=chat --prefix".to_owned()),
            ("connect a client", format!("ws://127.0.0.1:{port}/connection/websocket")),
            ("remove all of it", format!("cargo xtask down{}", cluster.name_flag())),
        ],
    );
    Ok(())
}

/// A cluster with the images on its nodes.
pub(crate) fn switchboard_ready(
    steps: &Steps,
    paths: &Paths,
    cluster: &Cluster,
    wanted: Wanted,
) -> Result<State> {
    cluster::check(cluster)?;
    packages::ensure(steps, &[packages::IMAGES, packages::CLUSTER])?;
    binaries::ensure(steps, paths, binaries::Set::All)?;
    images::build_release(steps, paths)?;
    images::ensure(steps, paths, &images::WITH_PAUSE)?;
    let state = cluster::up(steps, cluster, wanted)?;
    images::import(steps, cluster, &state, &images::ALL)?;
    Ok(state)
}

/// On a cluster of the user's, which pulls the images from the user's registry.
pub(crate) fn on_context(steps: &Steps, paths: &Paths, context: &str, registry: Option<&str>) -> Result<()> {
    let Some(registry) = registry else {
        bail!(
            "--context needs --registry: a repository that you may push to and the cluster may pull from, \
             for instance --registry registry.example.com/team"
        );
    };
    let registry = registry.trim_end_matches('/');
    say(format!(
        "\n  {} {}\n",
        bold("Switchboard"),
        dim(&format!("on the cluster of the context {context}"))
    ));
    packages::ensure(steps, &[packages::IMAGES])?;
    binaries::ensure(steps, paths, binaries::Set::Remote)?;
    images::build_release(steps, paths)?;
    images::ensure(steps, paths, &images::ALL)?;
    images::push(steps, paths, &images::ALL, registry)?;
    let target = Target::of_user(paths, context, registry);
    system(steps, &target)?;
    install::example(steps, &target)?;
    demo::run(steps, &target)?;
    counters::show(steps, &target)?;
    // Named, as the context may have another namespace.
    let kubectl = format!("kubectl --context {context} -n {NAMESPACE}");
    let helm = paths.short(&paths.bin("helm"));
    next(
        steps,
        &[
            ("look at it", format!("{kubectl} get bc chat")),
            ("more brokers", format!("{kubectl} scale bc/chat --replicas=3")),
            ("their logs", format!("{kubectl} logs -f -l app.kubernetes.io/instance=chat --prefix")),
            (
                "connect a client",
                format!(
                    "{kubectl} port-forward service/chat 8000, then ws://127.0.0.1:8000/connection/websocket"
                ),
            ),
            ("remove all of it", removal(context, &helm)),
        ],
    );
    // Not in the same command: that they are all of them is for the user to see.
    say(format!(
        "    {}\n    {:20} {}\n",
        dim("What stays is the definition; every BrokerCluster of any namespace goes with it:"),
        "",
        cyan(&format!("kubectl --context {context} delete crd brokerclusters.switchboard.dev")),
    ));
    Ok(())
}

/// What removes all that was installed on a cluster of the user's, and nothing else.
fn removal(context: &str, helm: &str) -> String {
    let kubectl = format!("kubectl --context {context}");
    [
        format!("{kubectl} delete bc chat -n {NAMESPACE}"),
        format!("{helm} --kube-context {context} uninstall switchboard -n {SYSTEM}"),
        format!("{kubectl} delete namespace {SYSTEM} {DEMO}"),
        format!("{kubectl} delete clusterrole,clusterrolebinding {DEMO}:prometheus"),
    ]
    .join(" && ")
}

fn next(steps: &Steps, rows: &[(&str, String)]) {
    say(format!(
        "\n  {} {}\n",
        bold("What to try next"),
        dim(&format!("(all of it took {})", elapsed(steps.elapsed())))
    ));
    for (what, command) in rows {
        say(format!("    {what:<20} {}", cyan(command)));
    }
    say("");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_is_in_places_of_ours_and_all_of_it_is_removed() {
        let manifest = include_str!("../../e2e/cluster/manifests/prometheus.yaml");
        let removal = removal("mine", "helm");
        for object in manifest.split("\n---\n") {
            let line = |start: &str| object.lines().find_map(|line| line.strip_prefix(start)).unwrap();
            let (kind, metadata) = (line("kind: "), line("metadata: "));
            let name = metadata.trim_start_matches("{name: ").trim_end_matches('}').trim_matches('"');
            if metadata.contains("namespace: ") {
                assert!(metadata.ends_with(&format!(", namespace: {DEMO}}}")), "{kind} {metadata}");
            } else {
                assert!(removal.contains(&kind.to_lowercase()), "{kind} is not removed");
                assert!(removal.split(' ').any(|word| word == name), "{name} is not removed");
                assert!(name.starts_with(DEMO), "{name} could be somebody else's");
            }
        }
    }
}
