//! The program: its arguments, its configuration, its signals, its exit codes and its log.

mod bench;
mod configuration;
mod half_open;
mod keys;
mod remote;
mod secrets;
mod signals;
mod tail;
