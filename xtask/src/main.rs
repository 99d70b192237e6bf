//! What cargo cannot say: the local cluster, the images, all tests, the benchmark, fuzzing.

mod bench;
mod binaries;
mod cluster;
mod fuzz;
mod images;
mod packages;
mod paths;
mod steps;
mod terminal;
mod test;
mod tidy;
mod up;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use cluster::{Cluster, DEFAULT_NAME, MAX_NODES, State, Wanted};
use paths::Paths;
use steps::{Shown, Steps};

/// Tasks of the Switchboard checkout.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// The whole of it, running: cluster, operator, brokers, Redis, Prometheus and first messages
    Up {
        #[command(flatten)]
        cluster: Which,
        /// Use a cluster of yours instead: a context of your kubeconfig
        #[arg(long, requires = "registry", conflicts_with_all = ["nodes", "name"])]
        context: Option<String>,
        /// Where that cluster pulls images from, and this machine may push to
        #[arg(long, value_name = "REPOSITORY", requires = "context")]
        registry: Option<String>,
    },
    /// Every check and test, or the parts that are named
    Test {
        /// Which parts
        parts: Vec<test::Part>,
    },
    /// Measures the brokers under load, and what the operator costs
    Bench {
        /// Which parts; all when none is named
        parts: Vec<bench::Part>,
        /// How long the operator is left alone while its writes are counted
        #[arg(long, value_name = "SECONDS", default_value_t = 300)]
        idle: u64,
        /// Writes the tables of the load anew in docs/benchmarks.md
        #[arg(long)]
        write: bool,
    },
    /// Feeds the broker's parsers with inputs that libFuzzer makes up, guided by the code that they reach
    Fuzz {
        /// Which parsers, by their folders in broker/corpus; all when none is named
        targets: Vec<String>,
        /// How long each of them
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Checks the rules of the house that no compiler knows
    Tidy,
    /// Removes the local cluster: no process, mount, namespace or cgroup stays
    Down(Name),
    /// The local cluster alone, without Switchboard
    #[command(subcommand)]
    Cluster(ClusterTask),
    /// Builds the container images and gives them to the running cluster
    Images(Name),
}

#[derive(Subcommand)]
enum ClusterTask {
    /// Starts a cluster, or finds it running
    Up {
        #[command(flatten)]
        cluster: Which,
        /// Also an image registry, at 127.0.0.1:5000 for the host and for the nodes
        #[arg(long)]
        registry: bool,
    },
    /// Removes it
    Down(Name),
    /// Builds what the operator's tests need: etcd, the API server and the controllers
    Api,
}

#[derive(Args)]
struct Name {
    /// Which local cluster
    #[arg(long, default_value = DEFAULT_NAME)]
    name: String,
}

#[derive(Args)]
struct Which {
    #[command(flatten)]
    name: Name,
    /// How many nodes; as many as there are, else one
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=i64::from(MAX_NODES)))]
    nodes: Option<u8>,
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.is::<Shown>() {
                terminal::say(format!("\n  {} {error:#}", terminal::red("✗")));
            }
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    let paths = Paths::find()?;
    let steps = Steps::new(&paths.logs())?;
    match task {
        Task::Test { parts } => test::run(&steps, &paths, &parts),
        Task::Bench { parts, idle, write } => {
            bench::run(&steps, &paths, &bench::Wanted { parts, idle: Duration::from_secs(idle), write })
        }
        Task::Fuzz { targets, seconds } => fuzz::run(&steps, &paths, seconds, &targets),
        Task::Tidy => steps.run("tidy", |step| tidy::check(step, &paths)),
        Task::Down(name) | Task::Cluster(ClusterTask::Down(name)) => {
            let cluster = Cluster::named(&name.name, &paths)?;
            let _lock = cluster.lock()?;
            cluster::down(&steps, &cluster)
        }
        Task::Cluster(ClusterTask::Api) => binaries::ensure(&steps, &paths, binaries::Set::Api),
        Task::Up { context: Some(context), registry, .. } => {
            up::on_context(&steps, &paths, &context, registry.as_deref())
        }
        Task::Up { cluster: up, .. } => {
            let cluster = Cluster::named(&up.name.name, &paths)?;
            up::local(&steps, &paths, &cluster, Wanted { nodes: up.nodes, registry: false })
        }
        Task::Cluster(ClusterTask::Up { cluster: up, registry }) => {
            let cluster = Cluster::named(&up.name.name, &paths)?;
            cluster::check(&cluster)?;
            let _lock = cluster.lock()?;
            let packages = if registry { packages::REGISTRY } else { &[] };
            packages::ensure(&steps, &[packages::IMAGES, packages::CLUSTER, packages])?;
            binaries::ensure(&steps, &paths, binaries::Set::All)?;
            images::ensure(&steps, &paths, &[images::PAUSE])?;
            let wanted = Wanted { nodes: up.nodes, registry };
            cluster::up(&steps, &cluster, wanted)?;
            terminal::say(format!("\n  export KUBECONFIG={}", paths.short(&cluster.kubeconfig())));
            Ok(())
        }
        Task::Images(name) => {
            let cluster = Cluster::named(&name.name, &paths)?;
            packages::ensure(&steps, &[packages::IMAGES])?;
            images::build_release(&steps, &paths)?;
            images::ensure(&steps, &paths, &images::ALL)?;
            match State::load(&cluster)? {
                Some(state) if state.is_whole() => images::import(&steps, &cluster, &state, &images::ALL),
                _ => Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_commands_are_sound() {
        Cli::command().debug_assert();
    }
}
