//! `operator run | crd | plan`.

// A command line prints its results.
#![allow(clippy::print_stdout)]

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode};
use switchboard_operator::{controller::build::Images, crd, plan::plan};

/// Runs Switchboard's message brokers on Kubernetes.
#[derive(Parser)]
#[command(name = "operator", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
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
