//! The program `broker`: arguments, configuration, build, wait, drain.

use std::process::ExitCode;

use switchboard::{Broker, config::Config};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    switchboard::cli::main(run)
}

fn run(config: Config) -> anyhow::Result<()> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(config.runtime.workers()).enable_all().build()?.block_on(async {
        let mut stop = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
        let [terminate, interrupt] = &mut stop;
        let broker = tokio::select! {
            broker = Broker::start(config) => broker?,
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        };
        let is_superseded = tokio::select! {
            _ = terminate.recv() => false,
            _ = interrupt.recv() => false,
            () = broker.superseded() => true,
        };
        // Whoever is in a hurry asks twice.
        tokio::select! {
            _ = broker.drain() => {}
            _ = terminate.recv() => tracing::warn!("stopped in the middle of the drain"),
            _ = interrupt.recv() => tracing::warn!("stopped in the middle of the drain"),
        }
        anyhow::ensure!(!is_superseded, "another instance with this ID has taken this one's place");
        Ok(())
    })
}
