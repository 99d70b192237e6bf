//! A WebSocket that a connection of another instance has moved to: what comes over it is brought to that instance, and
//! what waits there is fetched.

use std::sync::Arc;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split},
    sync::Mutex,
    time::{sleep, timeout},
};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{
    Endpoint,
    elsewhere::Op,
    frames::{Frames, Input},
    keeper::LINGER,
    request::Fault,
    session::admit,
    socket::MOVE_WITHIN,
};
use crate::{
    codec::{
        engineio::{PROBE, PROBED, Packet, base64, write_packet},
        websocket::{write_close, write_text},
    },
    endpoint::{
        Disconnect, Outbox,
        accept::{Peer, Place},
    },
    message::Address,
};

/// What is read with one call.
const READ_SIZE: usize = 16 * 1024;

/// Such a WebSocket.
pub(super) struct Relay {
    endpoint: Arc<Endpoint>,
    address: Address,
    sid: String,
    /// Nothing waits here; a drain closes it.
    outbox: Arc<Outbox>,
    newcomer: usize,
    _place: Place,
    /// A drain waits for it.
    _open: TaskTrackerToken,
}

/// What a client sends, and what answers its WebSocket's own questions.
struct Incoming<S> {
    stream: ReadHalf<S>,
    frames: Frames,
    unread: Vec<u8>,
    limit: usize,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.endpoint.gateway.no_newcomer(self.newcomer);
    }
}

impl Relay {
    /// One for this connection.
    ///
    /// # Errors
    /// It may not move to it, or there is no place for it.
    pub(super) async fn begin(
        endpoint: &Arc<Endpoint>,
        address: Address,
        sid: &str,
        peer: Peer,
    ) -> Result<Self, Fault> {
        let place = admit(endpoint, peer)?;
        endpoint.tell_elsewhere(address.clone(), Op::MayMove, sid).await?;
        let outbox = Arc::new(Outbox::new(0));
        let newcomer = endpoint.gateway.newcomer(outbox.clone());
        let _open = endpoint.connections.token();
        let endpoint = endpoint.clone();
        Ok(Self { endpoint, address, sid: sid.to_owned(), outbox, newcomer, _place: place, _open })
    }

    async fn tell(&self, op: Op) -> Result<(), Fault> {
        self.endpoint.tell_elsewhere(self.address.clone(), op, &self.sid).await
    }

    /// The connection does not move here.
    pub(super) async fn stays(self) {
        let _ = self.tell(Op::Stays).await;
    }

    /// Serves the WebSocket until it ends.
    pub(super) async fn run(self, stream: impl AsyncRead + AsyncWrite + Send) {
        let (read, write) = split(stream);
        let limit = self.endpoint.max_payload();
        let mut incoming = Incoming { stream: read, frames: Frames::default(), unread: Vec::new(), limit };
        let write = Mutex::new(write);
        if !matches!(timeout(MOVE_WITHIN, self.moves(&mut incoming, &write)).await, Ok(Ok(()))) {
            return self.stays().await;
        }
        let mut last = Vec::new();
        tokio::select! {
            reason = self.bring(&mut incoming, &write) => write_close(&reason.into(), &mut last),
            // The last of it was the closing frame.
            () = self.fetch(&write) => {}
            reason = self.outbox.watch() => write_close(&reason.into(), &mut last),
        }
        let _ = self.tell(Op::Gone).await;
        // A client that is gone cannot be told.
        let _ = timeout(LINGER, async {
            let mut write = write.lock().await;
            write.write_all(&last).await?;
            write.shutdown().await
        })
        .await;
    }

    /// Waits until the client has moved here.
    async fn moves<S: AsyncRead + AsyncWrite>(
        &self,
        incoming: &mut Incoming<S>,
        write: &Mutex<WriteHalf<S>>,
    ) -> Result<(), Disconnect> {
        loop {
            let mut said = Vec::new();
            incoming
                .next(write, |input| {
                    if let Input::Text(text) = input {
                        said.push(text.into_owned());
                    }
                })
                .await?;
            for text in said {
                match Packet::read(&text) {
                    Ok(Packet::Ping(PROBE)) => {
                        self.tell(Op::Probed).await.map_err(|_| Disconnect::Gone)?;
                        let mut frame = Vec::new();
                        write_text(&mut frame, |out| out.extend_from_slice(PROBED.as_bytes()));
                        write.lock().await.write_all(&frame).await.map_err(|_| Disconnect::Gone)?;
                    }
                    Ok(Packet::Upgrade) => return self.tell(Op::Moved).await.map_err(|_| Disconnect::Gone),
                    _ => return Err(Disconnect::BadRequest),
                }
            }
        }
    }

    /// Brings what the client says: all that has come while what came before was being brought.
    async fn bring<S: AsyncRead + AsyncWrite>(
        &self,
        incoming: &mut Incoming<S>,
        write: &Mutex<WriteHalf<S>>,
    ) -> Disconnect {
        loop {
            let mut body = String::new();
            let read = incoming.next(write, |input| match input {
                Input::Text(text) => write_packet(&text, &mut body),
                Input::Binary(bytes) => write_packet(&base64(&bytes), &mut body),
                Input::Answer(_) | Input::Nothing => {}
            });
            if let Err(reason) = read.await {
                return reason;
            }
            if body.is_empty() {
                continue;
            }
            let brought =
                self.endpoint.post_elsewhere(self.address.clone(), Op::Push, &self.sid, &body).await;
            if brought.is_err() {
                // The other instance says why, if it is there; then that is written.
                sleep(LINGER).await;
                return Disconnect::BadRequest;
            }
        }
    }

    /// Writes what waits for the client; returns when there is no more.
    async fn fetch<S: AsyncRead + AsyncWrite>(&self, write: &Mutex<WriteHalf<S>>) {
        while let Ok(frames) = self.endpoint.poll_elsewhere(self.address.clone(), Op::Pull, &self.sid).await {
            // One that does not read leaves what waits where it is, which is bounded there.
            if write.lock().await.write_all(&frames).await.is_err() {
                return;
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite> Incoming<S> {
    /// Gives all that has come, when something has.
    async fn next(
        &mut self,
        write: &Mutex<WriteHalf<S>>,
        mut take: impl FnMut(Input<'_>),
    ) -> Result<(), Disconnect> {
        self.unread.reserve(READ_SIZE);
        match self.stream.read_buf(&mut self.unread).await {
            Ok(0) | Err(_) => return Err(Disconnect::Gone),
            Ok(_) => {}
        }
        let (mut at, mut answers) = (0, Vec::new());
        while let Some((input, end)) = self.frames.read(&mut self.unread, at, self.limit)? {
            at = end;
            match input {
                Input::Answer(answer) => answers.extend_from_slice(&answer),
                input => take(input),
            }
        }
        self.unread.drain(..at);
        if !answers.is_empty() {
            write.lock().await.write_all(&answers).await.map_err(|_| Disconnect::Gone)?;
        }
        Ok(())
    }
}
