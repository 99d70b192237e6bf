//! Listening: which channels are wanted, and the connection that they arrive on.
//!
//! Callers only change what is wanted; the task that owns the connection tells the server the difference, many
//! channels with one command. The server answers in order, so the confirmations are told in order too.
//! Messages are handed on where they are read: no queue and no other task comes between.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use ahash::HashMap;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use super::{
    connect::Failure,
    keys::Keys,
    receive::Receiver,
    resp::{self, Frame},
    wire::Wire,
};
use crate::{
    backplane::Ack,
    message::Channel,
    metrics::{Metrics, RedisCommand},
};

/// Channels in one command.
const CHUNK: usize = 500;

/// Confirmations that may be outstanding. The server holds them for us while we write, and drops a connection
/// that lets it hold too much.
const OUTSTANDING: usize = 4 * CHUNK;

/// What this instance wants to hear.
pub(super) struct Listen {
    state: Mutex<State>,
    wake: Notify,
    keys: Keys,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct State {
    /// Whether a connection is being served: otherwise there is nobody to wait for.
    connected: bool,
    channels: HashMap<Channel, Entry>,
    /// Channels whose entry changed since the server was told; each is in it once.
    changed: VecDeque<Channel>,
}

#[derive(Default)]
struct Entry {
    wanted: bool,
    /// Whether the last that this connection's server was told is to subscribe.
    told: bool,
    /// Whether it is among `changed`.
    changed: bool,
    /// Told when the server has confirmed the next command for this channel.
    acks: Vec<Ack>,
}

impl Listen {
    pub(super) fn new(keys: Keys, metrics: Arc<Metrics>) -> Self {
        Self { state: Mutex::default(), wake: Notify::new(), keys, metrics }
    }

    /// Wants the channel.
    pub(super) fn subscribe(&self, channel: &Channel, ack: Ack) {
        let mut state = self.state.lock();
        let State { connected, channels, changed } = &mut *state;
        let entry = channels.entry(channel.clone()).or_default();
        entry.wanted = true;
        if !*connected {
            drop(state);
            return ack.done(Ok(()));
        }
        entry.acks.push(ack);
        entry.change(channel, changed);
        drop(state);
        self.wake.notify_one();
    }

    /// Wants the channel no more.
    pub(super) fn unsubscribe(&self, channel: &Channel) {
        let mut state = self.state.lock();
        let State { connected, channels, changed } = &mut *state;
        let Some(entry) = channels.get_mut(channel) else { return };
        entry.wanted = false;
        let unheard = std::mem::take(&mut entry.acks);
        if *connected {
            entry.change(channel, changed);
        } else {
            channels.remove(channel);
        }
        drop(state);
        self.wake.notify_one();
        drop(unheard);
    }

    /// The connection is lost. Whoever waits for a confirmation is let in: local messages flow, and the rest
    /// comes with the next connection.
    pub(super) fn lost(&self) {
        let mut waiting = Vec::new();
        {
            let mut state = self.state.lock();
            state.connected = false;
            state.changed.clear();
            state.channels.retain(|_, entry| {
                waiting.append(&mut entry.acks);
                entry.changed = false;
                entry.told = false;
                entry.wanted
            });
        }
        waiting.into_iter().for_each(|ack| ack.done(Ok(())));
    }

    /// Everything wanted is new to a new connection; how many channels that are.
    fn begin(&self) -> usize {
        let mut state = self.state.lock();
        state.connected = true;
        let State { channels, changed, .. } = &mut *state;
        for (channel, entry) in channels.iter_mut() {
            entry.change(channel, changed);
        }
        changed.len()
    }

    /// Writes the next commands, and says how many changes that were; none when the server knows what is wanted.
    fn write(&self, out: &mut Vec<u8>, waiting: &mut Waiting<'_>) -> usize {
        let (mut subscribe, mut unsubscribe) = (Vec::new(), Vec::new());
        let mut changes = 0;
        let mut state = self.state.lock();
        let State { channels, changed, .. } = &mut *state;
        while subscribe.len() + unsubscribe.len() < CHUNK {
            let Some(channel) = changed.pop_front() else { break };
            changes += 1;
            let Some(entry) = channels.get_mut(&channel) else { continue };
            entry.changed = false;
            if entry.wanted {
                // Also when the server was told before: its answer is what the acks wait for.
                entry.told = true;
                subscribe.push((channel, std::mem::take(&mut entry.acks)));
                continue;
            }
            if entry.told {
                unsubscribe.push((channel.clone(), Vec::new()));
            }
            channels.remove(&channel);
        }
        drop(state);
        for (name, command, list) in [
            (&b"UNSUBSCRIBE"[..], RedisCommand::Unsubscribe, unsubscribe),
            (&b"SUBSCRIBE"[..], RedisCommand::Subscribe, subscribe),
        ] {
            if list.is_empty() {
                continue;
            }
            resp::write_head(list.len() + 1, out);
            resp::write_bulk(name, out);
            let last = list.len() - 1;
            let mut pubsub = Vec::new();
            for (at, (channel, acks)) in list.into_iter().enumerate() {
                pubsub.clear();
                self.keys.write_channel(&channel, &mut pubsub);
                resp::write_bulk(&pubsub, out);
                waiting.push(acks, (at == last).then(|| (command, Instant::now())));
            }
        }
        changes
    }

    /// Serves a connection until it is lost. `always` are names to listen to besides the channels; `ready` is
    /// told when everything that was wanted at the start is confirmed.
    pub(super) async fn run(
        &self,
        mut wire: Wire,
        always: &[String],
        receiver: &Receiver,
        ready: oneshot::Sender<()>,
    ) -> Failure {
        let mut waiting = Waiting { queue: VecDeque::new(), pushed: 0, confirmed: 0, metrics: &self.metrics };
        let mut out = Vec::new();
        resp::write_head(always.len() + 1, &mut out);
        resp::write_bulk(b"SUBSCRIBE", &mut out);
        for name in always {
            resp::write_bulk(name.as_bytes(), &mut out);
            waiting.push(Vec::new(), None);
        }
        if receiver.foreign.write(&mut out) {
            receiver.foreign.patterns().for_each(|_| waiting.push(Vec::new(), None));
        }
        let mut wanted_at_start = self.begin();
        // How many confirmations make it ready: known when the last of these is written.
        let mut ready_at = None;
        let mut ready = Some(ready);
        loop {
            while waiting.queue.len() < OUTSTANDING {
                let changes = self.write(&mut out, &mut waiting);
                wanted_at_start = wanted_at_start.saturating_sub(changes);
                if changes == 0 && out.is_empty() {
                    break;
                }
                if let Err(failure) = wire.write(&out).await {
                    return failure;
                }
                out.clear();
            }
            if wanted_at_start == 0 {
                ready_at.get_or_insert(waiting.pushed);
            }
            tokio::select! {
                biased;
                read = wire.read() => {
                    let read = read.and_then(|()| wire.drain(|frame| match frame {
                        Frame::Message { channel, payload } => {
                            receiver.receive(channel, payload);
                            Ok(())
                        }
                        Frame::Foreign { pattern, payload } => {
                            receiver.foreign.receive(pattern, payload);
                            Ok(())
                        }
                        Frame::Confirmed => waiting.confirmed(),
                        Frame::Error(error) => {
                            Err(Failure(format!("Redis refused SUBSCRIBE: {}", String::from_utf8_lossy(error))))
                        }
                        Frame::Push | Frame::Reply(_) => Ok(()),
                    }));
                    if let Err(failure) = read {
                        return failure;
                    }
                    if ready_at.is_some_and(|at| waiting.confirmed >= at) && let Some(ready) = ready.take() {
                        let _ = ready.send(());
                    }
                }
                () = self.wake.notified(), if waiting.queue.len() < OUTSTANDING => {
                    // Whoever else is about to run may want a channel too: one command is for all of them.
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

impl Entry {
    fn change(&mut self, channel: &Channel, changed: &mut VecDeque<Channel>) {
        if !std::mem::replace(&mut self.changed, true) {
            changed.push_back(channel.clone());
        }
    }
}

/// What was written and not confirmed, in order.
struct Waiting<'a> {
    queue: VecDeque<Unconfirmed>,
    pushed: usize,
    confirmed: usize,
    metrics: &'a Metrics,
}

/// One channel of a command.
struct Unconfirmed {
    acks: Vec<Ack>,
    /// With the last channel of a command: which command, and when it was sent.
    command: Option<(RedisCommand, Instant)>,
}

impl Waiting<'_> {
    fn push(&mut self, acks: Vec<Ack>, command: Option<(RedisCommand, Instant)>) {
        self.pushed += 1;
        self.queue.push_back(Unconfirmed { acks, command });
    }

    fn confirmed(&mut self) -> Result<(), Failure> {
        let unexpected = || Failure::new("Redis confirmed a subscription that was not asked for");
        let Unconfirmed { acks, command } = self.queue.pop_front().ok_or_else(unexpected)?;
        self.confirmed += 1;
        if let Some((command, since)) = command {
            self.metrics.redis_commands.get(command).observe(since.elapsed().as_secs_f64());
        }
        acks.into_iter().for_each(|ack| ack.done(Ok(())));
        Ok(())
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // As with those that `Listen::lost` finds.
        self.queue.drain(..).flat_map(|unconfirmed| unconfirmed.acks).for_each(|ack| ack.done(Ok(())));
    }
}
