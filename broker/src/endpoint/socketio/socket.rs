//! A connection by a WebSocket: one task that reads what is there, handles it, and writes what is there.
//!
//! As in the broker's own protocol a connection holds no buffers between messages; see
//! [`Connection`](crate::endpoint::connection::Connection).

use std::{
    cell::RefCell,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use super::{
    conversation::Pending,
    frames::{Frames, Input},
    keeper::LINGER,
    session::Session,
};
use crate::{
    codec::{
        engineio::{PROBE, PROBED, Packet},
        websocket::{write_close, write_text},
    },
    endpoint::{Disconnect, ErrorCode, outbox::Next},
    hooks::Verdict,
    metrics::Rejection,
};

/// What is read with one call.
const READ_SIZE: usize = 64 * 1024;

/// How often is read before something is written, and others have their turn.
const READS: usize = 4;

/// How long a client has for moving to the WebSocket that it has opened.
pub(super) const MOVE_WITHIN: Duration = Duration::from_secs(10);

/// What a client may have to be answered before it has moved, in bytes.
const ANSWERS: usize = 4096;

thread_local! {
    /// Where every connection of this thread reads into.
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_SIZE].into_boxed_slice());
}

/// A WebSocket from the end of its handshake to its closing.
pub(super) struct Socket<S> {
    stream: S,
    frames: Frames,
    session: Arc<Session>,
    /// The beginning of a message that is not complete yet.
    unread: Vec<u8>,
    /// There are complete messages in `unread`.
    behind: bool,
    /// A hook is asked; nothing is read until there is a verdict.
    pending: Option<Pending>,
    /// Answers to a client that has not moved here yet.
    answers: Vec<u8>,
    unwritten: Vec<u8>,
    written: usize,
    timer: Option<Pin<Box<Sleep>>>,
    phase: Phase,
    /// The connection does not move here, for what the client has said.
    is_refused: bool,
}

/// How far a WebSocket is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The connection may move here.
    Probing,
    Open,
    /// What tells the client of the end is being written.
    Closing,
    /// Nothing more will be written: the client's end is awaited.
    Lingering,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// A connection that begins here, or one that may move here. `unread` is what the client has sent so far.
    pub(super) fn new(stream: S, unread: &[u8], session: Arc<Session>, phase: Phase) -> Self {
        let mut socket = Self {
            stream,
            frames: Frames::default(),
            session,
            unread: Vec::new(),
            behind: false,
            pending: None,
            answers: Vec::new(),
            unwritten: Vec::new(),
            written: 0,
            timer: None,
            phase,
            is_refused: false,
        };
        if phase == Phase::Probing {
            socket.arm(MOVE_WITHIN);
        }
        socket.unread = unread.to_vec();
        socket.behind = !unread.is_empty();
        socket
    }

    fn arm(&mut self, time: Duration) {
        self.timer = Some(Box::pin(sleep_until(Instant::now() + time)));
    }

    /// Reads what is there, or as much of it as may be answered together. Ready when nothing more will come.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        READ.with_borrow_mut(|buffer| {
            for _ in 0..READS {
                if self.pending.is_some() || self.behind && self.take(&mut []) {
                    break;
                }
                let mut read = ReadBuf::new(buffer);
                let outcome = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read));
                let bytes = read.filled_mut();
                if outcome.is_err() || bytes.is_empty() {
                    return Poll::Ready(());
                }
                if matches!(self.phase, Phase::Probing | Phase::Open) && self.take(bytes) {
                    break;
                }
            }
            if self.pending.is_none() {
                // The socket does not tell again of what it has told: reading goes on by itself after the writing.
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        })
    }

    /// Handles what has come, behind what was kept of what came before, and keeps what is not complete. Whether
    /// something else comes first now.
    fn take(&mut self, bytes: &mut [u8]) -> bool {
        let mut unread = std::mem::take(&mut self.unread);
        if unread.is_empty() {
            let (end, enough) = self.consume(bytes);
            self.unread = bytes[end..].to_vec();
            return enough;
        }
        unread.extend_from_slice(bytes);
        let (end, enough) = self.consume(&mut unread);
        // A message that comes in many pieces is not copied with each of them.
        self.unread = if end == 0 { unread } else { unread[end..].to_vec() };
        enough
    }

    /// Handles the complete messages in `bytes`: where the rest begins, and whether something else comes first now.
    fn consume(&mut self, bytes: &mut [u8]) -> (usize, bool) {
        self.behind = false;
        let outbox = self.session.outbox.clone();
        let limit = self.session.endpoint.max_payload();
        let (much, mut at, mut too_much) = (outbox.limit() / 4, 0, None);
        while let Some(unsent) = outbox.unsent() {
            if self.pending.is_some() || unsent > *too_much.get_or_insert(unsent + much) {
                self.behind = true;
                return (at, true);
            }
            match self.frames.read(bytes, at, limit) {
                Ok(Some((input, end))) => {
                    at = end;
                    if let Err(reason) = self.input(input) {
                        self.fail(reason);
                        break;
                    }
                }
                Ok(None) => return (at, unsent > much),
                Err(reason) => {
                    let rejection = match reason {
                        Disconnect::TooBig => Some(Rejection::TooLarge),
                        Disconnect::ProtocolError => Some(Rejection::BrokenFrame),
                        Disconnect::InvalidData => Some(Rejection::Malformed),
                        _ => None,
                    };
                    rejection.inspect(|rejection| self.session.endpoint.count(*rejection));
                    self.fail(reason);
                    break;
                }
            }
        }
        // Nothing of what is left will be handled.
        (bytes.len(), false)
    }

    /// The end for what the client sent: of the connection, or of the attempt to move it here.
    fn fail(&mut self, reason: Disconnect) {
        match self.phase {
            Phase::Probing => self.is_refused = true,
            _ => self.session.outbox.close(reason),
        }
    }

    fn input(&mut self, input: Input<'_>) -> Result<(), Disconnect> {
        let packet = match input {
            Input::Text(text) if self.phase == Phase::Probing => return self.probe(&text),
            Input::Text(text) => return self.packet(Packet::read(&text)),
            Input::Binary(_) if self.phase == Phase::Probing => return Err(Disconnect::BadRequest),
            Input::Binary(bytes) => Packet::Binary(bytes),
            Input::Answer(answer) => {
                match self.phase {
                    Phase::Probing if self.answers.len() > ANSWERS => return Err(Disconnect::Slow),
                    Phase::Probing => self.answers.extend_from_slice(&answer),
                    // A full outbox closes itself.
                    _ => drop(self.session.outbox.push(&answer)),
                }
                return Ok(());
            }
            Input::Nothing => return Ok(()),
        };
        self.packet(Ok(packet))
    }

    fn packet(
        &mut self,
        packet: Result<Packet<'_>, crate::codec::engineio::Malformed>,
    ) -> Result<(), Disconnect> {
        let packet = packet.map_err(|_| self.session.malformed("a frame that is no packet"))?;
        self.pending = self.session.handle(packet)?;
        Ok(())
    }

    /// A packet on the WebSocket that the connection may move to.
    fn probe(&mut self, text: &str) -> Result<(), Disconnect> {
        match Packet::read(text) {
            Ok(Packet::Ping(PROBE)) if self.answers.len() <= ANSWERS => {
                write_text(&mut self.answers, |out| out.extend_from_slice(PROBED.as_bytes()));
                self.session.probed();
                Ok(())
            }
            Ok(Packet::Upgrade) => {
                self.session.moved(false).map_err(|_| Disconnect::BadRequest)?;
                (self.phase, self.timer) = (Phase::Open, None);
                Ok(())
            }
            _ => Err(self.session.malformed("a packet out of its place")),
        }
    }

    /// Does what a hook says, if it has.
    fn settle(&mut self, cx: &mut Context<'_>) {
        let Some(Pending { asked, .. }) = &mut self.pending else { return };
        let Poll::Ready(verdict) = Pin::new(asked).poll(cx) else { return };
        if let Some(Pending { about, .. }) = self.pending.take() {
            self.session.answered(about, verdict.unwrap_or(Verdict::Failed(ErrorCode::Internal)));
            // What stands behind it is read on.
            cx.waker().wake_by_ref();
        }
    }

    /// Writes all that is there. Ready when nothing more will be written, or nothing more can; whether all is.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            while self.written < self.unwritten.len() {
                let rest = &self.unwritten[self.written..];
                match Pin::new(&mut self.stream).poll_write(cx, rest) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(false),
                    Poll::Ready(Ok(written)) => self.written += written,
                    Poll::Pending => return self.stalled(cx),
                }
            }
            // TLS holds back what the socket did not take at once, and nobody else would ask for it.
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(false),
                Poll::Pending => return self.stalled(cx),
            }
            (self.written, self.unwritten) = (0, std::mem::take(&mut self.answers));
            if !self.unwritten.is_empty() {
                continue;
            }
            match self.phase {
                Phase::Probing => return Poll::Pending,
                Phase::Closing | Phase::Lingering => return Poll::Ready(true),
                Phase::Open => {}
            }
            match ready!(self.session.outbox.poll_next(cx)) {
                Next::Write(bytes) => self.unwritten = bytes,
                Next::Close(reason) => {
                    self.phase = Phase::Closing;
                    self.arm(LINGER);
                    self.session.farewell(reason, &mut self.unwritten);
                    write_close(&self.session.outbox.farewell(reason), &mut self.unwritten);
                }
            }
        }
    }

    /// The socket takes no more now.
    fn stalled(&mut self, cx: &Context<'_>) -> Poll<bool> {
        if self.phase != Phase::Probing {
            self.session.outbox.stall(cx);
            if self.timer.is_none() && self.session.outbox.closing().is_some() {
                self.arm(LINGER);
            }
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Socket<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.settle(cx);
        if this.pending.is_none() {
            if this.poll_read(cx).is_ready() || this.is_refused {
                return Poll::Ready(());
            }
            this.settle(cx);
        }
        if this.phase != Phase::Lingering {
            match this.poll_write(cx) {
                Poll::Pending => {}
                Poll::Ready(false) => return Poll::Ready(()),
                Poll::Ready(true) => {
                    // Shutting the socket with unread bytes in it could destroy the last of what was written on its
                    // way, so the client's end is awaited for a moment.
                    let _ = Pin::new(&mut this.stream).poll_shutdown(cx);
                    this.phase = Phase::Lingering;
                }
            }
        }
        match &mut this.timer {
            Some(timer) => timer.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

impl<S> Drop for Socket<S> {
    fn drop(&mut self) {
        lost(&self.session, self.phase);
    }
}

/// A WebSocket that was so far is there no more.
pub(super) fn lost(session: &Session, phase: Phase) {
    match phase {
        // The connection stays where it is.
        Phase::Probing => session.stays(),
        _ => {
            session.outbox.close(Disconnect::Gone);
            session.told.notify_one();
        }
    }
}
