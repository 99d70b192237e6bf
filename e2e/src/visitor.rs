//! A client as users have them: it comes back when its connection ends, and remembers what it saw.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use parking_lot::Mutex;
use rand::Rng;
use tokio::{task::JoinHandle, time::sleep};

use crate::{
    brokers::Door,
    client::{Client, Event},
    report::{Report, time},
    wait::{SHORT, until},
};

/// The pause before each attempt is random and at most this long, as with the official clients' first one.
const MOST_PAUSE: Duration = Duration::from_millis(500);

/// What a visitor remembers.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Its identities, the present one last.
    pub ids: Vec<String>,
    /// The instances that it was connected to, the present one last.
    pub nodes: Vec<String>,
    /// Whether it is connected and subscribed.
    pub present: bool,
    /// The numbers of the messages that arrived, in their order.
    pub numbers: Vec<u64>,
    /// How long they were under way.
    pub delays: Vec<Duration>,
    /// The codes that its connections ended with.
    pub codes: Vec<u16>,
    /// How long it was away each time: from the end of a connection to the next subscription.
    pub away: Vec<Duration>,
}

/// A client that stays subscribed to a channel, whatever happens.
pub struct Visitor {
    /// What it is called in reports.
    pub name: String,
    memory: Arc<Mutex<Memory>>,
    task: JoinHandle<()>,
}

/// What a message carries: its number, and when it was sent by a clock that all of a test share.
pub fn message(number: u64, epoch: Instant) -> serde_json::Value {
    serde_json::json!({"number": number, "sent": epoch.elapsed().as_micros() as u64})
}

impl Visitor {
    /// Connects to an address, and later through the Service; waits until it is subscribed.
    pub async fn arrive(
        name: impl Into<String>,
        first: SocketAddr,
        later: Door,
        channel: &str,
        epoch: Instant,
        report: Report,
    ) -> Result<Self> {
        let name = name.into();
        let memory = Arc::<Mutex<Memory>>::default();
        let stay = Stay { name: name.clone(), later, channel: channel.to_owned(), epoch, report, memory };
        let memory = stay.memory.clone();
        let task = tokio::spawn(stay.run(first));
        let visitor = Self { name, memory, task };
        until("a client connects", SHORT, async || Ok(visitor.memory.lock().present.then_some(()))).await?;
        Ok(visitor)
    }

    /// What it remembers by now.
    pub fn memory(&self) -> Memory {
        self.memory.lock().clone()
    }

    /// How often its connection ended.
    pub fn ends(&self) -> usize {
        self.memory.lock().codes.len()
    }

    /// Waits until a message of at least this number has arrived.
    pub async fn until_number(&self, number: u64) -> Result<()> {
        until(&format!("{} has message {number}", self.name), SHORT, async || {
            let last = self.memory.lock().numbers.last().copied();
            Ok(last.is_some_and(|last| last >= number).then_some(()))
        })
        .await
    }

    /// Waits until it was away so often and is there again.
    pub async fn until_back(&self, times: usize) -> Result<()> {
        until(&format!("{} is back", self.name), SHORT, async || {
            let memory = self.memory.lock();
            Ok((memory.present && memory.away.len() >= times).then_some(()))
        })
        .await
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Stay {
    name: String,
    later: Door,
    channel: String,
    epoch: Instant,
    report: Report,
    memory: Arc<Mutex<Memory>>,
}

impl Stay {
    async fn run(self, first: SocketAddr) {
        let mut client = self.enter(first).await.ok();
        let mut since = Instant::now();
        loop {
            match client.take() {
                Some(client) => {
                    self.listen(client).await;
                    since = Instant::now();
                }
                None => {
                    let pause = MOST_PAUSE.mul_f64(rand::rng().random_range(0.0..1.0));
                    sleep(pause).await;
                    client = self.come_back(since).await.ok();
                }
            }
        }
    }

    async fn enter(&self, address: SocketAddr) -> Result<Client> {
        let mut client = Client::connect(address).await?;
        client.subscribe(&self.channel).await?;
        let mut memory = self.memory.lock();
        memory.ids.push(client.id.clone());
        memory.nodes.push(client.node.clone());
        memory.present = true;
        Ok(client)
    }

    async fn come_back(&self, since: Instant) -> Result<Client> {
        let client = self.enter(self.later.address().await?).await?;
        let away = since.elapsed();
        self.memory.lock().away.push(away);
        self.report.say(&self.name, format!("is back on {} after {}", client.node, time(away)));
        Ok(client)
    }

    /// Until the connection ends.
    async fn listen(&self, mut client: Client) {
        loop {
            match client.event().await {
                Event::Publication(data, at) => {
                    let mut memory = self.memory.lock();
                    memory.numbers.extend(data["number"].as_u64());
                    let sent = data["sent"].as_u64().map(Duration::from_micros);
                    let took = sent.map(|sent| at.duration_since(self.epoch).saturating_sub(sent));
                    memory.delays.extend(took);
                }
                Event::Closed(code) => {
                    self.report.say(&self.name, format!("{} closed the connection: {code}", client.node));
                    let mut memory = self.memory.lock();
                    memory.present = false;
                    memory.codes.push(code);
                    return;
                }
            }
        }
    }
}
