//! The broker as others see it: its sockets, its HTTP, its metrics and its program.
//!
//! Every test starts brokers of its own on free ports, so that all of them run side by side.

mod clients;
mod cluster;
mod documents;
mod drain;
mod endpoint;
mod foreign;
mod history;
mod hooks;
mod http;
mod logic;
mod middleware;
mod pages;
mod port;
mod presence;
mod process;
mod redis;
mod socketio;
mod sse;
mod support;
mod tcp;
mod udp;
mod websocket;
