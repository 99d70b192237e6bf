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

/// On a local cluster, which is started when it does not run.
pub(crate) fn local(steps: &Steps, paths: &Paths, cluster: &Cluster, wanted: Wanted) -> Result<()> {
    say(format!(
        "\n  {} {}\n",
        bold("Switchboard"),
        dim("on a Kubernetes cluster of its own, on this machine")
    ));
    cluster::require_root()?;
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
    let kubectl = format!("kubectl --context {context}");
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
            (
                "remove all of it",
                format!(
                    "{kubectl} delete bc chat && {helm} --kube-context {context} uninstall switchboard -n switchboard-system && \
             {kubectl} delete namespace switchboard-system monitoring"
                ),
            ),
        ],
    );
    Ok(())
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
