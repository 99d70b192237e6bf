//! A client of the endpoint of server-sent events: bare HTTP, so that it can do everything wrong too.

use std::{collections::VecDeque, io::Read, net::SocketAddr};

use flate2::read::GzDecoder;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

use super::within;

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) data: Value,
    /// When the client is to come back, should the connection end, in milliseconds.
    pub(crate) retry: Option<u64>,
}

/// One connection, with a stream of events or another answer.
pub(crate) struct Listener<S = TcpStream> {
    stream: S,
    pub(crate) status: u16,
    /// The head of the answer in small letters.
    pub(crate) head: String,
    /// Bytes that are no whole chunk yet.
    received: Vec<u8>,
    /// The body so far, as it was sent.
    body: Vec<u8>,
    /// How much of the text of the body has been made into events.
    read: usize,
    events: VecDeque<Event>,
    is_over: bool,
}

/// The path of the endpoint.
pub(crate) const PATH: &str = "/connection/uni_sse";

impl Listener {
    /// Listens with a GET of this query. `headers` are lines that end with `\r\n`.
    pub(crate) async fn open(address: SocketAddr, query: &str, headers: &str) -> Self {
        let stream = within("connecting", TcpStream::connect(address)).await.unwrap();
        Self::open_on(stream, "GET", &format!("{PATH}?{query}"), headers, b"").await
    }

    /// Listens to these channels, which must go well; with it comes the first push.
    pub(crate) async fn to(address: SocketAddr, channels: &[&str]) -> (Self, Value) {
        let query: Vec<_> = channels.iter().map(|channel| format!("channel={channel}")).collect();
        let mut listener = Self::open(address, &query.join("&"), "").await;
        assert_eq!(listener.status, 200, "{}", listener.head);
        let connect = listener.event().await.data["connect"].take();
        for channel in channels {
            assert!(connect["subs"][channel].is_object(), "{channel}: {connect}");
        }
        (listener, connect)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Listener<S> {
    /// Sends a request on this connection, and reads the head of the answer.
    pub(crate) async fn open_on(mut stream: S, method: &str, path: &str, headers: &str, body: &[u8]) -> Self {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: broker\r\nContent-Length: {}\r\n{headers}\r\n",
            body.len()
        );
        within("the head of an answer", async move {
            stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
            let mut received = Vec::new();
            let end = loop {
                if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
                    break end + 4;
                }
                assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0, "closed within the head");
            };
            let rest = received.split_off(end);
            let head = String::from_utf8(received).unwrap().to_lowercase();
            let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
            let (body, events) = Default::default();
            Self { stream, status, head, received: rest, body, read: 0, events, is_over: false }
        })
        .await
    }

    /// The value of a header of the answer.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The next event.
    pub(crate) async fn event(&mut self) -> Event {
        self.next().await.expect("the stream goes on")
    }

    /// The next event that is no ping; nothing when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        within("an event", async {
            loop {
                while let Some(event) = self.events.pop_front() {
                    if event.data != serde_json::json!({}) {
                        return Some(event);
                    }
                }
                if !self.advance().await {
                    return None;
                }
            }
        })
        .await
    }

    /// The next ping, before which nothing else comes.
    pub(crate) async fn ping(&mut self) {
        within("a ping", async {
            while self.events.is_empty() {
                assert!(self.advance().await, "the stream goes on");
            }
        })
        .await;
        assert_eq!(self.events.pop_front().unwrap().data, serde_json::json!({}));
    }

    /// The data of the next event, which is a publication in this channel.
    pub(crate) async fn publication(&mut self, channel: &str) -> Value {
        let mut push = self.event().await.data;
        assert!(push["channel"] == channel && push["pub"].is_object(), "waiting for {channel}: {push}");
        push["pub"]["data"].take()
    }

    /// How the stream ends: the code, and when to come back. Whatever comes before is passed over.
    pub(crate) async fn end(&mut self) -> (u64, u64) {
        loop {
            let event = self.event().await;
            if let Some(code) = event.data["disconnect"]["code"].as_u64() {
                assert_eq!(self.next().await, None, "nothing comes after it");
                return (code, event.retry.expect("it says when to come back"));
            }
        }
    }

    /// The whole body of an answer that is no stream.
    pub(crate) async fn body(&mut self) -> String {
        within("the end of an answer", self.read_known(self.length().expect("the answer has a length")))
            .await;
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The length of the body, when the head tells it: of an answer that is no stream, or of a stream that is over
    /// when it begins.
    fn length(&self) -> Option<usize> {
        self.header("content-length").map(|length| length.parse().unwrap())
    }

    async fn read_known(&mut self, length: usize) {
        while self.received.len() < length {
            assert_ne!(self.stream.read_buf(&mut self.received).await.unwrap(), 0, "cut off within the body");
        }
        self.body = std::mem::take(&mut self.received);
        self.is_over = true;
    }

    /// How many bytes of the body have come, as they were sent.
    pub(crate) fn body_size(&self) -> usize {
        self.body.len()
    }

    /// Reads on until the other end closes the connection, whole or cut off.
    pub(crate) async fn closed(&mut self) {
        let mut rest = Vec::new();
        let _ = within("the end of a connection", self.stream.read_to_end(&mut rest)).await;
    }

    /// Reads something more. `false` when the body has ended.
    async fn advance(&mut self) -> bool {
        if self.is_over {
            return false;
        }
        if let Some(length) = self.length() {
            self.read_known(length).await;
            self.make_events();
            return true;
        }
        loop {
            match self.chunk() {
                Some(chunk) if chunk.is_empty() => {
                    self.is_over = true;
                    self.make_events();
                    return !self.events.is_empty();
                }
                Some(chunk) => {
                    self.body.extend_from_slice(&chunk);
                    self.make_events();
                    return true;
                }
                None => {
                    let read = self.stream.read_buf(&mut self.received).await;
                    assert_ne!(read.expect("the connection is open"), 0, "cut off within the stream");
                }
            }
        }
    }

    /// Takes a whole chunk out of what was received (RFC 9112 §7.1).
    fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.received.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&self.received[..line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        let end = line + 2 + size;
        if self.received.len() < end + 2 {
            return None;
        }
        let chunk = self.received[line + 2..end].to_vec();
        assert_eq!(&self.received[end..end + 2], b"\r\n");
        self.received.drain(..end + 2);
        Some(chunk)
    }

    /// The body so far, decompressed.
    fn text(&self) -> Vec<u8> {
        if self.header("content-encoding") != Some("gzip") {
            return self.body.clone();
        }
        let mut text = Vec::new();
        let outcome = GzDecoder::new(&self.body[..]).read_to_end(&mut text);
        assert!(outcome.is_ok() || !self.is_over, "{outcome:?}");
        text
    }

    fn make_events(&mut self) {
        let text = self.text();
        while let Some(length) = text[self.read..].windows(2).position(|window| window == b"\n\n") {
            let event = std::str::from_utf8(&text[self.read..self.read + length]).unwrap();
            let (mut data, mut retry) = (None, None);
            for line in event.lines() {
                match line.split_once(": ").expect("fields have values") {
                    ("data", json) => assert!(data.replace(json).is_none(), "one line of data: {event}"),
                    ("retry", time) => retry = Some(time.parse().unwrap()),
                    _ => panic!("{line:?}"),
                }
            }
            let data = serde_json::from_str(data.expect("every event has data")).unwrap();
            self.events.push_back(Event { data, retry });
            self.read += length + 2;
        }
    }
}
