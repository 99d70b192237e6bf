//! The Redis backplane on real servers that each test starts for itself.

mod admin_page;
mod boards;
mod clients;
mod demo_pages;
mod departures;
mod faults;
mod history;
mod listening;
mod node;
mod proxy;
mod publishing;
mod records;
mod rubbish;
mod script;
pub(crate) mod server;
mod starting;
mod twice;

use node::{Node, channel};
use proxy::Proxy;
use server::Server;

use crate::support::{eventually, within};
