//! What is on its way to Redis and back.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    super::{
        connect::Failure,
        resp::{self, Frame},
    },
    WRITE_SIZE,
    batch::{Batch, count_dropped},
};
use crate::{
    backplane::{Ack, Unavailable},
    metrics::{Direction, Metrics, RedisCommand},
};

/// What is being sent, and what has been sent and is not answered. Whoever still waits when it ends is told.
pub(super) struct Flight<'a> {
    pub(super) batch: Batch,
    /// The batch's commands as bytes.
    pub(super) out: Vec<u8>,
    /// Per batch, how many commands are not answered yet, and when it was sent.
    pub(super) batches: VecDeque<(usize, Instant)>,
    /// Per command, how many acks wait for its reply, and how many envelopes it carries.
    commands: VecDeque<(usize, u64)>,
    acks: VecDeque<Ack>,
    /// When something was last answered.
    pub(super) answered: Instant,
    /// What those are told who still wait at the end.
    pub(super) why: Unavailable,
    /// Whether a refusal has been logged: one for each connection is enough.
    refused: bool,
    metrics: &'a Metrics,
}

impl<'a> Flight<'a> {
    pub(super) fn new(metrics: &'a Metrics) -> Self {
        Self {
            batch: Batch::default(),
            out: Vec::new(),
            batches: VecDeque::new(),
            commands: VecDeque::new(),
            acks: VecDeque::new(),
            answered: Instant::now(),
            why: Unavailable::Disconnected,
            refused: false,
            metrics,
        }
    }

    pub(super) fn depart(&mut self) {
        self.out.clear();
        self.batches.push_back((self.batch.used, Instant::now()));
    }

    pub(super) fn board(&mut self, slot: usize) {
        let packet = &mut self.batch.packets[slot];
        resp::write_command(&[b"PUBLISH", &packet.name, &packet.body], &mut self.out);
        self.commands.push_back((packet.acks.len(), packet.envelopes));
        self.acks.extend(packet.acks.drain(..));
        self.metrics.envelopes.add(Direction::Sent, packet.envelopes);
        packet.envelopes = 0;
    }

    pub(super) fn departed(&mut self) {
        self.batch.recycle();
        if self.out.capacity() > 2 * WRITE_SIZE {
            self.out = Vec::new();
        }
    }

    /// How long the server has owed an answer.
    pub(super) fn waited(&self) -> Duration {
        self.batches.front().map(|(_, sent)| self.answered.max(*sent).elapsed()).unwrap_or_default()
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
        let unexpected = || Failure::new("Redis sent an answer to nothing");
        let (acks, envelopes) = self.commands.pop_front().ok_or_else(unexpected)?;
        if let Err(why) = outcome {
            count_dropped(self.metrics, why, envelopes);
        }
        self.acks.drain(..acks).for_each(|ack| ack.done(outcome));
        let (left, sent) = self.batches.front_mut().ok_or_else(unexpected)?;
        *left -= 1;
        if *left == 0 {
            self.metrics.redis_commands.get(RedisCommand::Publish).observe(sent.elapsed().as_secs_f64());
            self.batches.pop_front();
        }
        Ok(())
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let envelopes = self.commands.iter().map(|(_, envelopes)| envelopes).sum();
        count_dropped(self.metrics, self.why, envelopes);
        self.acks.drain(..).for_each(|ack| ack.done(Err(self.why)));
        self.batch.fail(self.why, self.metrics);
    }
}
