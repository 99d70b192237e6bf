//! Real-time messaging: clients, channels and logic, inside a process and across instances through Redis.
//!
//! The modules stand in the order in which a message passes them:
//!
//! ```text
//! socket A
//!  1 endpoint      frame in, capped
//!  2 codec         bytes → Message
//!  3 middleware    receive chain: accept / reject
//!  4 router        → plan {logic, here, elsewhere}
//!  5 logic         may send: back to 4
//!  6 middleware    send chain, once, at the origin
//!  7 backplane     Envelope ══ Redis ══▶ other instance
//!  8 deliver       registry/subscriptions → Outbox
//!  9 endpoint      writer drains → socket B
//! ```
//!
//! An envelope from another instance enters at 8, never before: nothing loops, and middleware and logic run once.

pub mod message;

pub mod endpoint;

pub mod codec;

pub mod middleware;

pub mod router;

pub mod logic;
pub mod pipeline;

pub mod backplane;
pub mod cluster;

pub mod hub;

pub mod board;
pub mod channel;
pub mod deliver;
pub mod registry;

pub mod admin;
pub mod app;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod drain;
pub mod hooks;
pub mod keyring;
pub mod metrics;
pub(crate) mod pages;
pub mod pattern;
pub(crate) mod post;
pub mod telemetry;

#[cfg(any(test, switchboard_fuzz))]
pub mod fuzz;

pub use app::{BadName, Broker, BrokerError, Builder};
