//! What is on its way to Redis and back.

use std::collections::VecDeque;

use tokio::time::{Instant, timeout_at};

use super::{
    super::{
        connect::Failure,
        resp::{self, Frame},
        wire::Wire,
    },
    WRITE_SIZE,
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
    /// Per command, how many acks wait for its reply, and how many envelopes it carries.
    commands: VecDeque<(usize, u64)>,
    acks: VecDeque<Ack>,
    /// What those are told who still wait at the end.
    pub(super) why: Unavailable,
    /// Whether a refusal has been logged: one for each connection is enough.
    refused: bool,
    metrics: &'a Metrics,
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
        resp::write_command(&[b"PUBLISH", &packet.name, &packet.body], &mut self.out);
        self.commands.push_back((packet.acks.len(), packet.envelopes));
        self.acks.extend(packet.acks.drain(..));
        self.metrics.envelopes.add(Direction::Sent, packet.envelopes);
        packet.envelopes = 0;
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
            Frame::Reply => Ok(()),
            Frame::Error(error) => {
                if !std::mem::replace(&mut self.refused, true) {
                    tracing::warn!(error = %String::from_utf8_lossy(error), "Redis refused PUBLISH");
                }
                Err(Unavailable::Refused)
            }
            _ => return Ok(()),
        };
        let (acks, envelopes) = self.commands.pop_front().ok_or_else(unexpected)?;
        if let Err(why) = outcome {
            count_dropped(self.metrics, why, envelopes);
        }
        self.acks.drain(..acks).for_each(|ack| ack.done(outcome));
        let batch = self.batches.front_mut().ok_or_else(unexpected)?;
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
        let envelopes = self.commands.iter().map(|(_, envelopes)| envelopes).sum();
        count_dropped(self.metrics, self.why, envelopes);
        self.acks.drain(..).for_each(|ack| ack.done(Err(self.why)));
        self.batch.fail(self.why, self.metrics);
    }
}
