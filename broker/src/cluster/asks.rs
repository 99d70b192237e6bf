//! Questions to other instances, and their answers as they come in.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{sync::Notify, time::timeout};

use super::Question;
use crate::{
    backplane::{Ack, Audience, Backplane, Envelope, Unavailable},
    message::Address,
};

/// The questions of this instance that are not answered yet.
#[derive(Default)]
pub struct Asks {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: u64,
    open: HashMap<u64, Ask>,
}

struct Ask {
    /// The instances that have not answered.
    missing: HashSet<Address>,
    given: Vec<(Address, Bytes)>,
    complete: Arc<Notify>,
}

/// What came back.
#[derive(Debug, Default)]
pub struct Answers {
    /// Who answered, and what.
    pub given: Vec<(Address, Bytes)>,
    /// Who did not in time.
    pub silent: Vec<Address>,
}

impl Asks {
    /// Asks these instances, each of which has so long to answer.
    pub async fn ask(
        &self,
        backplane: &dyn Backplane,
        instances: Vec<Address>,
        question: &Question<'_>,
        within: Duration,
    ) -> Result<Answers, Unavailable> {
        let audience = match &*instances {
            [] => return Ok(Answers::default()),
            [one] => Audience::Instance(one.clone()),
            // The others of them that are not meant cost one message; asking each costs as many as there are.
            _ => Audience::Everyone,
        };
        let complete = Arc::new(Notify::new());
        let missing = instances.into_iter().collect();
        let open = self.open(Ask { missing, given: Vec::new(), complete: complete.clone() });
        let mut bytes = Vec::new();
        question.write(&mut bytes);
        let (sent, outcome) = Ack::channel();
        backplane.tell(&audience, &Envelope::Ask(open.number, &bytes), sent);
        let waited = timeout(within, async {
            outcome.await?;
            complete.notified().await;
            Ok(())
        });
        if let Ok(Err(failed)) = waited.await {
            return Err(failed);
        }
        let ask = self.state.lock().open.remove(&open.number).ok_or(Unavailable::Closed)?;
        Ok(Answers { given: ask.given, silent: ask.missing.into_iter().collect() })
    }

    fn open(&self, ask: Ask) -> Open<'_> {
        let mut state = self.state.lock();
        state.last += 1;
        let number = state.last;
        state.open.insert(number, ask);
        Open { asks: self, number }
    }

    /// Takes an answer; whether somebody waits for it.
    pub fn answered(&self, from: &Address, number: u64, answer: &[u8]) -> bool {
        let mut state = self.state.lock();
        let Some(ask) = state.open.get_mut(&number) else { return false };
        if !ask.missing.remove(from) {
            return false;
        }
        ask.given.push((from.clone(), Bytes::copy_from_slice(answer)));
        if ask.missing.is_empty() {
            ask.complete.notify_one();
        }
        true
    }
}

/// A question that nobody waits for any more is forgotten, also when whoever asked has gone.
struct Open<'a> {
    asks: &'a Asks,
    number: u64,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.asks.state.lock().open.remove(&self.number);
    }
}
