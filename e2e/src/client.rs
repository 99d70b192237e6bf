//! A client of the WebSocket endpoint: the Centrifuge protocol in JSON.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use futures_util::{SinkExt, StreamExt};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

/// How long a connection or an answer may take before the client gives up on it.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the server sends without being asked.
#[derive(Clone, Debug)]
pub enum Event {
    /// A publication's data, and when it came.
    Publication(Value, Instant),
    /// The end: WebSocket's code, 1006 when the connection just broke.
    Closed(u16),
}

/// A connected client. Dropping it ends the connection.
pub struct Client {
    /// Its identity, as presence shows it.
    pub id: String,
    /// The instance that it is connected to.
    pub node: String,
    last_id: u64,
    commands: mpsc::UnboundedSender<String>,
    waiting: Waiting,
    events: mpsc::UnboundedReceiver<Event>,
    connection: JoinHandle<()>,
}

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

impl Client {
    /// Connects as nobody in particular.
    pub async fn connect(address: SocketAddr) -> Result<Self> {
        timeout(PATIENCE, Self::try_connect(address)).await.context("no connection in time")?
    }

    async fn try_connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let url = format!("ws://{address}/connection/websocket");
        let (socket, _) = client_async(url, stream).await.context("the WebSocket handshake")?;
        let (commands, to_send) = mpsc::unbounded_channel();
        let (tell, events) = mpsc::unbounded_channel();
        let waiting = Waiting::default();
        let connection = tokio::spawn(run(socket, to_send, tell, waiting.clone()));
        let (id, node) = Default::default();
        let mut client = Self { id, node, last_id: 0, commands, waiting, events, connection };
        let reply = client.ask(json!({"connect": {"name": "e2e"}})).await?;
        let text = |field: &str| reply["connect"][field].as_str().map(str::to_owned);
        client.id = text("client").with_context(|| format!("no client ID in {reply}"))?;
        client.node = text("node").with_context(|| format!("no instance in {reply}"))?;
        Ok(client)
    }

    /// Subscribes to a channel.
    pub async fn subscribe(&mut self, channel: &str) -> Result<()> {
        self.expect("subscribe", json!({"channel": channel})).await.map(drop)
    }

    /// Publishes into a channel.
    pub async fn publish(&mut self, channel: &str, data: Value) -> Result<()> {
        self.expect("publish", json!({"channel": channel, "data": data})).await.map(drop)
    }

    /// The identities of those in a channel.
    pub async fn presence(&mut self, channel: &str) -> Result<Vec<String>> {
        let reply = self.expect("presence", json!({"channel": channel})).await?;
        let present = reply["presence"].as_object().context("the reply has no presence")?;
        Ok(present.keys().cloned().collect())
    }

    async fn expect(&mut self, command: &str, body: Value) -> Result<Value> {
        let mut reply = self.ask(json!({command: body})).await?;
        if !reply["error"].is_null() {
            bail!("{} refused to {command}: {}", self.node, reply["error"]);
        }
        Ok(reply[command].take())
    }

    /// Sends a command and waits for the reply, which may be an error.
    pub async fn ask(&mut self, command: Value) -> Result<Value> {
        let reply = self.send(command)?;
        let reply = timeout(PATIENCE, reply).await.map_err(|_| anyhow!("no reply within {PATIENCE:?}"))?;
        reply.context("the connection ended before the reply")
    }

    /// Sends a command; the reply comes later.
    pub fn send(&mut self, mut command: Value) -> Result<oneshot::Receiver<Value>> {
        self.last_id += 1;
        command["id"] = self.last_id.into();
        let (tell, reply) = oneshot::channel();
        self.waiting.lock().insert(self.last_id, tell);
        self.commands.send(command.to_string()).context("the connection has ended")?;
        Ok(reply)
    }

    /// What comes next; after `Closed` nothing does.
    pub async fn event(&mut self) -> Event {
        self.events.recv().await.unwrap_or(Event::Closed(1006))
    }

    /// The next publication's data.
    pub async fn publication(&mut self, within: Duration) -> Result<Value> {
        match timeout(within, self.event()).await {
            Ok(Event::Publication(data, _)) => Ok(data),
            Ok(Event::Closed(code)) => bail!("{} closed the connection with {code}", self.node),
            Err(_) => bail!("nothing arrived within {within:?}"),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// The connection's own task: writes commands, sorts what arrives, answers pings.
async fn run(
    mut socket: WebSocketStream<TcpStream>,
    mut commands: mpsc::UnboundedReceiver<String>,
    events: mpsc::UnboundedSender<Event>,
    waiting: Waiting,
) {
    let code = loop {
        tokio::select! {
            command = commands.recv() => {
                let Some(command) = command else { return };
                if socket.send(Message::text(command)).await.is_err() {
                    break 1006;
                }
            }
            frame = socket.next() => match frame {
                Some(Ok(Message::Text(text))) => {
                    for line in text.lines() {
                        if line == "{}" {
                            let _ = socket.send(Message::text("{}")).await;
                        } else {
                            sort(line, &events, &waiting);
                        }
                    }
                }
                Some(Ok(Message::Close(reason))) => break reason.map_or(1005, |reason| reason.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break 1006,
            },
        }
    };
    waiting.lock().clear();
    let _ = events.send(Event::Closed(code));
    // The closing handshake ends when the peer has answered.
    while let Some(Ok(_)) = socket.next().await {}
}

fn sort(line: &str, events: &mpsc::UnboundedSender<Event>, waiting: &Waiting) {
    let Ok(mut reply) = serde_json::from_str::<Value>(line) else { return };
    if let Some(id) = reply["id"].as_u64() {
        if let Some(tell) = waiting.lock().remove(&id) {
            let _ = tell.send(reply);
        }
    } else if !reply["push"]["pub"].is_null() {
        let _ = events.send(Event::Publication(reply["push"]["pub"]["data"].take(), Instant::now()));
    }
}
