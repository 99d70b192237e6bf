//! Joining, noticing a loss, joining again: for ever, with growing pauses.
//!
//! The connections live and die together. Whichever breaks, whichever probe is missed, all are replaced: then
//! everything wanted is subscribed again, and lease, directory and presence are written again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBuilder};
use parking_lot::Mutex;
use tokio::{
    sync::oneshot,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    bus::Bus,
    commands::Commands,
    connect::{Failure, Server},
    departures::{Departures, Rooms},
    foreign::Foreign,
    keys::Keys,
    lease::Lease,
    listen::Listen,
    peers::Peers,
    probe::Probe,
    reaper::Reaper,
    receive::Receiver,
    records::Records,
};
use crate::{backplane::Unavailable, cluster::Inbound, hub::Hub};

/// How long all channels may take to be confirmed on a new connection.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// A connection that held so long was a good one: after it the pauses begin small again.
const STEADY: Duration = Duration::from_secs(10);

/// How long leaving may take, once what was queued is sent.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

/// Everything that outlives a connection.
pub(super) struct Core {
    pub(super) hub: Arc<Hub>,
    pub(super) inbound: Arc<Inbound>,
    pub(super) server: Server,
    pub(super) keys: Keys,
    pub(super) address: String,
    pub(super) required: bool,
    pub(super) bus: Arc<Bus>,
    pub(super) listen: Arc<Listen>,
    pub(super) records: Arc<Records>,
    pub(super) lease: Arc<Lease>,
    pub(super) reaper: Arc<Reaper>,
    pub(super) probe: Arc<Probe>,
    pub(super) peers: Arc<Peers>,
    pub(super) foreign: Arc<Foreign>,
    pub(super) departures: Arc<Departures>,
    pub(super) state: Mutex<State>,
    pub(super) stop: CancellationToken,
}

/// How the connection is.
#[derive(Default)]
pub(super) struct State {
    /// While connected.
    pub(super) commands: Option<Commands>,
    /// How often it was.
    pub(super) joins: u64,
    /// Whether it has ever been connected.
    pub(super) joined_before: bool,
    /// Why it is not connected.
    pub(super) failure: Option<Failure>,
}

impl Core {
    pub(super) fn new(
        inbound: Arc<Inbound>,
        server: Server,
        keys: Keys,
        foreign: Foreign,
        rooms: Rooms,
        required: bool,
    ) -> Self {
        let hub = inbound.hub.clone();
        let address = hub.address.to_string();
        let metrics = hub.metrics.clone();
        let bus = Arc::new(Bus::new(&hub.address, keys.clone(), metrics.clone()));
        let departures = Arc::new(Departures::new(keys.clone(), rooms));
        let probe = Arc::new(Probe::new(keys.probe(&address), metrics.clone()));
        Self {
            listen: Arc::new(Listen::new(keys.clone(), metrics.clone())),
            records: Arc::new(Records::new(hub.clone(), bus.clone(), keys.clone())),
            lease: Arc::new(Lease::new(hub.clone(), keys.clone(), probe.clone())),
            reaper: Arc::new(Reaper::new(hub.clone(), bus.clone(), keys.clone(), departures.clone())),
            probe,
            peers: Arc::new(Peers::new(&address, keys.clone(), metrics)),
            foreign: Arc::new(foreign),
            departures,
            state: Mutex::default(),
            stop: CancellationToken::new(),
            hub,
            inbound,
            server,
            keys,
            address,
            required,
            bus,
        }
    }

    /// The connection for commands, while there is one.
    pub(super) fn commands(&self) -> Option<Commands> {
        self.state.lock().commands.clone()
    }

    /// The connection for commands, or nothing for an instance that never met another one. An error for one that
    /// cannot ask the others now.
    pub(super) fn commands_or_alone(&self) -> Result<Option<Commands>, Unavailable> {
        let state = self.state.lock();
        match &state.commands {
            None if state.joined_before => Err(Unavailable::Disconnected),
            commands => Ok(commands.clone()),
        }
    }

    fn joined(&self, commands: Commands) {
        let again = {
            let mut state = self.state.lock();
            state.commands = Some(commands);
            state.failure = None;
            state.joins += 1;
            std::mem::replace(&mut state.joined_before, true)
        };
        self.bus.joined();
        self.hub.metrics.redis_up.set(1);
        // Whatever was published while this instance did not listen.
        self.hub.rejoined();
        let redis = self.server.place();
        if again {
            self.hub.metrics.redis_reconnects.inc();
            tracing::info!(redis, "joined the other instances again");
        } else {
            tracing::info!(redis, "joined the other instances through Redis");
        }
    }

    fn lost(&self, failure: Failure) {
        let (was_joined, joined_before, news) = {
            let mut state = self.state.lock();
            let was_joined = state.commands.take().is_some();
            let news = state.failure.as_ref().is_none_or(|before| before.0 != failure.0);
            state.failure = Some(failure.clone());
            (was_joined, state.joined_before, news)
        };
        self.bus.lost();
        self.hub.metrics.redis_up.set(0);
        self.hub.cut_off();
        let redis = self.server.place();
        match (was_joined, joined_before) {
            (true, _) => tracing::warn!(redis, reason = %failure, "lost Redis; local delivery goes on"),
            // The same words every few seconds would only hide other lines.
            _ if !news => tracing::debug!(redis, reason = %failure, "Redis is still away"),
            (_, true) => tracing::warn!(redis, reason = %failure, "Redis is still away"),
            (_, false) if self.required => {}
            (_, false) => {
                tracing::warn!(redis, reason = %failure, "Redis is not there; running as a single instance until it comes");
            }
        }
    }
}

/// Keeps the instance joined until it is told to stop. `first` hears how the first attempt ended.
pub(super) async fn run(core: Arc<Core>, first: oneshot::Sender<Result<(), Failure>>) {
    let mut first = Some(first);
    let mut pauses = pauses();
    loop {
        let mut session = Session::default();
        let attempt = tokio::select! {
            attempt = session.join(&core) => attempt,
            () = core.stop.cancelled() => return,
        };
        let failure = match attempt {
            Ok(()) => {
                let since = Instant::now();
                if let Some(first) = first.take() {
                    let _ = first.send(Ok(()));
                }
                let failure = tokio::select! {
                    failure = session.lost() => failure,
                    () = core.stop.cancelled() => return session.leave(&core).await,
                };
                if since.elapsed() >= STEADY {
                    pauses = self::pauses();
                }
                failure
            }
            Err(failure) => failure,
        };
        core.lost(failure.clone());
        session.end().await;
        core.listen.lost();
        core.records.lost();
        core.peers.lost();
        if let Some(first) = first.take() {
            let _ = first.send(Err(failure));
            if core.required {
                return;
            }
        }
        let pause = pauses.next().unwrap_or(STEADY);
        tokio::select! {
            () = sleep(pause) => {}
            () = core.stop.cancelled() => return,
        }
    }
}

/// From a tenth of a second up to two, each time another length, so that instances that lost Redis together do
/// not come back together. The jitter adds up to as much again as the delay itself.
fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(1))
        .with_factor(2.0)
        .with_jitter()
        .without_max_times()
        .build()
}

/// One set of connections and the tasks that serve them; all end when it is dropped.
#[derive(Default)]
struct Session {
    /// Serve the connections.
    connections: JoinSet<Failure>,
    /// Use them.
    background: JoinSet<Failure>,
}

impl Session {
    async fn join(&mut self, core: &Arc<Core>) -> Result<(), Failure> {
        let name = |what: &str| {
            let instance = core.hub.address.instance.as_str();
            let readable = instance.chars().filter(char::is_ascii_graphic).collect::<String>();
            format!("switchboard:{readable}:{what}")
        };
        // The bare connections first: their errors are told in words that are known to hold no secret.
        let (publish, subscribe) = (name("publish"), name("subscribe"));
        let (publishing, listening) =
            tokio::try_join!(core.server.wire(&publish), core.server.wire(&subscribe))?;
        let (connection, driver) = core.server.commands().await?;
        let commands = Commands::new(connection, core.hub.metrics.clone());
        self.connections.spawn(async move {
            driver.await;
            Failure::new("Redis closed the connection for commands")
        });

        let (ready, is_ready) = oneshot::channel();
        let receiver = Receiver {
            inbound: core.inbound.clone(),
            keys: core.keys.clone(),
            bus: core.bus.clone(),
            probe: core.probe.clone(),
            peers: core.peers.clone(),
            foreign: core.foreign.clone(),
        };
        let [hello, answer] = core.peers.names();
        let own = core.keys.instance(&core.address);
        let always = [core.keys.everyone(), own, core.keys.probe(&core.address), hello, answer];
        let listen = core.listen.clone();
        self.connections.spawn(async move { listen.run(listening, &always, &receiver, ready).await });
        tokio::select! {
            failure = self.lost() => return Err(failure),
            ready = timeout(READY_WITHIN, is_ready) => match ready {
                Ok(Ok(())) => {}
                _ => return Err(Failure::new("Redis does not confirm subscriptions")),
            }
        }

        // Before anything else is written, so that nobody takes this instance for dead.
        match core.lease.renew(&commands).await {
            Err(failed) if failed.is_refusal() => {
                tracing::warn!(error = %failed, "Redis does not store this instance's lease; trying again");
            }
            renewed => drop(renewed?),
        }
        let bus = core.bus.clone();
        self.connections.spawn(async move { bus.run(publishing).await });
        core.joined(commands.clone());
        self.spawn_background(core, commands);
        Ok(())
    }

    fn spawn_background(&mut self, core: &Arc<Core>, commands: Commands) {
        let (records, own) = (core.records.clone(), commands.clone());
        self.background.spawn(async move { records.run(&own).await });
        let (lease, records, own) = (core.lease.clone(), core.records.clone(), commands.clone());
        self.background.spawn(async move { lease.run(&own, &records).await });
        let (reaper, lease) = (core.reaper.clone(), core.lease.clone());
        self.background.spawn(async move { reaper.run(&commands, &lease).await });
        let (probe, bus) = (core.probe.clone(), core.bus.clone());
        self.background.spawn(async move { probe.run(&bus).await });
        let (peers, bus) = (core.peers.clone(), core.bus.clone());
        self.background.spawn(async move { peers.run(&bus).await });
    }

    /// Waits for the first task to fail.
    async fn lost(&mut self) -> Failure {
        let ended = tokio::select! {
            Some(ended) = self.connections.join_next() => ended,
            Some(ended) = self.background.join_next() => ended,
            else => return Failure::new("nothing is connected"),
        };
        ended.unwrap_or_else(|error| Failure(format!("a task of the backplane failed: {error}")))
    }

    async fn end(mut self) {
        self.connections.shutdown().await;
        self.background.shutdown().await;
    }

    /// Takes this instance out of Redis and ends.
    async fn leave(mut self, core: &Core) {
        self.background.shutdown().await;
        if let Some(commands) = core.commands() {
            match timeout(LEAVE_WITHIN, core.reaper.release(&commands)).await {
                Ok(Ok(())) => tracing::info!(redis = core.server.place(), "left the other instances"),
                Ok(Err(error)) => tracing::warn!(%error, "did not leave in order; the lease will run out"),
                Err(_) => tracing::warn!("leaving took too long; the lease will run out"),
            }
        }
        core.hub.metrics.redis_up.set(0);
        core.state.lock().commands = None;
        self.end().await;
        core.listen.lost();
        core.peers.lost();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_two_seconds_at_most() {
        let pauses: Vec<_> = pauses().take(200).collect();
        assert_eq!(pauses.len(), 200);
        assert!(pauses[0] <= Duration::from_millis(200), "{:?}", pauses[0]);
        assert!(pauses[10..].iter().all(|pause| *pause >= Duration::from_secs(1)));
        let longest = pauses.iter().max().unwrap();
        assert!(*longest <= Duration::from_secs(2), "{longest:?}");
    }
}
