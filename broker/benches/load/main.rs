//! Load on two brokers and one Redis, beside the same load on raw Redis, and on Socket.IO's server on Node.js.
//!
//! `cargo bench -p switchboard-broker --bench load -- [CASE…] [--rounds N] [--seconds N] [--json FILE] [--document PAGE]`
//!
//! Everything runs on loopback: the generator starts its own redis-server and brokers for each side of each
//! round, and stops them. A figure means something only as a ratio to the peer's in the same round, since
//! servers and generator share the machine's cores; so the generator is one lean event loop ([`net`]) that
//! drives all of them in the same way, with the same messages.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;

use crate::cases::Case;
use crate::report::Measured;

mod board;
mod cases;
mod cluster;
mod document;
mod faults;
mod flow;
mod interrupt;
mod machine;
mod message;
mod meter;
mod net;
mod report;
mod server;
mod side;
mod wire;

/// Measures two brokers and one Redis beside raw Redis, and beside Socket.IO on Node.js.
#[derive(Debug, Parser)]
struct Arguments {
    /// Cases to run, in the table's order; all when none is named.
    cases: Vec<String>,
    /// How often each case runs; the table has the medians.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds that each flow of messages is measured.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=10))]
    seconds: u64,
    /// Writes everything to this file as well.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Writes the tables of which all cases ran anew in this page, docs/benchmarks.md.
    #[arg(long)]
    document: Option<PathBuf>,
    /// Cargo says this for `cargo bench`, and not for `cargo test`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    if !std::env::args().any(|argument| argument == "--bench") {
        eprintln!("Nothing is measured in a test run; use: cargo bench -p switchboard-broker --bench load");
        return ExitCode::SUCCESS;
    }
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns false when the figures are not to be trusted.
fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let cases = choose(&arguments.cases)?;
    interrupt::listen().context("listen to signals")?;
    machine::raise_open_files()?;
    let machine = machine::describe();
    let all = measure(cases, arguments.rounds, Duration::from_secs(arguments.seconds))?;
    let command = arguments.command();
    let clean = report::print(&machine, &command, &all);
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&report::to_json(&machine, &command, &all))?;
        fs::write(path, text + "\n").with_context(|| format!("write {}", path.display()))?;
    }
    if let Some(path) = &arguments.document {
        let page = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        let page = report::to_document(&page, &machine, &all).with_context(|| path.display().to_string())?;
        fs::write(path, page).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(clean)
}

fn choose(names: &[String]) -> anyhow::Result<Vec<&'static Case>> {
    static ALL: [Case; cases::ALL.len()] = cases::ALL;
    for name in names {
        if !ALL.iter().any(|case| case.name == name) {
            let known: Vec<_> = ALL.iter().map(|case| case.name).collect();
            bail!("no case is called {name:?}; there are: {}", known.join(", "));
        }
    }
    Ok(ALL.iter().filter(|case| names.is_empty() || names.iter().any(|name| name == case.name)).collect())
}

fn measure(cases: Vec<&'static Case>, rounds: u32, time: Duration) -> anyhow::Result<Vec<Measured>> {
    let mut all = Vec::new();
    for case in cases {
        let mut measured = Measured { case, sides: Default::default() };
        for round in 1..=rounds {
            eprintln!("{}: round {round} of {rounds}", case.name);
            for (side, outcomes) in case.sides.into_iter().zip(&mut measured.sides) {
                let outcome = (case.run)(side, time);
                interrupt::check()?;
                if let Err(error) = &outcome {
                    eprintln!("{} on {side}: {error:#}", case.name);
                }
                outcomes.push(outcome);
            }
        }
        all.push(measured);
    }
    Ok(all)
}

impl Arguments {
    fn command(&self) -> String {
        let names: String = self.cases.iter().map(|name| format!("{name} ")).collect();
        format!(
            "cargo bench -p switchboard-broker --bench load -- {names}--rounds {} --seconds {}",
            self.rounds, self.seconds
        )
    }
}
