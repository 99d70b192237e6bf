//! A client that can do everything right, and everything wrong: of the WebSocket endpoint, and on other wires.

use std::{collections::VecDeque, marker::PhantomData, net::SocketAddr};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use super::{
    Frame, Response,
    wire::{Lines, WebSocket, Wire},
    within,
};

/// One connection.
pub(crate) struct Client<S = TcpStream, W = WebSocket> {
    pub(crate) stream: S,
    wire: PhantomData<W>,
    /// Bytes that are no whole frame yet.
    received: Vec<u8>,
    /// What was read and not asked for yet.
    lines: VecDeque<Value>,
    pushes: VecDeque<Value>,
    last_id: u64,
    /// Whether it answers the server's pings.
    pub(crate) answers_pings: bool,
}

/// Asks for a WebSocket. `headers` are lines that end with `\r\n`; `behind` is sent in one packet with them.
pub(crate) async fn handshake(address: SocketAddr, headers: &str, behind: &[u8]) -> Result<Client, Response> {
    let stream = within("connecting", TcpStream::connect(address)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    shake_hands(stream, address, headers, behind).await
}

/// A connection on this socket whose handshake is done.
pub(crate) async fn handshake_on(socket: TcpSocket, address: SocketAddr) -> Client {
    let stream = within("connecting", socket.connect(address)).await.unwrap();
    shake_hands(stream, address, "", b"").await.unwrap_or_else(|refusal| panic!("refused: {refusal:?}"))
}

/// Asks for a WebSocket on a connection that has just been made.
pub(crate) async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    address: SocketAddr,
    headers: &str,
    behind: &[u8],
) -> Result<Client<S>, Response> {
    let head = format!(
        "GET /connection/websocket HTTP/1.1\r\nHost: {address}\r\nConnection: keep-alive, Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         {headers}\r\n"
    );
    within("a handshake", async move {
        stream.write_all(&[head.as_bytes(), behind].concat()).await.unwrap();
        let mut received = Vec::new();
        let end = loop {
            if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0, "closed within the handshake");
        };
        if received.starts_with(b"HTTP/1.1 101 ") {
            let head = String::from_utf8_lossy(&received[..end]).to_lowercase();
            assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
            return Ok(Client::on(stream, received.split_off(end)));
        }
        while !Response::is_whole(&received) {
            assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0, "closed within the refusal");
        }
        Err(Response::parse(&received))
    })
    .await
}

impl Client {
    /// A connection whose handshake is done.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        handshake(address, "", b"").await.unwrap_or_else(|refusal| panic!("refused: {refusal:?}"))
    }
}

impl<S> Client<S> {
    /// A client on a connection that has its handshake behind it.
    pub(crate) fn on(stream: S, received: Vec<u8>) -> Self {
        Self::new(stream, received)
    }
}

impl<S> Client<S, Lines> {
    /// A client on a connection of lines.
    pub(crate) fn of_lines(stream: S) -> Self {
        Self::new(stream, Vec::new())
    }
}

impl<S, W> Client<S, W> {
    fn new(stream: S, received: Vec<u8>) -> Self {
        let (lines, pushes) = Default::default();
        Self { stream, wire: PhantomData, received, lines, pushes, last_id: 0, answers_pings: true }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, W: Wire> Client<S, W> {
    /// Says who it is; the reply's `connect`.
    pub(crate) async fn connect(&mut self, token: &str) -> Value {
        let mut reply = self.command(json!({"connect": {"token": token}})).await;
        assert!(reply["connect"]["client"].is_string(), "{reply}");
        reply["connect"].take()
    }

    /// Subscribes, which must go well.
    pub(crate) async fn subscribe(&mut self, channel: &str) {
        let reply = self.command(json!({"subscribe": {"channel": channel}})).await;
        assert_eq!(reply, json!({"subscribe": {}}));
    }

    /// Publishes, which must go well.
    pub(crate) async fn publish(&mut self, channel: &str, data: Value) {
        let reply = self.command(json!({"publish": {"channel": channel, "data": data}})).await;
        assert_eq!(reply, json!({"publish": {}}));
    }

    /// Sends a command and gives the reply without its number.
    pub(crate) async fn command(&mut self, mut command: Value) -> Value {
        self.last_id += 1;
        command["id"] = self.last_id.into();
        self.send(&command.to_string()).await;
        let mut reply = self.reply(self.last_id).await;
        reply.as_object_mut().unwrap().remove("id");
        reply
    }

    /// Sends a command that fails; the error's code.
    pub(crate) async fn error(&mut self, command: Value) -> u64 {
        let reply = self.command(command).await;
        reply["error"]["code"].as_u64().unwrap_or_else(|| panic!("not an error: {reply}"))
    }

    /// Sends one text.
    pub(crate) async fn send(&mut self, payload: &str) {
        self.send_bytes(&W::text(payload)).await;
    }

    /// Sends bytes as they are.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        within("sending", self.stream.write_all(bytes)).await.expect("the connection is open");
    }

    /// The reply with this number.
    pub(crate) async fn reply(&mut self, id: u64) -> Value {
        loop {
            let line = self.line().await;
            if line["id"] == id {
                return line;
            }
            assert!(line["push"].is_object(), "waiting for reply {id}: {line}");
            self.pushes.push_back(line);
        }
    }

    /// The next push.
    pub(crate) async fn push(&mut self) -> Value {
        let mut line = match self.pushes.pop_front() {
            Some(push) => push,
            None => self.line().await,
        };
        assert!(line["push"].is_object(), "waiting for a push: {line}");
        line["push"].take()
    }

    /// The data of the next push, which is a publication in this channel.
    pub(crate) async fn publication(&mut self, channel: &str) -> Value {
        let mut push = self.push().await;
        assert!(push["channel"] == channel && push["pub"].is_object(), "waiting for {channel}: {push}");
        push["pub"]["data"].take()
    }

    /// The pushes so far that were not asked for: a ping goes to the server and back, so that what was under
    /// way for this client is here.
    pub(crate) async fn unasked(&mut self) -> Vec<Value> {
        assert_eq!(self.command(json!({"ping": {}})).await, json!({"ping": {}}));
        self.pushes.drain(..).collect()
    }

    /// The next line: a reply or a push. Pings are answered on the way, if this client does that.
    pub(crate) async fn line(&mut self) -> Value {
        // As a whole, for pings come all the time.
        within("a line", async {
            loop {
                if let Some(line) = self.lines.pop_front() {
                    return line;
                }
                match self.frame().await {
                    Frame::Text(lines) if lines == "{}" => {
                        if self.answers_pings {
                            self.send("{}").await;
                        }
                    }
                    Frame::Text(lines) => self.keep(&lines),
                    other => panic!("waiting for a line: {other:?}"),
                }
            }
        })
        .await
    }

    /// The next frame.
    pub(crate) async fn frame(&mut self) -> Frame {
        within("a frame", async {
            loop {
                if let Some(frame) = W::take(&mut self.received) {
                    return frame;
                }
                let read = self.stream.read_buf(&mut self.received).await.expect("the connection is open");
                assert_ne!(read, 0, "the connection ended without a closing frame");
            }
        })
        .await
    }

    /// How the server ends the connection: the code, after whatever was sent before.
    pub(crate) async fn end(&mut self) -> u16 {
        loop {
            match self.frame().await {
                Frame::Close(code, _) => return code,
                Frame::Text(lines) => self.keep(&lines),
                Frame::Pong(_) => {}
            }
        }
    }

    /// The lines that came and that nobody asked for.
    pub(crate) fn kept(&self) -> &VecDeque<Value> {
        &self.lines
    }

    fn keep(&mut self, lines: &str) {
        let lines = lines.lines().map(|line| serde_json::from_str(line).expect("lines are JSON"));
        self.lines.extend(lines);
    }
}
