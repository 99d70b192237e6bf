//! Requests that arrive on another instance than the one that holds their connection: the instance that got one asks the
//! other, over the backplane, and gives the client the answer.
//!
//! ```text
//! question = op:u8  name_length:u16le  name:bytes  rest
//! op       = 1 poll | 2 post | 4 may move | 5 probed | 6 moved | 7 stays | 8 pull | 9 push | 10 gone
//!                             (name: sid; rest: a body, of post and push)
//!          | 3 ask            (name: channel; rest: milliseconds:u32le event:JSON)
//!          | 11 ask clients   (name: none; rest: milliseconds:u32le count:u32le client:bytes(16)*count event:JSON)
//!          | 12 ask others    (name: channel; rest: milliseconds:u32le length:u32le excluded:bytes(length) event:JSON)
//! answer   = 0 bytes | 1 fault:u8
//! ```

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::{Endpoint, asks, polling::By, request::Fault, session::Session, sid};
use crate::{
    backplane::{ANSWER_WITHIN, envelope::take},
    cluster::{Answerer, Answering, Question},
    endpoint::Disconnect,
    message::Address,
    metrics::{Forwarded, Metrics, SocketIoMetrics},
};

/// Requests that are brought to other instances at a time.
const FORWARDED: usize = 4096;

/// How long it is known which instances there are, before an unknown one leads to another look.
const KNOWN_FOR: Duration = Duration::from_secs(1);

/// What is asked of another instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Op {
    /// What waits, as a body.
    Poll = 1,
    /// Take this body.
    Post = 2,
    /// Ask your clients in a channel.
    Ask = 3,
    /// May the connection move to a WebSocket here?
    MayMove = 4,
    /// It will in a moment.
    Probed = 5,
    /// It has.
    Moved = 6,
    /// It has not.
    Stays = 7,
    /// What waits, as frames.
    Pull = 8,
    /// Take this body of a connection that has moved.
    Push = 9,
    /// The WebSocket is there no more.
    Gone = 10,
    /// Ask these clients.
    AskClients = 11,
    /// Ask your clients in a channel, but for some.
    AskOthers = 12,
}

impl Op {
    const ALL: [Self; 12] = [
        Self::Poll,
        Self::Post,
        Self::Ask,
        Self::MayMove,
        Self::Probed,
        Self::Moved,
        Self::Stays,
        Self::Pull,
        Self::Push,
        Self::Gone,
        Self::AskClients,
        Self::AskOthers,
    ];
}

/// Where a connection is.
pub(super) enum Where {
    /// On this instance.
    Here(Arc<Session>),
    /// On this one, if it is anywhere.
    Elsewhere(Address),
    /// There is no such connection.
    Nowhere,
}

/// What is known of the other instances.
pub(super) struct Others {
    known: Mutex<(Option<Instant>, HashSet<Address>)>,
    under_way: Semaphore,
    metrics: SocketIoMetrics,
}

impl Others {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self { known: Mutex::default(), under_way: Semaphore::new(FORWARDED), metrics: metrics.socketio() }
    }
}

impl Endpoint {
    /// Where the connection of this name is.
    pub(super) async fn find(&self, sid: &str) -> Where {
        if let Some(session) = self.sessions.get(sid) {
            return Where::Here(session);
        }
        match sid::address_of(sid) {
            Some(address) if address != self.gateway.hub.address && self.lives(&address).await => {
                Where::Elsewhere(address)
            }
            _ => Where::Nowhere,
        }
    }

    /// Whether there is such an instance. Names that nobody has cannot make it look more often than now and then.
    async fn lives(&self, address: &Address) -> bool {
        {
            let known = self.others.known.lock();
            if known.1.contains(address) || known.0.is_some_and(|at| at.elapsed() < KNOWN_FOR) {
                return known.1.contains(address);
            }
        }
        // Whoever comes in the meantime looks too: it may be about another instance.
        let Ok(_turn) = self.others.under_way.try_acquire() else { return false };
        let others = self.gateway.pipeline.cluster.others().await;
        let mut known = self.others.known.lock();
        if let Ok(others) = others {
            known.1 = others.into_iter().collect();
        }
        known.0 = Some(Instant::now());
        known.1.contains(address)
    }

    /// What waits for a connection of another instance, as soon as there is something.
    pub(super) async fn poll_elsewhere(&self, address: Address, op: Op, sid: &str) -> Result<Vec<u8>, Fault> {
        // A ping comes at the latest.
        let within = self.settings.endpoint.ping_interval.get() + ANSWER_WITHIN;
        self.bring(address, op, sid, b"", within).await.map(Vec::from)
    }

    /// Brings a body to a connection of another instance.
    pub(super) async fn post_elsewhere(
        &self,
        address: Address,
        op: Op,
        sid: &str,
        body: &str,
    ) -> Result<(), Fault> {
        let begun = Instant::now();
        let within = self.settings.endpoint.ping_timeout.get();
        let answer = self.bring(address, op, sid, body.as_bytes(), within).await;
        self.others.metrics.seconds.observe(begun.elapsed().as_secs_f64());
        answer.map(drop)
    }

    /// Tells another instance something of a connection of its own.
    pub(super) async fn tell_elsewhere(&self, address: Address, op: Op, sid: &str) -> Result<(), Fault> {
        self.bring(address, op, sid, b"", ANSWER_WITHIN).await.map(drop)
    }

    pub(super) async fn bring(
        &self,
        address: Address,
        op: Op,
        name: &str,
        rest: &[u8],
        within: Duration,
    ) -> Result<Bytes, Fault> {
        let forwarded = &self.others.metrics.forwarded;
        let Ok(_turn) = self.others.under_way.try_acquire() else {
            forwarded.inc(Forwarded::Busy);
            return Err(Fault::BadRequest);
        };
        let question = question(op, name, rest);
        let cluster = &self.gateway.pipeline.cluster;
        let answer = cluster.ask_within(address, &Question::Endpoint(&question), within).await;
        let Ok(answer) = answer else {
            forwarded.inc(Forwarded::Lost);
            return Err(Fault::UnknownSid);
        };
        match answer.split_first() {
            Some((0, _)) => {
                forwarded.inc(Forwarded::Ok);
                Ok(answer.slice(1..))
            }
            Some((1, [fault])) => {
                forwarded.inc(Forwarded::Refused);
                Err(Fault::ALL.get(usize::from(*fault)).copied().unwrap_or(Fault::BadRequest))
            }
            _ => {
                forwarded.inc(Forwarded::Lost);
                Err(Fault::BadRequest)
            }
        }
    }
}

fn question(op: Op, name: &str, rest: &[u8]) -> Vec<u8> {
    let mut question = Vec::with_capacity(name.len() + rest.len() + 3);
    question.push(op as u8);
    question.extend_from_slice(&u16::try_from(name.len()).unwrap_or_default().to_le_bytes());
    question.extend_from_slice(name.as_bytes());
    question.extend_from_slice(rest);
    question
}

/// A question taken apart; nothing when it is none.
fn read(question: &[u8]) -> Option<(Op, &str, &[u8])> {
    let (op, rest) = question.split_first()?;
    let (length, mut rest) = rest.split_first_chunk::<2>()?;
    let name = take(&mut rest, usize::from(u16::from_le_bytes(*length))).ok()?;
    let op = Op::ALL.into_iter().find(|known| *known as u8 == *op)?;
    Some((op, std::str::from_utf8(name).ok()?, rest))
}

impl Answerer for Endpoint {
    fn asked(self: Arc<Self>, question: &[u8], answer: Answering) -> bool {
        let Some((op, name, rest)) = read(question) else { return false };
        let answered = move |outcome: Result<Vec<u8>, Fault>| match outcome {
            Ok(mut bytes) => {
                bytes.insert(0, 0);
                answer(&bytes);
            }
            Err(fault) => {
                let number = Fault::ALL.iter().position(|known| *known == fault).unwrap_or_default();
                answer(&[1, number as u8]);
            }
        };
        match op {
            Op::Ask | Op::AskClients | Op::AskOthers => {
                let Some((within, whom, data)) = asks::read(op, name, rest) else { return false };
                let data = data.to_vec();
                let Ok(turn) = self.questions.clone().try_acquire_owned() else {
                    answered(Err(Fault::BadRequest));
                    return true;
                };
                tokio::spawn(async move {
                    let answers = self.ask_here(&whom, None, &data, within).await;
                    answered(Ok(serde_json::to_vec(&answers).unwrap_or_default()));
                    drop(turn);
                });
            }
            op => {
                let Some(session) = self.sessions.get(name) else {
                    answered(Err(Fault::UnknownSid));
                    return true;
                };
                // A connection has one request of a kind at a time, which bounds the tasks.
                let body = rest.to_vec();
                tokio::spawn(async move { answered(obey(&session, op, body).await) });
            }
        }
        true
    }
}

/// Does for a connection of this instance what another one asks.
async fn obey(session: &Arc<Session>, op: Op, body: Vec<u8>) -> Result<Vec<u8>, Fault> {
    let nothing = |()| Vec::new();
    match op {
        Op::Poll => session.poll(By::Request).await,
        Op::Pull => session.poll(By::Relay).await,
        Op::Post | Op::Push => {
            let body = String::from_utf8(body).map_err(|_| Fault::BadRequest)?;
            let by = if op == Op::Post { By::Request } else { By::Relay };
            session.post(&body, by).await.map(nothing)
        }
        Op::MayMove => session.may_move().map(nothing),
        Op::Moved => session.moved(true).map(nothing),
        Op::Probed => {
            session.probed();
            Ok(Vec::new())
        }
        Op::Stays => {
            session.stays();
            Ok(Vec::new())
        }
        Op::Gone => {
            session.outbox.close(Disconnect::Gone);
            Ok(Vec::new())
        }
        Op::Ask | Op::AskClients | Op::AskOthers => Err(Fault::BadRequest),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_asked_is_read_back(op in 0..Op::ALL.len(), name: String, rest: Vec<u8>) {
            let op = Op::ALL[op];
            let question = question(op, &name, &rest);
            prop_assert_eq!(read(&question), Some((op, name.as_str(), &*rest)));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }
    }
}
