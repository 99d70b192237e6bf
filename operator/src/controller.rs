//! One reconcile: observe → validate → build → apply → status.

pub mod build;
pub mod resources;
pub mod scale;
pub mod secrets;
pub mod validate;
