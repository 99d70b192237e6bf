//! `operator run | crd | plan`.

// A command line prints its results.
#![allow(clippy::print_stdout)]

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};
use switchboard_operator::{
    controller::build::Images,
    crd,
    plan::plan,
    runtime::{self, Settings, lease::LeaseSettings},
    telemetry,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Runs Switchboard's message brokers on Kubernetes.
#[derive(Parser)]
#[command(name = "operator", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Reconcile BrokerClusters until SIGTERM
    Run(Box<RunArgs>),
    /// Print the CustomResourceDefinition, for kubectl apply --server-side -f -
    Crd {
        /// Print the reference page instead
        #[arg(long)]
        docs: bool,
    },
    /// Print the objects that a file of BrokerClusters would become; nothing is applied
    Plan {
        /// The file, or - for standard input
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        images: ImageArgs,
    },
}

#[derive(Args)]
struct RunArgs {
    #[command(flatten)]
    images: ImageArgs,
    /// Look only at this namespace instead of all
    #[arg(long, env = "WATCH_NAMESPACE")]
    namespace: Option<String>,
    /// Where /livez, /readyz and /metrics are served
    #[arg(long, env = "ADMIN_ADDRESS", default_value = "0.0.0.0:8080")]
    admin_address: SocketAddr,
    /// Name of the Lease that one operator at a time holds
    #[arg(long, env = "LEASE_NAME", default_value = "switchboard-operator")]
    lease_name: String,
    /// Namespace of that Lease: the operator's own
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    lease_namespace: String,
    /// Name of this operator in the Lease: its pod's
    #[arg(long, env = "POD_NAME")]
    identity: Option<String>,
    /// What is logged, as in RUST_LOG
    #[arg(long, env = "LOG_LEVEL", default_value = "info")]
    log_level: String,
    /// text or json
    #[arg(long, env = "LOG_FORMAT", default_value = "text", value_parser = log_format)]
    log_format: telemetry::Format,
}

fn log_format(text: &str) -> Result<telemetry::Format, String> {
    match text {
        "text" => Ok(telemetry::Format::Text),
        "json" => Ok(telemetry::Format::Json),
        _ => Err("write text or json".into()),
    }
}

#[derive(Args)]
struct ImageArgs {
    /// Broker image for BrokerClusters that name none
    #[arg(long, env = "BROKER_IMAGE", default_value = concat!("switchboard/broker:", env!("CARGO_PKG_VERSION")))]
    broker_image: String,
    /// Redis image for BrokerClusters that name none
    #[arg(long, env = "REDIS_IMAGE", default_value = "redis:7.4")]
    redis_image: String,
}

impl From<ImageArgs> for Images {
    fn from(args: ImageArgs) -> Self {
        Images { broker: args.broker_image, redis: args.redis_image }
    }
}

/// Runs the command; 2 says that what was given is wrong, 1 that something else failed.
pub(crate) fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => run(*args),
        Command::Crd { docs } => print_crd(docs),
        Command::Plan { file, images } => match print_plan(&file, &images.into()) {
            Err(error) => {
                eprintln!("{}: {error:#}", file.display());
                return ExitCode::from(2);
            }
            Ok(()) => Ok(()),
        },
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn print_crd(docs: bool) -> anyhow::Result<()> {
    if docs {
        print!("{}", crd::markdown());
    } else {
        print!("{}", serde_yaml::to_string(&crd::definition())?);
    }
    Ok(())
}

fn print_plan(file: &std::path::Path, images: &Images) -> anyhow::Result<()> {
    let text = if file == std::path::Path::new("-") {
        std::io::read_to_string(std::io::stdin()).context("cannot read standard input")?
    } else {
        std::fs::read_to_string(file).context("cannot read the file")?
    };
    print!("{}", plan(&text, images)?);
    Ok(())
}

/// How long another operator waits before it takes a Lease that is not renewed.
const LEASE_DURATION: Duration = Duration::from_secs(15);
/// When the holder gives up by itself, well before that.
const LEASE_DEADLINE: Duration = Duration::from_secs(10);
const LEASE_RETRY: Duration = Duration::from_secs(2);
const BROKER_ADMIN_PORT: u16 = 9000;

fn run(args: RunArgs) -> anyhow::Result<()> {
    telemetry::init(&args.log_level, args.log_format)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(operate(args))
}

async fn operate(args: RunArgs) -> anyhow::Result<()> {
    let client = runtime::connect().await?;
    let identity = args.identity.unwrap_or_else(|| format!("operator-{:08x}", rand::random::<u32>()));
    let settings = Settings {
        images: args.images.into(),
        namespace: args.namespace.filter(|namespace| !namespace.is_empty()),
        admin: args.admin_address,
        lease: LeaseSettings {
            namespace: args.lease_namespace,
            name: args.lease_name,
            identity,
            duration: LEASE_DURATION,
            deadline: LEASE_DEADLINE,
            retry: LEASE_RETRY,
        },
        broker_admin_port: BROKER_ADMIN_PORT,
    };
    let stop = CancellationToken::new();
    let mut operator = runtime::start(client, settings, stop.clone()).await?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut ended = std::pin::pin!(operator.wait());
    tokio::select! {
        ended = &mut ended => return ended,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("asked to end");
    stop.cancel();
    ended.await
}
