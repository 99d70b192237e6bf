//! `broker bench`: a small load on a running broker, and what it made of it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, ensure};
use clap::ValueEnum;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::json;
use tokio::{
    sync::{mpsc, watch},
    task::{JoinError, JoinSet},
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use super::{
    address::Address,
    latency::Latencies,
    remote::Where,
    show::Out,
    socket::{Login, Push, Socket, Stopped},
};
use crate::config::Secret;

/// How many connect at once: a broker is to be measured, not its listening queue.
const AT_ONCE: usize = 32;

/// How long what is under way may take after the last message was due.
const LAST: Duration = Duration::from_secs(5);

/// How often it is looked at how many messages are due.
const TICK: Duration = Duration::from_millis(2);

/// Messages of a connection that are due and not yet written; what does not fit is counted and not sent.
const WAITING: usize = 64;

/// Put a small load on a running broker, and measure what arrives, and when.
///
/// Every connection subscribes to one channel, and the connections publish in turn, each in its own channel, as clients
/// do: so the namespace's rules have to let them, and limits on rates count. The time of a message is from just before it is
/// written until its text is read here, by the same process and clock. So this command measures itself, too: on a
/// machine that it shares with the broker, or that is busy, and above what its one thread can do, the figures are worse
/// than the broker. They tell whether
/// something is badly wrong, and compare one setting with another; they are no figures of a data sheet.
#[derive(clap::Args)]
pub(super) struct Bench {
    #[command(flatten)]
    place: Where,
    /// The path of the WebSocket endpoint: the broker's endpoints.websocket.path.
    #[arg(long, value_name = "PATH", default_value = "/connection/websocket")]
    websocket_path: String,
    /// A file with a client's token, where anonymous clients are not allowed.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// How many clients connect.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// How many channels they are spread over.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    channels: u32,
    /// What the channels' names start with; a number follows.
    #[arg(long, value_name = "TEXT", default_value = "bench-")]
    prefix: String,
    /// Messages that are published each second, all together.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    /// How long it publishes.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
    /// Bytes of padding in a message's data, beside the time that it carries.
    #[arg(long, value_name = "BYTES", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    size: u32,
    /// A table for people, or one object for programs.
    #[arg(long, value_enum, default_value_t)]
    output: Form,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Form {
    #[default]
    Table,
    Json,
}

/// What all clients have done so far.
#[derive(Default)]
struct Done {
    published: u64,
    refused: u64,
    /// Messages that subscribers should have got: each that was not refused, once for each subscriber of its channel.
    expected: u64,
    latencies: Latencies,
}

/// One of the clients.
struct Client {
    channel: String,
    /// How many are in the channel.
    audience: u64,
    socket: Socket,
}

/// What all connections of a run share.
struct Run {
    address: Address,
    path: String,
    token: Option<Secret>,
    /// Tells the messages of this run from those of others.
    id: u32,
    start: Instant,
    padding: String,
    done: Mutex<Done>,
}

/// What a message carries.
#[derive(Serialize, Deserialize)]
struct Stamp<'a> {
    run: u32,
    /// Microseconds since the start of the run.
    at: u64,
    padding: &'a str,
}

/// A reply to a message.
#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    error: Option<IgnoredAny>,
}

impl Bench {
    /// Connects, publishes, waits for what is under way, and reports.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        ensure!(
            self.channels <= self.connections,
            "--channels is more than --connections, so that nobody would be in some; give fewer channels"
        );
        let run = Arc::new(Run {
            address: self.place.address()?,
            path: self.websocket_path.clone(),
            token: self.token_file.as_deref().map(token).transpose()?,
            id: rand::random(),
            start: Instant::now(),
            padding: "x".repeat(self.size as usize),
            done: Mutex::default(),
        });
        let clients = self.connect(&run).await.with_context(|| run.address.websocket(&run.path))?;
        let (stop, stopped) = watch::channel(());
        let (mut tasks, mut publishers) = (JoinSet::new(), Vec::new());
        for client in clients {
            let (publish, due) = mpsc::channel(WAITING);
            publishers.push(publish);
            let (run, stopped) = (run.clone(), stopped.clone());
            tasks.spawn(async move { run.client(client, due, stopped).await.map_err(Stopped::into_error) });
        }
        let skipped = tokio::select! {
            skipped = self.publish(&publishers) => skipped,
            // None of them ends by itself.
            ended = tasks.join_next() => return Err(lost(ended)),
        };
        tokio::select! {
            _ = timeout(LAST, run.arrived(self.messages() - skipped)) => drop(stop),
            ended = tasks.join_next() => return Err(lost(ended)),
        }
        while let Some(ended) = tasks.join_next().await {
            ended?.context("a client lost its connection")?;
        }
        self.report(&run.done.lock(), skipped)
    }

    /// The connected clients.
    async fn connect(&self, run: &Arc<Run>) -> anyhow::Result<Vec<Client>> {
        let mut clients = Vec::new();
        let mut numbers = 0..self.connections;
        let mut opening = JoinSet::new();
        loop {
            while opening.len() < AT_ONCE
                && let Some(number) = numbers.next()
            {
                let (run, channel, audience) = (run.clone(), self.channel(number), self.audience(number));
                opening.spawn(async move {
                    let channels = std::slice::from_ref(&channel);
                    let login = Login { token: run.token.clone(), channels };
                    let socket = Socket::open(&run.address, &run.path, &login).await;
                    let socket = socket.map_err(Stopped::into_error)?;
                    anyhow::Ok(Client { channel, audience, socket })
                });
            }
            let Some(opened) = opening.join_next().await else { return Ok(clients) };
            clients.push(opened?.with_context(|| format!("after {} connections", clients.len()))?);
        }
    }

    fn channel(&self, number: u32) -> String {
        format!("{}{}", self.prefix, number % self.channels)
    }

    /// How many clients are in the channel of this one.
    fn audience(&self, number: u32) -> u64 {
        let (each, more) = (self.connections / self.channels, self.connections % self.channels);
        u64::from(each) + u64::from(number % self.channels < more)
    }

    /// How many messages are published.
    fn messages(&self) -> u64 {
        u64::from(self.rate) * u64::from(self.seconds)
    }

    /// Lets the clients publish in turn, at the rate; how many messages were due and found no room.
    async fn publish(&self, publishers: &[mpsc::Sender<()>]) -> u64 {
        let (begun, wanted) = (Instant::now(), self.messages());
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut turns, mut skipped) = (publishers.iter().cycle(), 0);
        let mut begun_with = 0;
        while begun_with < wanted {
            tick.tick().await;
            let due = (begun.elapsed().as_secs_f64() * f64::from(self.rate)) as u64;
            for publisher in turns.by_ref().take((due.min(wanted) - begun_with) as usize) {
                skipped += u64::from(publisher.try_send(()).is_err());
            }
            begun_with = due.min(wanted);
        }
        skipped
    }

    fn report(&self, done: &Done, skipped: u64) -> anyhow::Result<()> {
        let out = Out::new();
        let Done { published, refused, expected, latencies } = done;
        let delivered = latencies.count();
        let lost = expected.saturating_sub(delivered);
        let per_second = delivered / u64::from(self.seconds);
        let [p50, p99, max] = [latencies.quantile(0.5), latencies.quantile(0.99), latencies.max()]
            .map(|microseconds| microseconds as f64 / 1000.0);
        if let Form::Json = self.output {
            return out.line(
                &json!({
                    "connections": self.connections,
                    "channels": self.channels,
                    "published": published,
                    "refused": refused,
                    "skipped": skipped,
                    "delivered": delivered,
                    "lost": lost,
                    "delivered_per_second": per_second,
                    "latency_ms": {"p50": p50, "p99": p99, "max": max},
                })
                .to_string(),
            );
        }
        for (name, value) in [
            ("connections", format!("{}, channels {}", self.connections, self.channels)),
            ("published", format!("{published} ({refused} refused, {skipped} not sent in time)")),
            ("delivered", format!("{delivered} ({lost} lost), {per_second} a second")),
            ("latency", format!("p50 {p50:.2} ms, p99 {p99:.2} ms, max {max:.2} ms, this command included")),
        ] {
            out.line(&format!("{}  {value}", out.bold(&format!("{name:<11}"))))?;
        }
        Ok(())
    }
}

fn token(file: &Path) -> anyhow::Result<Secret> {
    Secret::read(file).map_err(|error| anyhow!("--token-file: cannot read {}: {error}", file.display()))
}

/// Why a client has ended that should not have.
fn lost<T>(ended: Option<Result<anyhow::Result<T>, JoinError>>) -> anyhow::Error {
    let error = match ended {
        Some(Ok(Err(error))) => error,
        Some(Err(error)) => error.into(),
        Some(Ok(Ok(_))) | None => anyhow!("it ended"),
    };
    error.context("a client lost its connection")
}

impl Run {
    /// Publishes when it is due and listens all the time, until it is told to stop.
    async fn client(
        &self,
        client: Client,
        mut due: mpsc::Receiver<()>,
        mut stopped: watch::Receiver<()>,
    ) -> Result<(), Stopped> {
        let Client { channel, audience, mut socket } = client;
        // The ids of commands go on behind those of connecting.
        let mut id = 10;
        loop {
            tokio::select! {
                Some(()) = due.recv() => {
                    id += 1;
                    let stamp = Stamp { run: self.id, at: self.now(), padding: &self.padding };
                    let command = json!({"id": id, "publish": {"channel": channel, "data": stamp}}).to_string();
                    {
                        let mut done = self.done.lock();
                        done.published += 1;
                        done.expected += audience;
                    }
                    socket.send(command).await?;
                }
                text = socket.text() => text?.lines().for_each(|line| self.note(line, audience)),
                _ = stopped.changed() => {
                    socket.close().await;
                    return Ok(());
                }
            }
        }
    }

    /// Notes what a line of the server says: how long a message took, or that one was refused.
    fn note(&self, line: &str, audience: u64) {
        let mut done = self.done.lock();
        let Some(push) = Push::read(line) else {
            if serde_json::from_str::<Reply>(line).is_ok_and(|reply| reply.error.is_some()) {
                done.refused += 1;
                done.expected = done.expected.saturating_sub(audience);
            }
            return;
        };
        let stamp = push.data.and_then(|data| serde_json::from_str::<Stamp<'_>>(data.get()).ok());
        if let Some(stamp) = stamp.filter(|stamp| stamp.run == self.id) {
            done.latencies.add(self.now().saturating_sub(stamp.at));
        }
    }

    /// Waits until so many messages were published, and all that was not refused has arrived.
    async fn arrived(&self, published: u64) {
        let open = || {
            let done = self.done.lock();
            done.published < published || done.latencies.count() < done.expected
        };
        while open() {
            sleep(TICK).await;
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
