//! The program: its arguments, its configuration, its signals, its exit codes and its log.

mod configuration;
mod keys;
mod secrets;
mod signals;
