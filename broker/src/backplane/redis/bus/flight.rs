//! What is on its way to Redis and back.

use std::collections::VecDeque;

use tokio::time::{Instant, timeout_at};

use super::{
    super::{
        connect::Failure,
        resp::{self, Frame},
        wire::Wire,
    },
    BATCHES_IN_FLIGHT, WRITE_SIZE,
    append::{self, Again, Append},
    batch::{Batch, count_dropped},
};
use crate::{
    backplane::{ANSWER_WITHIN, Ack, Unavailable},
    metrics::{Direction, Metrics, RedisCommand},
};

/// What is being sent, and what has been sent and is not answered. Whoever still waits when it ends is told.
pub(super) struct Flight<'a> {
    pub(super) batch: Batch,
    /// The batch's commands as bytes.
    pub(super) out: Vec<u8>,
    pub(super) batches: VecDeque<Sent>,
    commands: VecDeque<Command>,
    acks: VecDeque<Ack>,
    /// Whether this connection's server was given the script that appends to streams.
    has_script: bool,
    /// What it was sent all the same without having it: that is sent again.
    again: Vec<Again>,
    /// What those are told who still wait at the end.
    pub(super) why: Unavailable,
    /// Whether a refusal has been logged: one for each connection is enough.
    refused: bool,
    metrics: &'a Metrics,
}

/// A command that is not answered.
struct Command {
    /// How many acks wait for its reply.
    acks: usize,
    /// How many envelopes it carries.
    envelopes: u64,
    /// What it appends to a stream.
    append: Option<Box<Append>>,
}

/// A batch that is not answered.
pub(super) struct Sent {
    /// How many of its commands are not.
    left: usize,
    /// When its first envelope came: those who wait for it count from there.
    since: Instant,
    /// When it was sent.
    at: Instant,
}

impl<'a> Flight<'a> {
    pub(super) fn new(metrics: &'a Metrics) -> Self {
        Self {
            batch: Batch::default(),
            out: Vec::new(),
            batches: VecDeque::new(),
            commands: VecDeque::new(),
            acks: VecDeque::new(),
            has_script: false,
            again: Vec::new(),
            why: Unavailable::Disconnected,
            refused: false,
            metrics,
        }
    }

    pub(super) fn depart(&mut self, since: Instant, now: Instant) {
        self.batches.push_back(Sent { left: self.batch.used, since, at: now });
    }

    pub(super) fn board(&mut self, slot: usize) {
        let packet = &mut self.batch.packets[slot];
        let append = packet.kept.take().map(|kept| {
            let (name, body) = (std::mem::take(&mut packet.name), std::mem::take(&mut packet.body));
            Box::new(Append { kept, name, body })
        });
        let (acks, envelopes) = (packet.acks.len(), std::mem::take(&mut packet.envelopes));
        match &append {
            None => resp::write_command(&[b"PUBLISH", &packet.name, &packet.body], &mut self.out),
            Some(append) => {
                if !std::mem::replace(&mut self.has_script, true) {
                    append::write_script(&mut self.out);
                    self.commands.push_back(Command { acks: 0, envelopes: 0, append: None });
                    if let Some(batch) = self.batches.back_mut() {
                        batch.left += 1;
                    }
                }
                append.write(&mut self.out);
            }
        }
        self.acks.extend(packet.acks.drain(..));
        self.commands.push_back(Command { acks, envelopes, append });
        self.metrics.envelopes.add(Direction::Sent, envelopes);
    }

    /// Whether another batch may be sent now.
    pub(super) fn may_depart(&self) -> bool {
        self.batches.len() < BATCHES_IN_FLIGHT && self.again.is_empty()
    }

    /// Sends again what the server had no script for, once all else is answered: what comes later must not overtake it.
    pub(super) async fn send_again(&mut self, wire: &mut Wire) -> Result<(), Failure> {
        let Some(first) = self.again.first().filter(|_| self.batches.is_empty()) else { return Ok(()) };
        let (since, now) = (first.since, Instant::now());
        if now >= since + ANSWER_WITHIN {
            self.again.drain(..).for_each(|again| again.fail(Unavailable::Timeout, self.metrics));
            return Ok(());
        }
        self.batches.push_back(Sent { left: self.again.len() + 1, since, at: now });
        append::write_script(&mut self.out);
        self.commands.push_back(Command { acks: 0, envelopes: 0, append: None });
        for Again { append, acks, envelopes, .. } in std::mem::take(&mut self.again) {
            append.write(&mut self.out);
            self.commands.push_back(Command { acks: acks.len(), envelopes, append: Some(append) });
            self.acks.extend(acks);
        }
        self.send(wire).await
    }

    /// Hands what has boarded to the connection. While that takes no more, answers are read, for those who wait for
    /// them have no more time because of it.
    pub(super) async fn send(&mut self, wire: &mut Wire) -> Result<(), Failure> {
        let out = std::mem::take(&mut self.out);
        let mut written = 0;
        loop {
            let deadline = self.deadline().ok_or_else(unexpected)?;
            let Ok(done) = timeout_at(deadline, wire.write_or_read(&out, &mut written)).await else {
                self.why = Unavailable::Timeout;
                return Err(Failure::new("Redis does not read what is sent to it"));
            };
            if done? {
                break;
            }
            wire.drain(|frame| self.replied(&frame))?;
        }
        self.out = out;
        self.out.clear();
        Ok(())
    }

    pub(super) fn departed(&mut self) {
        self.batch.recycle();
        if self.out.capacity() > 2 * WRITE_SIZE {
            self.out = Vec::new();
        }
    }

    /// When those who have waited longest are told that it failed; none when nobody waits.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.batches.front().map(|batch| batch.since + ANSWER_WITHIN)
    }

    pub(super) fn replied(&mut self, frame: &Frame<'_>) -> Result<(), Failure> {
        let outcome = match frame {
            Frame::Reply(reply) => Ok(*reply),
            Frame::Error(error) => Err(*error),
            _ => return Ok(()),
        };
        let Command { acks, envelopes, append } = self.commands.pop_front().ok_or_else(unexpected)?;
        let batch = self.batches.front_mut().ok_or_else(unexpected)?;
        let acks = self.acks.drain(..acks);
        match (append, outcome) {
            (Some(append), Err(error)) if error.starts_with(b"NOSCRIPT") => {
                self.again.push(Again { append, acks: acks.collect(), envelopes, since: batch.since });
            }
            (append, Err(error)) => {
                if !std::mem::replace(&mut self.refused, true) {
                    let command = if append.is_some() { "a script" } else { "PUBLISH" };
                    tracing::warn!(error = %String::from_utf8_lossy(error), "Redis refused {command}");
                }
                count_dropped(self.metrics, Unavailable::Refused, envelopes);
                acks.for_each(|ack| ack.done(Err(Unavailable::Refused)));
            }
            (None, Ok(_)) => acks.for_each(|ack| ack.done(Ok(()))),
            (Some(append), Ok(reply)) => {
                append.tell(reply, acks);
                // Another instance has brought the script: what this channel was to be told before comes too late.
                let overtaken = self.again.extract_if(.., |again| again.append.name == append.name);
                overtaken.for_each(|again| again.fail(Unavailable::Refused, self.metrics));
            }
        }
        batch.left -= 1;
        if batch.left == 0 {
            let took = batch.at.elapsed().as_secs_f64();
            self.metrics.redis_commands.get(RedisCommand::Publish).observe(took);
            self.batches.pop_front();
        }
        Ok(())
    }
}

fn unexpected() -> Failure {
    Failure::new("Redis sent an answer to nothing")
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        for Command { acks, envelopes, append } in self.commands.drain(..) {
            // What goes into a stream may be there, and comes from there if it is.
            let why = if append.is_some() { Unavailable::Uncertain } else { self.why };
            count_dropped(self.metrics, why, envelopes);
            self.acks.drain(..acks).for_each(|ack| ack.done(Err(why)));
        }
        self.again.drain(..).for_each(|again| again.fail(self.why, self.metrics));
        self.batch.fail(self.why, self.metrics);
    }
}
