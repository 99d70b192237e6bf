//! One WebSocket connection: one task that reads what is there, handles it, and writes what is there.
//!
//! Between messages a connection holds no buffers. Bytes are read into a buffer of the thread and handled in
//! place; only the beginning of a message that is not complete is kept. Everything that others have put into
//! the outbox in the meantime leaves with one call.

use std::{
    cell::RefCell,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::{Endpoint, session::Session};
use crate::{
    codec::websocket::{self, write_close, write_frame},
    endpoint::{Disconnect, Outbox, outbox::Next},
    metrics::Rejection,
};

/// What is read with one call.
const READ_SIZE: usize = 64 * 1024;

/// How often is read before something is written, and others have their turn.
const READS: usize = 4;

/// How long a client has to say who it is.
const CONNECT_WITHIN: Duration = Duration::from_secs(15);

/// How long a client has to answer the closing frame before the socket is shut.
const LINGER: Duration = Duration::from_secs(2);

thread_local! {
    /// Where every connection of this thread reads into.
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_SIZE].into_boxed_slice());
}

/// A connection from the end of the handshake to its closing.
pub struct Connection<S> {
    stream: S,
    outbox: Arc<Outbox>,
    session: Session,
    /// The beginning of a frame, or of a message in several frames, that is not complete yet.
    unread: Vec<u8>,
    /// There are complete frames in `unread`: what those before them have caused is to be written first.
    behind: bool,
    fragments: Option<Fragments>,
    /// What was taken from the outbox, and how much of it is written.
    unwritten: Vec<u8>,
    written: usize,
    timer: Pin<Box<Sleep>>,
    waiting: Waiting,
    /// When the wait is over; the timer may go off earlier, for the token's end.
    due: Instant,
    phase: Phase,
    endpoint: Arc<Endpoint>,
}

struct Fragments {
    opcode: OpCode,
    bytes: Vec<u8>,
}

/// What the timer is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Connect,
    NextPing,
    Pong,
}

enum Written {
    All,
    Broken,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Closing was asked for; what was queued before is being written.
    Leaving,
    /// The closing frame is being written, or waits for the client's.
    Closing,
    /// Nothing more will be written: the client's end is awaited.
    Lingering,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Takes over a connection whose handshake is done; `unread` is what the client sent right behind it.
    pub fn new(stream: S, unread: &[u8], endpoint: Arc<Endpoint>) -> Self {
        let outbox = Arc::new(Outbox::new(endpoint.settings.outbox_size));
        let session = Session::new(endpoint.clone(), outbox.clone());
        let mut connection = Self {
            stream,
            outbox,
            session,
            unread: Vec::new(),
            behind: false,
            fragments: None,
            unwritten: Vec::new(),
            written: 0,
            timer: Box::pin(tokio::time::sleep(CONNECT_WITHIN)),
            waiting: Waiting::Connect,
            due: Instant::now() + CONNECT_WITHIN,
            phase: Phase::Open,
            endpoint,
        };
        connection.consume(&mut unread.to_vec());
        connection
    }

    fn wait(&mut self, waiting: Waiting, time: Duration) {
        self.waiting = waiting;
        self.due = Instant::now() + time;
        self.arm();
    }

    fn arm(&mut self) {
        let expiry = self.session.expires_in().and_then(|time| Instant::now().checked_add(time));
        self.timer.as_mut().reset(expiry.map_or(self.due, |expiry| expiry.min(self.due)));
    }

    /// Reads what is there, or as much of it as may be answered together. Ready when the client is gone.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        READ.with_borrow_mut(|buffer| {
            for _ in 0..READS {
                if self.behind {
                    let mut unread = std::mem::take(&mut self.unread);
                    if self.consume(&mut unread) {
                        break;
                    }
                }
                let mut read = ReadBuf::new(buffer);
                let outcome = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read));
                let bytes = read.filled_mut();
                if outcome.is_err() || bytes.is_empty() {
                    return Poll::Ready(());
                }
                if self.outbox.closing().is_some() {
                    continue;
                }
                let enough = if self.unread.is_empty() {
                    self.consume(bytes)
                } else {
                    let mut unread = std::mem::take(&mut self.unread);
                    unread.extend_from_slice(bytes);
                    self.consume(&mut unread)
                };
                if enough {
                    break;
                }
            }
            // The socket does not tell again of what it has told: reading goes on by itself after the writing.
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }

    /// Handles the complete frames in `bytes` and keeps the rest. Whether there is so much to write now that it
    /// comes first: a client that reads must not have its outbox filled while nobody empties it.
    fn consume(&mut self, bytes: &mut [u8]) -> bool {
        self.behind = false;
        let much = self.outbox.limit() / 4;
        let (mut at, mut too_much) = (0, None);
        while let Some(unsent) = self.outbox.unsent() {
            // What was there before is no reason to stop: for a client that does not read, that would never end.
            if unsent > *too_much.get_or_insert(unsent + much) {
                self.unread = bytes[at..].to_vec();
                self.behind = true;
                return true;
            }
            match websocket::read_frame(bytes, at, self.endpoint.settings.message_size) {
                Ok(Some(frame)) => {
                    at = frame.end;
                    if let Err(reason) = self.frame(frame.opcode, frame.is_final, &bytes[frame.payload]) {
                        self.refuse(reason);
                    }
                }
                Ok(None) => {
                    self.unread = bytes[at..].to_vec();
                    return unsent > much;
                }
                Err(reason) => self.refuse(reason),
            }
        }
        false
    }

    /// Ends the connection for what the client sent. What is wrong with commands was counted where it was found.
    fn refuse(&self, reason: Disconnect) {
        let rejection = match reason {
            Disconnect::TooBig => Some(Rejection::TooLarge),
            Disconnect::InappropriateProtocol => Some(Rejection::Binary),
            Disconnect::ProtocolError => Some(Rejection::BrokenFrame),
            Disconnect::InvalidData => Some(Rejection::Malformed),
            _ => None,
        };
        if let Some(rejection) = rejection {
            self.endpoint.gateway.hub.metrics.rejected.inc(rejection);
        }
        self.outbox.close(reason);
    }

    fn frame(&mut self, opcode: OpCode, is_final: bool, payload: &[u8]) -> Result<(), Disconnect> {
        match (opcode, is_final) {
            (OpCode::Control(Control::Ping), _) => {
                let mut pong = Vec::new();
                write_frame(OpCode::Control(Control::Pong), &mut pong, |out| out.extend_from_slice(payload));
                // A full outbox closes itself.
                let _ = self.outbox.push(&pong);
                Ok(())
            }
            (OpCode::Control(Control::Pong), _) => Ok(()),
            (OpCode::Control(_), _) => Err(Disconnect::Gone),
            (OpCode::Data(Data::Continue), _) => {
                let mut fragments = self.fragments.take().ok_or(Disconnect::ProtocolError)?;
                if fragments.bytes.len() + payload.len() > self.endpoint.settings.message_size {
                    return Err(Disconnect::TooBig);
                }
                fragments.bytes.extend_from_slice(payload);
                match is_final {
                    true => self.message(fragments.opcode, &fragments.bytes),
                    false => {
                        self.fragments = Some(fragments);
                        Ok(())
                    }
                }
            }
            (_, _) if self.fragments.is_some() => Err(Disconnect::ProtocolError),
            (_, true) => self.message(opcode, payload),
            (_, false) => {
                self.fragments = Some(Fragments { opcode, bytes: payload.to_vec() });
                Ok(())
            }
        }
    }

    fn message(&mut self, opcode: OpCode, payload: &[u8]) -> Result<(), Disconnect> {
        if opcode != OpCode::Data(Data::Text) {
            return Err(Disconnect::InappropriateProtocol);
        }
        let text = std::str::from_utf8(payload).map_err(|_| Disconnect::InvalidData)?;
        let expires = self.session.expires();
        self.session.text(text)?;
        if self.session.expires() != expires {
            self.arm();
        }
        if self.waiting == Waiting::Connect && self.session.is_connected() {
            self.wait(Waiting::NextPing, self.endpoint.settings.ping_interval);
        }
        Ok(())
    }

    /// Writes all that is there. Ready when nothing more will be written, or nothing more can.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Written> {
        loop {
            while self.written < self.unwritten.len() {
                let rest = &self.unwritten[self.written..];
                match Pin::new(&mut self.stream).poll_write(cx, rest) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Written::Broken),
                    Poll::Ready(Ok(written)) => self.written += written,
                    Poll::Pending => {
                        self.outbox.stall(cx);
                        return Poll::Pending;
                    }
                }
            }
            // TLS holds back what the socket did not take at once, and nobody else would ask for it.
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Written::Broken),
                Poll::Pending => {
                    self.outbox.stall(cx);
                    return Poll::Pending;
                }
            }
            if self.phase == Phase::Closing {
                return Poll::Ready(Written::All);
            }
            self.written = 0;
            self.unwritten = Vec::new();
            match ready!(self.outbox.poll_next(cx)) {
                Next::Write(bytes) => self.unwritten = bytes,
                Next::Close(reason) => {
                    self.phase = Phase::Closing;
                    self.timer.as_mut().reset(Instant::now() + LINGER);
                    self.session.end(reason);
                    write_close(reason, &mut self.unwritten);
                }
            }
        }
    }

    fn timed_out(&mut self) {
        if self.session.is_expired() {
            return self.outbox.close(Disconnect::Expired);
        }
        if Instant::now() < self.due {
            // The two clocks do not run quite alike.
            return self.arm();
        }
        match self.waiting {
            Waiting::Connect => self.outbox.close(Disconnect::Stale),
            Waiting::NextPing => {
                self.session.ping();
                self.wait(Waiting::Pong, self.endpoint.settings.pong_timeout);
            }
            Waiting::Pong if self.session.take_pong() => {
                let settings = &self.endpoint.settings;
                self.wait(Waiting::NextPing, settings.ping_interval.saturating_sub(settings.pong_timeout));
            }
            Waiting::Pong => self.outbox.close(Disconnect::NoPong),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Connection<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // Reading first: what it causes for this very client leaves with the write that follows.
        if this.poll_read(cx).is_ready() {
            return Poll::Ready(());
        }
        if this.phase != Phase::Lingering {
            match this.poll_write(cx) {
                Poll::Pending => {}
                Poll::Ready(Written::Broken) => return Poll::Ready(()),
                Poll::Ready(Written::All) => {
                    // Shutting the socket with unread bytes in it could destroy the closing frame on its way,
                    // so the client's end is awaited for a moment.
                    let _ = Pin::new(&mut this.stream).poll_shutdown(cx);
                    this.phase = Phase::Lingering;
                }
            }
        }
        if this.phase == Phase::Open && this.outbox.closing().is_some() {
            this.phase = Phase::Leaving;
            this.timer.as_mut().reset(Instant::now() + LINGER);
        }
        while this.timer.as_mut().poll(cx).is_ready() {
            if this.phase != Phase::Open {
                return Poll::Ready(());
            }
            this.timed_out();
            if this.outbox.closing().is_some() {
                cx.waker().wake_by_ref();
                break;
            }
        }
        Poll::Pending
    }
}
