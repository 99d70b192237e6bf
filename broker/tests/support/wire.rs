//! How texts look on a connection.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::UdpSocket,
};

use super::{Frame, frame, text};

/// What a client sends for a text, and what it makes of what it receives.
pub(crate) trait Wire {
    /// The bytes of a text.
    fn text(payload: &str) -> Vec<u8>;

    /// The first frame in `bytes`, which is taken out; `None` when it is not all there yet.
    fn take(bytes: &mut Vec<u8>) -> Option<Frame>;
}

/// Frames of a WebSocket.
pub(crate) struct WebSocket;

impl Wire for WebSocket {
    fn text(payload: &str) -> Vec<u8> {
        text(payload)
    }

    fn take(bytes: &mut Vec<u8>) -> Option<Frame> {
        frame::take(bytes)
    }
}

/// Lines of text. The one that tells of the end is as the closing frame of a WebSocket.
pub(crate) struct Lines;

impl Wire for Lines {
    fn text(payload: &str) -> Vec<u8> {
        format!("{payload}\n").into_bytes()
    }

    fn take(bytes: &mut Vec<u8>) -> Option<Frame> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let rest = bytes.split_off(end + 1);
        let mut line = String::from_utf8(std::mem::replace(bytes, rest)).expect("lines are UTF-8");
        line.truncate(end);
        let json: Value = serde_json::from_str(&line).expect("lines are JSON");
        let end = &json["push"]["disconnect"];
        Some(match end["code"].as_u64() {
            Some(code) => Frame::Close(code as u16, end["reason"].as_str().unwrap_or_default().into()),
            None => Frame::Text(line),
        })
    }
}

/// A UDP socket as a stream: each write is a datagram, and the datagrams that come are whole lines.
pub(crate) struct Datagrams {
    socket: UdpSocket,
    /// What of the last datagram had no room.
    left: Vec<u8>,
}

impl Datagrams {
    /// On a socket that is connected to the server.
    pub(crate) fn new(socket: UdpSocket) -> Self {
        Self { socket, left: Vec::new() }
    }

    /// The socket itself, for who looks at single datagrams.
    pub(crate) fn socket(&self) -> &UdpSocket {
        &self.socket
    }
}

impl AsyncRead for Datagrams {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left.is_empty() {
            let mut whole = vec![0; 65_536];
            let mut datagram = ReadBuf::new(&mut whole);
            ready!(self.socket.poll_recv(cx, &mut datagram))?;
            assert!(datagram.filled().ends_with(b"\n"), "a datagram is whole lines");
            self.left = datagram.filled().to_vec();
        }
        let room = buffer.remaining().min(self.left.len());
        buffer.put_slice(&self.left[..room]);
        self.left.drain(..room);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Datagrams {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.socket.poll_send(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
