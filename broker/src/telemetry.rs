//! Logging: to standard error, as text for people or as JSON for collectors.

use anyhow::anyhow;
use tracing::info;
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

use crate::config::{Log, LogFormat};

/// Starts logging for the whole process and says that this program starts.
///
/// # Errors
/// When the level cannot be read, or the process logs already.
pub fn init(log: &Log) -> anyhow::Result<()> {
    let filter = log.filter().map_err(|why| anyhow!("log.level: {why}"))?;
    let layer = fmt::layer().with_writer(std::io::stderr);
    let started = match log.format {
        // Colours only for a person at a terminal.
        LogFormat::Text => {
            let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
            tracing_subscriber::registry().with(filter).with(layer.with_ansi(colours)).try_init()
        }
        LogFormat::Json => {
            let layer = layer.json().flatten_event(true).with_current_span(false);
            tracing_subscriber::registry().with(filter).with(layer).try_init()
        }
    };
    started.map_err(|error| anyhow!("cannot start logging: {error}"))?;
    info!(version = env!("CARGO_PKG_VERSION"), "switchboard broker starts");
    Ok(())
}
