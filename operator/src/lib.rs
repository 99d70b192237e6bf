//! The Switchboard operator: turns each `BrokerCluster` into brokers, a Redis, Services and their configuration.
//!
//! Read [`crd`] for what users write, then [`controller`] for the five steps that carry it out.

pub mod controller;
pub mod crd;
pub mod metrics;
pub mod plan;
pub mod runtime;
pub mod telemetry;
