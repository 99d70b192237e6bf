//! Publishing: what is said while the connection is busy travels together.
//!
//! `publish` appends the envelope to the packet of its channel in the pending batch, and nothing else. One
//! writer takes the whole batch whenever it may write, and sends it as one pipeline: a message alone goes out
//! at once, and the busier the broker is, the more messages share a packet, a command, a system call and a
//! round trip. Within a channel the order is that of the calls.

use std::sync::Arc;

use ahash::HashMap;
use parking_lot::{Mutex, MutexGuard};
use tokio::{sync::Notify, time::Instant};

use super::{connect::Failure, keys::Keys, wire::Wire};
use crate::{
    backplane::{ANSWER_WITHIN, Ack, Envelope, Keep, Publication, Unavailable, envelope::write_header},
    message::{Address, Channel},
    metrics::Metrics,
};

mod append;
mod batch;
mod flight;
#[cfg(test)]
mod tests;

use batch::{Batch, KEPT_PACKETS, KeptPacket, Packet, count_dropped};
use flight::Flight;

/// Bytes that may wait to be sent. Past it a publish is refused.
const QUEUE_LIMIT: usize = 16 * 1024 * 1024;

/// How much is handed to the connection at a time.
const WRITE_SIZE: usize = 1024 * 1024;

/// Batches that may wait for their replies. A second one shortens the wait of what is said while the first is
/// under way, where Redis is far; more would only make the batches smaller.
const BATCHES_IN_FLIGHT: usize = 2;

/// Whether there is somebody to publish to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Never connected: this is a single instance, and there is nobody to miss a message.
    Alone,
    Joined,
    Lost,
    Closed,
}

/// The way out.
pub(super) struct Bus {
    state: Mutex<State>,
    wake: Notify,
    keys: Keys,
    /// What every packet begins with.
    header: Box<[u8]>,
    metrics: Arc<Metrics>,
}

struct State {
    phase: Phase,
    batch: Batch,
    /// The packet of the batch that a channel's next envelope is appended to.
    open: HashMap<Channel, usize>,
    /// Bytes in the batch, and in the one that is being written.
    queued: usize,
}

impl Bus {
    pub(super) fn new(address: &Address, keys: Keys, metrics: Arc<Metrics>) -> Self {
        let mut header = Vec::new();
        write_header(address, &mut header);
        Self {
            state: Mutex::new(State {
                phase: Phase::Alone,
                batch: Batch::default(),
                open: HashMap::default(),
                queued: 0,
            }),
            wake: Notify::new(),
            keys,
            header: header.into(),
            metrics,
        }
    }

    /// Publishes in a channel.
    pub(super) fn publish(&self, channel: &Channel, envelope: &Envelope<'_>, ack: Ack) {
        self.append(channel, envelope, None, ack);
    }

    /// Publishes in a channel, and appends to its stream.
    pub(super) fn publish_kept(
        &self,
        channel: &Channel,
        publication: &Publication<'_>,
        keep: Keep,
        ack: Ack,
    ) {
        self.append(channel, &Envelope::Publication(*publication), Some(keep), ack);
    }

    fn append(&self, channel: &Channel, envelope: &Envelope<'_>, keep: Option<Keep>, ack: Ack) {
        let Some((mut state, ack)) = self.admit(ack, QUEUE_LIMIT) else { return };
        let State { batch, open, queued, .. } = &mut *state;
        let first = batch.used == 0;
        // What is kept has packets of its own. Another one is begun wherever the kind changes, for the order.
        let slot = open.get(channel).filter(|slot| batch.packets[**slot].keep() == keep);
        let slot = match slot {
            Some(slot) => *slot,
            None => {
                let slot = batch.start(&self.header, queued, |name| self.keys.write_channel(channel, name));
                if let Some(keep) = keep {
                    self.begin_stream(channel, keep, &mut batch.packets[slot]);
                }
                open.insert(channel.clone(), slot);
                slot
            }
        };
        let packet = &mut batch.packets[slot];
        packet.push(envelope, ack, queued);
        if packet.is_full() {
            open.remove(channel);
        }
        drop(state);
        if first {
            self.wake.notify_one();
        }
    }

    fn begin_stream(&self, channel: &Channel, keep: Keep, packet: &mut Packet) {
        let (mut position, mut stream) = (Vec::new(), Vec::new());
        self.keys.write_position(channel, &mut position);
        self.keys.write_stream(channel, &mut stream);
        let ends = vec![packet.body.len()];
        packet.kept = Some(Box::new(KeptPacket { keep, position, stream, ends }));
    }

    /// Publishes an envelope under a pub/sub name that is no channel's.
    pub(super) fn tell(&self, name: &str, envelope: &Envelope<'_>, ack: Ack) {
        let Some((mut state, ack)) = self.admit(ack, QUEUE_LIMIT) else { return };
        let State { batch, queued, .. } = &mut *state;
        let slot = batch.start(&self.header, queued, |out| out.extend_from_slice(name.as_bytes()));
        batch.packets[slot].push(envelope, ack, queued);
        drop(state);
        self.wake.notify_one();
    }

    /// Publishes bytes that are no packet. They are few, and say something of the connection itself, so they pass
    /// a full queue.
    pub(super) fn send_raw(&self, name: &str, bytes: &[u8], ack: Ack) {
        let Some((mut state, ack)) = self.admit(ack, usize::MAX) else { return };
        let State { batch, queued, .. } = &mut *state;
        let slot = batch.start(bytes, queued, |out| out.extend_from_slice(name.as_bytes()));
        batch.packets[slot].acks.push(ack);
        drop(state);
        self.wake.notify_one();
    }

    /// The state to append to; `None` when nothing may be sent now, with `limit` bytes in the queue for instance,
    /// and the ack has been told.
    fn admit(&self, ack: Ack, limit: usize) -> Option<(MutexGuard<'_, State>, Ack)> {
        let state = self.state.lock();
        let outcome = match state.phase {
            Phase::Joined if state.queued < limit => return Some((state, ack)),
            Phase::Joined => Err(Unavailable::QueueFull),
            Phase::Alone => Ok(()),
            Phase::Lost => Err(Unavailable::Disconnected),
            Phase::Closed => Err(Unavailable::Closed),
        };
        drop(state);
        if let Err(why) = outcome {
            count_dropped(&self.metrics, why, 1);
        }
        ack.done(outcome);
        None
    }

    /// Bytes that wait to be sent.
    pub(super) fn queued(&self) -> usize {
        self.state.lock().queued
    }

    /// From now on there is somebody to publish to.
    pub(super) fn joined(&self) {
        self.state.lock().enter(Phase::Joined);
    }

    /// The connection is lost: what waits fails now, and so does what comes, until it is back.
    pub(super) fn lost(&self) {
        self.end(Phase::Lost, Unavailable::Disconnected);
    }

    /// Ends when all that is queued now has been answered or given up.
    pub(super) fn flush(&self) -> impl Future<Output = Result<(), Unavailable>> + Send + use<> {
        let (last, answered) = Ack::channel();
        // Its reply comes after all others.
        self.send_raw(&self.keys.nobody(), b"", last);
        answered
    }

    /// Sends what is queued, and takes no more. Ends when all of it has been answered or given up.
    pub(super) async fn close(&self) {
        let flushed = self.flush();
        self.state.lock().phase = Phase::Closed;
        let _ = flushed.await;
        self.end(Phase::Closed, Unavailable::Closed);
    }

    fn end(&self, phase: Phase, why: Unavailable) {
        let mut batch = {
            let mut state = self.state.lock();
            state.enter(phase);
            state.open.clear();
            state.queued = 0;
            std::mem::take(&mut state.batch)
        };
        batch.fail(why, &self.metrics);
    }

    /// Takes what is pending, and leaves the empty `batch` to be filled.
    fn take(&self, batch: &mut Batch) -> bool {
        let mut state = self.state.lock();
        if state.batch.used == 0 {
            return false;
        }
        std::mem::swap(&mut state.batch, batch);
        if state.open.capacity() > 4 * KEPT_PACKETS {
            state.open = HashMap::default();
        } else {
            state.open.clear();
        }
        true
    }

    /// Serves a connection until it is lost.
    pub(super) async fn run(&self, mut wire: Wire) -> Failure {
        let mut flight = Flight::new(&self.metrics);
        let watchdog = tokio::time::sleep(ANSWER_WITHIN);
        tokio::pin!(watchdog);
        loop {
            if let Err(failure) = flight.send_again(&mut wire).await {
                return failure;
            }
            while flight.may_depart() && self.take(&mut flight.batch) {
                if let Err(failure) = self.write(&mut wire, &mut flight).await {
                    return failure;
                }
            }
            let (idle, full) = (flight.batches.is_empty(), !flight.may_depart());
            tokio::select! {
                biased;
                read = wire.read() => {
                    if let Err(failure) = read.and_then(|()| wire.drain(|frame| flight.replied(&frame))) {
                        return failure;
                    }
                }
                () = self.wake.notified(), if !full => {}
                // The timer is not set anew for each batch: when it goes off it looks how long there really is.
                () = &mut watchdog, if !idle => match flight.deadline() {
                    Some(deadline) if deadline > watchdog.deadline() => watchdog.as_mut().reset(deadline),
                    _ => {
                        flight.why = Unavailable::Timeout;
                        return Failure::new("Redis does not answer PUBLISH");
                    }
                }
            }
        }
    }

    async fn write(&self, wire: &mut Wire, flight: &mut Flight<'_>) -> Result<(), Failure> {
        let bytes = flight.batch.bytes();
        let now = Instant::now();
        let since = flight.batch.since.unwrap_or(now);
        if now >= since + ANSWER_WITHIN {
            // Too late: those who wait are told that it failed, so it must not arrive after that.
            flight.batch.fail(Unavailable::Timeout, &self.metrics);
            self.written(bytes);
            return Ok(());
        }
        flight.depart(since, now);
        for slot in 0..flight.batch.used {
            flight.board(slot);
            if flight.out.len() >= WRITE_SIZE {
                flight.send(wire).await?;
            }
        }
        flight.send(wire).await?;
        flight.departed();
        self.written(bytes);
        Ok(())
    }

    fn written(&self, bytes: usize) {
        let mut state = self.state.lock();
        state.queued = state.queued.saturating_sub(bytes);
    }
}

impl State {
    /// Changes the phase; nothing comes after the end.
    fn enter(&mut self, phase: Phase) {
        match (self.phase, phase) {
            // Nothing can be lost that was not there.
            (Phase::Closed, _) | (Phase::Alone, Phase::Lost) => {}
            _ => self.phase = phase,
        }
    }
}
