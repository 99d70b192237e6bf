//! A small client of the websocket endpoint: the Centrifuge protocol in JSON, one command at a time.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

/// Nothing that the demonstration waits for takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connected client.
pub(super) struct Client {
    socket: WebSocket<TcpStream>,
    next: u64,
    publications: VecDeque<Value>,
}

impl Client {
    /// Connects to a broker behind a port of loopback, as nobody in particular.
    pub(super) fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let url = format!("ws://127.0.0.1:{port}/connection/websocket");
        let (socket, _) = tungstenite::client(&url, stream).context("the websocket handshake failed")?;
        let mut client = Self { socket, next: 0, publications: VecDeque::new() };
        client.ask("connect", json!({"name": "xtask"}))?;
        Ok(client)
    }

    pub(super) fn subscribe(&mut self, channel: &str) -> Result<()> {
        self.ask("subscribe", json!({"channel": channel})).map(drop)
    }

    pub(super) fn publish(&mut self, channel: &str, data: &Value) -> Result<()> {
        self.ask("publish", json!({"channel": channel, "data": data})).map(drop)
    }

    /// The next publication's data.
    pub(super) fn publication(&mut self) -> Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(data) = self.publications.pop_front() {
                return Ok(data);
            }
            if Instant::now() > deadline {
                bail!("no message arrived within {} s", PATIENCE.as_secs());
            }
            self.read()?;
        }
    }

    /// Sends a command and waits for its reply; what else arrives is kept.
    fn ask(&mut self, command: &str, body: Value) -> Result<Value> {
        self.next += 1;
        let id = self.next;
        self.socket.send(Message::text(json!({"id": id, command: body}).to_string()))?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            for reply in self.read()? {
                if reply["id"] == id {
                    let error = &reply["error"];
                    if !error.is_null() {
                        bail!(
                            "the broker refused to {command}: {} (code {})",
                            error["message"],
                            error["code"]
                        );
                    }
                    return Ok(reply);
                }
            }
        }
        bail!("the broker did not answer to {command} within {} s", PATIENCE.as_secs())
    }

    /// Reads one frame: publications are kept, pings answered, replies returned.
    fn read(&mut self) -> Result<Vec<Value>> {
        let frame = match self.socket.read() {
            Ok(frame) => frame,
            Err(tungstenite::Error::Io(error))
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
            {
                bail!("the broker said nothing for {} s", PATIENCE.as_secs())
            }
            Err(error) => return Err(error).context("the connection broke"),
        };
        if let Message::Close(reason) = frame {
            bail!(
                "the broker closed the connection: {}",
                reason.map(|r| r.reason.to_string()).unwrap_or_default()
            );
        }
        let mut replies = Vec::new();
        // One frame may hold several replies, a line each.
        for line in frame.to_text().unwrap_or_default().lines().filter(|line| !line.is_empty()) {
            let reply: Value = serde_json::from_str(line).context("the broker's reply is no JSON")?;
            if reply.as_object().is_some_and(serde_json::Map::is_empty) {
                self.socket.send(Message::text("{}"))?;
            } else if !reply["push"]["pub"].is_null() {
                self.publications.push_back(reply["push"]["pub"]["data"].clone());
            } else {
                replies.push(reply);
            }
        }
        Ok(replies)
    }
}
