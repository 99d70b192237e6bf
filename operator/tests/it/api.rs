//! The operator against a real API server. Each test has a namespace and an operator of its own.

mod children;
mod conditions;
mod definition;
mod fixture;
mod leading;
mod lifecycle;
mod rollout;
mod scaling;
mod server;
