//! Questions to all instances at once: each is asked, and the answers are put together.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::{
    sync::{Notify, Semaphore},
    time::timeout,
};

use super::{bus::Bus, keys::Keys};
use crate::{
    backplane::{ANSWER_WITHIN, Ack, Envelope, Unavailable},
    hub::Hub,
    message::Address,
};

/// Questions that are answered at a time; more are left unanswered, and whoever asks makes do with the rest.
const ANSWERING: usize = 4;

/// A list of channels, with the number of subscribers of each.
pub(super) type Counts = BTreeMap<String, u64>;

pub(super) struct Survey {
    keys: Keys,
    asks: Mutex<Asks>,
    answering: Arc<Semaphore>,
}

#[derive(Default)]
struct Asks {
    last: u64,
    open: HashMap<u64, Ask>,
}

struct Ask {
    /// The instances that have not answered.
    missing: HashSet<String>,
    answers: usize,
    counts: Counts,
    complete: Arc<Notify>,
}

impl Survey {
    pub(super) fn new(keys: Keys) -> Self {
        Self { keys, asks: Mutex::default(), answering: Arc::new(Semaphore::new(ANSWERING)) }
    }

    /// Asks the instances which channels they have that match the pattern, and adds their answers to `counts`.
    /// Without an answer in time from some of them, the others' will do.
    pub(super) async fn ask(
        &self,
        bus: &Bus,
        instances: HashSet<String>,
        pattern: &str,
        counts: Counts,
    ) -> Result<Counts, Unavailable> {
        if instances.is_empty() {
            return Ok(counts);
        }
        let complete = Arc::new(Notify::new());
        let ask = Ask { missing: instances, answers: 0, counts, complete: complete.clone() };
        let open = self.open(ask);
        let (sent, outcome) = Ack::channel();
        bus.tell(&self.keys.everyone(), &Envelope::AskChannels(open.number, pattern.as_bytes()), sent);
        let waited = timeout(ANSWER_WITHIN, async {
            outcome.await?;
            complete.notified().await;
            Ok(())
        });
        if let Ok(Err(failed)) = waited.await {
            return Err(failed);
        }
        let ask = self.asks.lock().open.remove(&open.number).ok_or(Unavailable::Closed)?;
        if ask.answers == 0 { Err(Unavailable::Timeout) } else { Ok(ask.counts) }
    }

    fn open(&self, ask: Ask) -> Open<'_> {
        let mut asks = self.asks.lock();
        asks.last += 1;
        let number = asks.last;
        asks.open.insert(number, ask);
        Open { survey: self, number }
    }

    /// Answers another instance, on a task of its own: it may have to look through many channels.
    pub(super) fn asked(&self, hub: &Arc<Hub>, bus: &Arc<Bus>, from: Address, number: u64, pattern: &[u8]) {
        let Ok(turn) = self.answering.clone().try_acquire_owned() else { return };
        let (hub, bus) = (hub.clone(), bus.clone());
        let name = self.keys.instance(&from.to_string());
        let pattern = String::from_utf8_lossy(pattern).into_owned();
        tokio::spawn(async move {
            let counts: Counts = hub.matching_channels(&pattern).into_iter().collect();
            let answer = serde_json::to_vec(&counts).unwrap_or_default();
            bus.tell(&name, &Envelope::Channels(number, &answer), Ack::ignore());
            drop(turn);
        });
    }

    /// Takes another instance's answer.
    pub(super) fn answered(&self, from: &Address, number: u64, answer: &[u8]) {
        let Ok(counts) = serde_json::from_slice::<Counts>(answer) else { return };
        let mut asks = self.asks.lock();
        let Some(ask) = asks.open.get_mut(&number) else { return };
        if !ask.missing.remove(&from.to_string()) {
            return;
        }
        ask.answers += 1;
        for (channel, subscribers) in counts {
            *ask.counts.entry(channel).or_default() += subscribers;
        }
        if ask.missing.is_empty() {
            ask.complete.notify_one();
        }
    }
}

/// A question that nobody waits for any more is forgotten, also when whoever asked has gone.
struct Open<'a> {
    survey: &'a Survey,
    number: u64,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.survey.asks.lock().open.remove(&self.number);
    }
}
