//! The WebSocket endpoint: the Centrifuge protocol in JSON, spoken well and badly.

mod broken;
mod churn;
mod commands;
mod handshake;
mod keys;
mod limits;
mod order;
mod payload;
mod presence;
mod refresh;
mod refused;
mod slow;
mod timers;
mod tokens;
pub(crate) mod waiting;
