//! The endpoint of server-sent events, spoken by hand.

mod browsers;
mod compression;
mod leaving;
mod listening;
mod refused;
mod slow;
mod tokens;

/// The endpoint is there.
const ON: &str = "endpoints: {sse: {enabled: true}}\n";
