//! The command line: a broker itself, and commands for people who talk to one that runs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use tracing::{error, warn};

use crate::config::{Config, ConfigError, Period};
use crate::telemetry;

mod address;
mod answer;
mod bench;
mod check;
mod clients;
mod drain;
mod latency;
mod remote;
mod send;
mod show;
mod socket;
mod tail;

/// The exit code for a configuration that cannot be used; clap gives the same for arguments that it does not know.
const BAD_CONFIGURATION: u8 = 2;

#[derive(Parser)]
#[command(name = "broker", version, about = "Switchboard's message broker")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a broker until it is told to stop.
    Run(Configured),
    /// Check the configuration and tell what a broker would do with it.
    Check(Configured),
    /// Ask a running broker to send its clients elsewhere, and wait until it has; a signal then ends it at once.
    Drain {
        /// The broker's admin address.
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9000")]
        admin: String,
        /// Wait at least this long. A load balancer takes a moment to learn that this broker is leaving, and what it
        /// still sends here is refused at once only as long as the process is there.
        #[arg(long, value_name = "DURATION", default_value = "0s")]
        linger: Period,
    },
    /// List the clients that are connected to a running broker and its cluster.
    Clients(clients::Clients),
    /// Publish a message in a channel.
    Publish(send::Publish),
    /// Send a message to clients, to logic modules or to everyone.
    Send(send::Send),
    /// End a client, or all clients of a user or in a channel.
    Disconnect(clients::Disconnect),
    /// Show what is published in channels, line by line, until Ctrl-C.
    Tail(tail::Tail),
    Bench(bench::Bench),
    /// Print what a shell needs to complete this command line.
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

#[derive(clap::Args)]
struct Configured {
    /// The configuration file; without it the defaults and the environment count.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Does what the process's arguments say; `run` is given the configuration, logging works when it is called.
pub fn main(run: impl FnOnce(Config) -> anyhow::Result<()>) -> ExitCode {
    match Cli::parse().command {
        Command::Run(Configured { config }) => match load(config.as_deref()) {
            Ok(config) => start(config, run),
            Err(error) => refuse(&error),
        },
        Command::Check(Configured { config }) => match load(config.as_deref()) {
            Ok(config) => {
                check::print(&config);
                ExitCode::SUCCESS
            }
            Err(error) => refuse(&error),
        },
        Command::Drain { admin, linger } => drain::main(&admin, linger.get()),
        Command::Clients(command) => ask("cannot list the clients", command.run()),
        Command::Publish(command) => ask("cannot publish", command.run()),
        Command::Send(command) => ask("cannot send", command.run()),
        Command::Disconnect(command) => ask("cannot disconnect", command.run()),
        Command::Tail(command) => ask("cannot follow the channels", command.run()),
        Command::Bench(command) => ask("cannot measure", command.run()),
        Command::Completions { shell } => ask("cannot print the completions", async { completions(shell) }),
    }
}

fn completions(shell: clap_complete::Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "broker", &mut script);
    show::Out::new().line(String::from_utf8(script)?.trim_end())
}

/// Does what talks to a running broker, and says what failed; an output that nobody reads any more is no failure.
fn ask(what_failed: &str, command: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if show::nobody_reads(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{what_failed}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The configuration of file and environment, its secrets read.
fn load(file: Option<&Path>) -> Result<Config, ConfigError> {
    // A variable that is not Unicode cannot be a valid value; shown with replacements it is refused by name.
    let variables = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()));
    let mut config = Config::load(file, variables)?;
    config.resolve_secrets()?;
    // Again, now that the secrets are known.
    config.validate()?;
    Ok(config)
}

fn refuse(error: &ConfigError) -> ExitCode {
    eprintln!("{error}");
    ExitCode::from(BAD_CONFIGURATION)
}

fn start(config: Config, run: impl FnOnce(Config) -> anyhow::Result<()>) -> ExitCode {
    if let Err(error) = telemetry::init(&config.log) {
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    for warning in config.warnings() {
        warn!("{warning}");
    }
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn arguments_as_documented() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.command);
        assert!(matches!(parse("broker run"), Ok(Command::Run(Configured { config: None }))));
        assert!(matches!(
            parse("broker run --config /etc/b.yaml"),
            Ok(Command::Run(Configured { config: Some(path) })) if path == Path::new("/etc/b.yaml")
        ));
        assert!(matches!(parse("broker check"), Ok(Command::Check(_))));
        assert!(matches!(
            parse("broker drain --linger 3s"),
            Ok(Command::Drain { admin, linger }) if admin == "http://127.0.0.1:9000" && linger == Period::from_secs(3)
        ));
        assert!(parse("broker drain --linger 3").is_err());
        for one in ["ID", "--client ID", "--user ann --reconnect", "ID --connection", "--in lobby"] {
            assert!(
                matches!(parse(&format!("broker disconnect {one}")), Ok(Command::Disconnect(_))),
                "{one}"
            );
        }
        for wrong in ["", " ID --user ann", " ID --client ID", " --reconnect"] {
            assert!(parse(&format!("broker disconnect{wrong}")).is_err(), "{wrong}");
        }
        assert!(parse("broker").is_err());
        assert!(parse("broker run --port 1").is_err());
    }
}
