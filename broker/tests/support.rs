//! What the tests stand on: brokers in this process, clients that can misbehave, and waiting with a deadline.

pub(crate) mod board;
mod broker;
pub(crate) mod chromium;
mod client;
mod frame;
mod http;
mod lab;
mod metrics;
pub(crate) mod pair;
mod poll;
pub(crate) mod program;
mod receiver;
pub(crate) mod sse;
pub(crate) mod tls;
pub(crate) mod token;
mod wire;

pub(crate) use broker::{Broker, KEY, OPEN, config};
pub(crate) use client::{Client, handshake, handshake_on, shake_hands};
pub(crate) use frame::{Frame, frame, text};
pub(crate) use http::{Response, request};
pub(crate) use lab::Lab;
pub(crate) use poll::{eventually, within};
pub(crate) use receiver::{Answer, Receiver, example_receiver, talking_receiver};
pub(crate) use wire::{Datagrams, Lines};
