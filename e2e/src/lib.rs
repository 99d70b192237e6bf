//! What the tests on a real cluster are written with.
//!
//! `cargo xtask test e2e` starts a cluster of its own and runs the tests on the network of one of its nodes: from there
//! pods and Services have addresses, as for any other program inside. Each test has a namespace and brokers of its own,
//! and says what it sees as it happens.

pub mod audit;
pub mod brokers;
pub mod client;
pub mod history;
pub mod http;
pub mod lab;
pub mod process;
pub mod prometheus;
pub mod publisher;
pub mod report;
pub mod script;
pub mod status;
pub mod visitor;
pub mod wait;
