//! Switchboard as a whole, on a real cluster: see the crate's documentation.

mod browser;
mod configuration;
mod definition;
mod failures;
mod foreign;
mod logic;
mod messages;
mod objects;
mod pages;
mod scaling;
mod socketio;
mod support;
