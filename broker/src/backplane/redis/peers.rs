//! Which instances are heard here? Each says hello to all others, and keeps whose hello has reached it.
//!
//! The [`probe`](super::probe) shows that an instance hears itself. Hellos show that it hears each of the
//! others: together the instances know of every pair, in both directions.
//!
//! ```text
//! hello = wants_answer:u8 (0 or 1)  address:text
//! ```

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ahash::HashMap;
use parking_lot::Mutex;
use tokio::time::sleep;

use super::{
    bus::Bus,
    connect::Failure,
    keys::{self, Keys},
    lease::{LEASE, RENEW},
};
use crate::{backplane::Ack, metrics::Metrics};

/// How often an instance says hello.
const EVERY: Duration = RENEW;

/// An instance that was not heard for so long is not heard any more.
const FRESH: Duration = LEASE;

pub(super) struct Peers {
    address: String,
    keys: Keys,
    /// The pub/sub name that all listen to, and the one where this instance alone is answered.
    names: [String; 2],
    heard: Mutex<HashMap<String, Instant>>,
    metrics: Arc<Metrics>,
}

impl Peers {
    pub(super) fn new(address: &str, keys: Keys, metrics: Arc<Metrics>) -> Self {
        let names = [keys.hello(), keys.answer(address)];
        Self { address: address.to_owned(), keys, names, heard: Mutex::default(), metrics }
    }

    /// The pub/sub names to listen to.
    pub(super) fn names(&self) -> [String; 2] {
        self.names.clone()
    }

    /// Takes a pub/sub message if it is a hello; whether it was one.
    pub(super) fn receive(&self, bus: &Bus, name: &[u8], payload: &[u8]) -> bool {
        if self.names.iter().all(|own| own.as_bytes() != name) {
            return false;
        }
        let Some((wants_answer, from)) = payload.split_first() else { return true };
        let from = std::str::from_utf8(from).ok().filter(|from| keys::address(from).is_some());
        let Some(from) = from.filter(|from| *from != self.address) else { return true };
        self.update(|heard| {
            heard.insert(from.to_owned(), Instant::now());
        });
        if *wants_answer == 1 {
            bus.send_raw(&self.keys.answer(from), &self.hello(false), Ack::ignore());
        }
        true
    }

    /// The addresses of the instances that are heard, in order.
    pub(super) fn heard(&self) -> Vec<String> {
        let heard = self.heard.lock();
        let mut addresses: Vec<_> =
            heard.iter().filter(|(_, at)| at.elapsed() < FRESH).map(|(address, _)| address.clone()).collect();
        addresses.sort_unstable();
        addresses
    }

    /// Nothing is heard without a connection. To be called when the one that listens has ended.
    pub(super) fn lost(&self) {
        self.update(HashMap::clear);
    }

    /// Changes who is heard, and the gauge with it.
    fn update(&self, change: impl FnOnce(&mut HashMap<String, Instant>)) {
        let mut heard = self.heard.lock();
        change(&mut heard);
        self.metrics.redis_peers.set(heard.len() as i64);
    }

    /// Says hello until the connection is lost. The first one asks to be answered, so that a newcomer need not wait
    /// for everybody's turn.
    pub(super) async fn run(&self, bus: &Bus) -> Failure {
        let mut is_first = true;
        loop {
            bus.send_raw(&self.names[0], &self.hello(is_first), Ack::ignore());
            is_first = false;
            sleep(EVERY).await;
            self.update(|heard| heard.retain(|_, at| at.elapsed() < FRESH));
        }
    }

    fn hello(&self, wants_answer: bool) -> Vec<u8> {
        [&[u8::from(wants_answer)], self.address.as_bytes()].concat()
    }
}
