//! One HTTP request on a connection of its own.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::within;

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Response {
    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The value of a header, whose name is in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// Whether the body is as long as the head says.
    pub(super) fn is_whole(bytes: &[u8]) -> bool {
        let text = String::from_utf8_lossy(bytes).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        body.len() >= length.unwrap_or(0)
    }

    /// Reads a whole answer.
    #[track_caller]
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP answer: {text:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status: {head:?}"));
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }
}

/// Sends a request and reads the answer. `headers` are lines that end with `\r\n`.
pub(crate) async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) -> Response {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    let bytes = [head.as_bytes(), body].concat();
    within(&format!("an answer to {method} {path}"), async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // A server that refuses a large body answers and closes before it has read all of it.
        let _ = stream.write_all(&bytes).await;
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer).await;
        assert!(ended.is_ok() || !answer.is_empty(), "{ended:?}");
        Response::parse(&answer)
    })
    .await
}
