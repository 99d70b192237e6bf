//! Switchboard's broker: routes messages between clients, channels and logic modules.

pub mod auth;
pub mod cli;
pub mod config;
pub mod metrics;
pub mod telemetry;
