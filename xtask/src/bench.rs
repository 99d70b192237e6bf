//! Measurements: the brokers under load, and what the operator costs.

mod audit;

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::cluster::{self, Cluster};
use crate::paths::Paths;
use crate::steps::{Shown, Step, Steps, wait_for};
use crate::terminal::{bold, say};
use crate::{packages, up};

/// A part of the measurements that can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Two brokers and one Redis beside raw Redis, and beside Socket.IO on Node.js
    Load,
    /// The operator with 1 and with 50 BrokerClusters
    Operator,
}

/// The name of the cluster that is measured, and of the namespace in it.
const NAME: &str = "bench";
/// How many BrokerClusters a busy operator looks after.
const MANY: usize = 50;

/// How it is measured.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// The parts; all when none is named.
    pub(crate) parts: Vec<Part>,
    /// How long the operator is left alone.
    pub(crate) idle: Duration,
    /// Whether the load generator's tables in docs/benchmarks.md are written anew.
    pub(crate) write: bool,
}

/// Runs the parts.
pub(crate) fn run(steps: &Steps, paths: &Paths, wanted: &Wanted) -> Result<()> {
    let Wanted { parts, idle, write } = wanted;
    let chosen = |part: Part| parts.is_empty() || parts.contains(&part);
    if chosen(Part::Load) {
        packages::ensure(steps, &[packages::REDIS, packages::NODE])?;
        packages::npm(steps, "npm server", &paths.root.join("broker/benches/load/node"))?;
        load(paths, *write)?;
    }
    if chosen(Part::Operator) {
        let cluster = Cluster::named(NAME, paths)?;
        let _lock = cluster.lock()?;
        cluster::down(steps, &cluster)?;
        let result = operator(steps, paths, &cluster, *idle);
        cluster::down(steps, &cluster)?;
        result?;
    }
    Ok(())
}

/// The load generator prints its own tables.
fn load(paths: &Paths, write: bool) -> Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(&paths.root).args(["bench", "-p", "switchboard-broker", "--bench", "load"]);
    if write {
        cargo.args(["--", "--document"]).arg(paths.root.join("docs/benchmarks.md"));
    }
    if !cargo.status().context("cannot start cargo")?.success() {
        bail!(Shown);
    }
    Ok(())
}

/// What the operator costs with some number of BrokerClusters.
struct Cost {
    clusters: usize,
    memory: u64,
    idle: audit::Writes,
}

fn operator(steps: &Steps, paths: &Paths, cluster: &Cluster, idle: Duration) -> Result<()> {
    up::switchboard_ready(steps, paths, cluster, cluster::Wanted::default())?;
    up::system(steps, &up::Target::local(paths, cluster))?;
    let mut costs = Vec::new();
    for clusters in [1, MANY] {
        let title = if clusters == 1 { "1 cluster".to_owned() } else { format!("{clusters} clusters") };
        steps.run(&title, |step| apply(step, cluster, clusters))?;
        let cost = steps.run(&format!("{title} idle"), |step| rest(step, cluster, clusters, idle))?;
        costs.push(cost);
    }
    say(format!("\n  {}\n\n{}", bold("The operator"), table(&costs, idle)));
    Ok(())
}

/// Makes the BrokerClusters, with a broker and a Redis each, and waits until all are Ready.
fn apply(step: &Step, cluster: &Cluster, clusters: usize) -> Result<()> {
    let items = (1..=clusters).map(|number| {
        json!({
            "apiVersion": "switchboard.dev/v1alpha1", "kind": "BrokerCluster",
            "metadata": {"name": format!("b{number}"), "namespace": NAME},
            "spec": {
                "replicas": 1,
                "auth": {"anonymous": true},
                "redis": {"managed": {"storage": {"emptyDir": {}}}},
            },
        })
    });
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME}});
    let items: Vec<Value> = std::iter::once(namespace).chain(items).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    step.feed(cluster.kubectl().args(["apply", "--server-side", "-f", "-"]), &list.to_string())?;
    let started = Instant::now();
    wait_for("the BrokerClusters are Ready", Duration::from_secs(900), || {
        let output = step.output(cluster.kubectl().args(["get", "bc", "-n", NAME, "-o", "json"]))?;
        let list: Value = serde_json::from_str(&output)?;
        let ready = list["items"].as_array().into_iter().flatten().filter(|item| is_ready(item)).count();
        step.log(format!("{ready} of {clusters} are Ready"));
        // A question a second is enough, on a machine that has pods to start.
        thread::sleep(Duration::from_secs(u64::from(ready < clusters)));
        Ok((ready == clusters).then_some(()))
    })?;
    step.note(format!("Ready after {:.0} s", started.elapsed().as_secs_f64()));
    Ok(())
}

fn is_ready(item: &Value) -> bool {
    let ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
    item["status"]["conditions"].as_array().is_some_and(|all| all.iter().any(ready))
}

/// Leaves everything alone, and counts what the operator writes all the same.
fn rest(step: &Step, cluster: &Cluster, clusters: usize, idle: Duration) -> Result<Cost> {
    // What the last change set off is still written: quiet means nothing for ten seconds.
    let log = cluster.audit_log();
    let mut mark = audit::end(&log)?;
    wait_for("the operator is done", Duration::from_secs(180), || {
        thread::sleep(Duration::from_secs(10));
        let writes = audit::since(&log, mark)?;
        mark = audit::end(&log)?;
        Ok((writes.objects == 0).then_some(()))
    })?;
    step.log(format!("nothing is touched for {} s", idle.as_secs()));
    thread::sleep(idle);
    let writes = audit::since(&log, mark)?;
    for line in &writes.lines {
        step.log(line);
    }
    let memory = memory(cluster)?;
    step.note(format!("{:.1} MiB, {} writes", mebibytes(memory), writes.objects));
    Ok(Cost { clusters, memory, idle: writes })
}

/// The resident memory of the operator's process, in KiB.
fn memory(cluster: &Cluster) -> Result<u64> {
    let pid = cluster.process_of_pod("operator").context("no operator runs on the node")?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.context("the kernel does not tell the operator's memory")
}

fn mebibytes(kibibytes: u64) -> f64 {
    f64::from(u32::try_from(kibibytes).unwrap_or(u32::MAX)) / 1024.0
}

fn table(costs: &[Cost], idle: Duration) -> String {
    let mut text = String::new();
    let mut row = |name: &str, cell: &dyn Fn(&Cost) -> String| {
        let cells: String = costs.iter().fold(String::new(), |mut cells, cost| {
            let _ = write!(cells, " {:>12}", cell(cost));
            cells
        });
        let _ = writeln!(text, "    {name:<44}{cells}");
    };
    row("BrokerClusters (a broker and a Redis each)", &|cost| cost.clusters.to_string());
    row("resident memory", &|cost| format!("{:.1} MiB", mebibytes(cost.memory)));
    row(&format!("API writes in {} idle s", idle.as_secs()), &|cost| cost.idle.objects.to_string());
    row("  beside renewals of its own lease", &|cost| cost.idle.leases.to_string());
    text
}
