//! One connection of a stream: one task that reads what is there, handles it, and writes what is there.
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

use super::{
    Disconnect, Outbox,
    conversation::Conversation,
    framing::{Framing, Input},
    outbox::Next,
    session::{CONNECT_WITHIN, Service, Session},
};

/// What is read with one call.
const READ_SIZE: usize = 64 * 1024;

/// How often is read before something is written, and others have their turn.
const READS: usize = 4;

/// How long a client has to end the connection on its side before the socket is shut.
const LINGER: Duration = Duration::from_secs(2);

/// How long the answers to the last commands of a client are waited for that will send no more.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// How long the answer to a connect waits for those to the subscribes that came with it. A backplane that is well has
/// confirmed them before, and all leave with one call.
const GATHER: Duration = Duration::from_millis(5);

/// How often a timer goes off that nothing is waited for with.
const IDLE: Duration = Duration::from_secs(24 * 60 * 60);

thread_local! {
    /// Where every connection of this thread reads into.
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_SIZE].into_boxed_slice());
}

/// A connection from the end of its handshake to its closing.
pub struct Connection<S, F, C = Session> {
    stream: S,
    framing: F,
    outbox: Arc<Outbox>,
    session: C,
    /// The beginning of a message that is not complete yet.
    unread: Vec<u8>,
    /// There are complete messages in `unread`: what those before them have caused is to be written first.
    behind: bool,
    /// The client will send no more.
    read_all: bool,
    /// What was taken from the outbox, and how much of it is written.
    unwritten: Vec<u8>,
    written: usize,
    timer: Pin<Box<Sleep>>,
    waiting: Waiting,
    /// When the wait is over; the timer may go off earlier, for the end of a token.
    due: Instant,
    phase: Phase,
}

/// What the timer is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Connect,
    /// The first answers leave together.
    FirstAnswers,
    NextPing,
    Pong,
    LastAnswers,
    Nothing,
}

/// How reading or writing has ended.
enum Done {
    All,
    Broken,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Closing was asked for; what was queued before is being written.
    Leaving,
    /// What tells the client of the end is being written.
    Closing,
    /// Nothing more will be written: the client's end is awaited.
    Lingering,
}

impl<S: AsyncRead + AsyncWrite + Unpin, F: Framing> Connection<S, F> {
    /// Takes over a stream for a client that gives commands; `unread` is what it has sent so far.
    pub fn new(stream: S, framing: F, unread: &[u8], service: Arc<Service>) -> Self {
        let outbox = Arc::new(Outbox::new(service.settings.outbox_size));
        outbox.gather();
        Self::holding(stream, framing, unread, Session::new(service, outbox.clone()), outbox)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, F: Framing, C: Conversation> Connection<S, F, C> {
    /// Takes over a stream for this conversation, which writes into this outbox.
    pub fn holding(stream: S, framing: F, unread: &[u8], session: C, outbox: Arc<Outbox>) -> Self {
        let mut connection = Self {
            stream,
            framing,
            outbox,
            session,
            unread: Vec::new(),
            behind: false,
            read_all: false,
            unwritten: Vec::new(),
            written: 0,
            timer: Box::pin(tokio::time::sleep(CONNECT_WITHIN)),
            waiting: Waiting::Connect,
            due: Instant::now() + CONNECT_WITHIN,
            phase: Phase::Open,
        };
        connection.take(&mut unread.to_vec());
        connection
    }

    /// Ends the connection, before it has begun or later: the client is told why.
    pub fn close(&self, reason: Disconnect) {
        self.outbox.close(reason);
    }

    fn wait(&mut self, waiting: Waiting, time: Duration) {
        self.waiting = waiting;
        self.due = Instant::now() + time;
        self.arm();
    }

    fn wait_for_next_ping(&mut self, in_time: Duration) {
        match self.session.settings().ping_interval.is_zero() {
            true => self.wait(Waiting::Nothing, IDLE),
            false => self.wait(Waiting::NextPing, in_time),
        }
    }

    fn arm(&mut self) {
        let expiry = self.session.expires_in().and_then(|time| Instant::now().checked_add(time));
        self.timer.as_mut().reset(expiry.map_or(self.due, |expiry| expiry.min(self.due)));
    }

    /// Reads what is there, or as much of it as may be answered together. Ready when nothing more will come.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Done> {
        READ.with_borrow_mut(|buffer| {
            for _ in 0..READS {
                if self.behind && self.take(&mut []) {
                    break;
                }
                let mut read = ReadBuf::new(buffer);
                let outcome = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read));
                let bytes = read.filled_mut();
                if outcome.is_err() {
                    return Poll::Ready(Done::Broken);
                }
                if bytes.is_empty() {
                    return Poll::Ready(Done::All);
                }
                if self.outbox.closing().is_none() && self.take(bytes) {
                    break;
                }
            }
            // The socket does not tell again of what it has told: reading goes on by itself after the writing.
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }

    /// Handles what has come, behind what was kept of what came before, and keeps what is not complete. Whether
    /// there is so much to write now that it comes first.
    fn take(&mut self, bytes: &mut [u8]) -> bool {
        if self.unread.is_empty() {
            let (end, enough) = self.consume(bytes);
            self.unread = bytes[end..].to_vec();
            return enough;
        }
        let mut unread = std::mem::take(&mut self.unread);
        unread.extend_from_slice(bytes);
        let (end, enough) = self.consume(&mut unread);
        // A message that comes in many pieces is not copied with each of them.
        self.unread = if end == 0 { unread } else { unread[end..].to_vec() };
        enough
    }

    /// Handles the complete messages in `bytes`: where the rest begins, and whether there is so much to write now
    /// that it comes first. A client that reads must not have its outbox filled while nobody empties it.
    fn consume(&mut self, bytes: &mut [u8]) -> (usize, bool) {
        self.behind = false;
        let much = self.outbox.limit() / 4;
        let (mut at, mut too_much) = (0, None);
        while let Some(unsent) = self.outbox.unsent() {
            // What was there before is no reason to stop: for a client that does not read, that would never end.
            if unsent > *too_much.get_or_insert(unsent + much) {
                self.behind = true;
                return (at, true);
            }
            match self.framing.read(bytes, at, self.session.settings().message_size) {
                Ok(Some(received)) => {
                    at = received.end;
                    match received.input {
                        Input::Commands(commands) => {
                            let expires = self.session.expires();
                            if !F::BARE {
                                self.session.begin_message();
                            }
                            match self.session.text(&commands) {
                                Ok(()) => self.handled(expires),
                                Err(reason) => self.refuse(reason),
                            }
                        }
                        Input::Binary(bytes) => {
                            let expires = self.session.expires();
                            match self.session.binary(&bytes) {
                                Ok(()) => self.handled(expires),
                                Err(reason) => self.refuse(reason),
                            }
                        }
                        Input::Answer(answer) => {
                            // A full outbox closes itself.
                            let _ = self.outbox.push(&answer);
                        }
                        Input::Nothing => {}
                    }
                }
                Ok(None) => return (at, unsent > much),
                Err(reason) => self.refuse(reason),
            }
        }
        // Nothing of what is left will be handled.
        (bytes.len(), false)
    }

    /// After commands: the time may be another, for which `expires` is what it was before.
    fn handled(&mut self, expires: Option<u64>) {
        if self.session.expires() != expires {
            self.arm();
        }
        if self.waiting == Waiting::Connect && self.session.is_connected() {
            match self.outbox.is_held() {
                true => self.wait(Waiting::FirstAnswers, GATHER),
                false => self.answered(),
            }
        }
    }

    /// What was sent with the connect is answered, or not soon.
    fn answered(&mut self) {
        self.outbox.let_go();
        self.wait_for_next_ping(self.session.settings().ping_interval);
    }

    /// Ends the connection for what the client sent.
    fn refuse(&self, reason: Disconnect) {
        self.session.count_refused(reason);
        self.outbox.close(reason);
    }

    /// Writes all that is there. Ready when nothing more will be written, or nothing more can.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Done> {
        loop {
            while self.written < self.unwritten.len() {
                let rest = &self.unwritten[self.written..];
                match Pin::new(&mut self.stream).poll_write(cx, rest) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Done::Broken),
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
                Poll::Ready(Err(_)) => return Poll::Ready(Done::Broken),
                Poll::Pending => {
                    self.outbox.stall(cx);
                    return Poll::Pending;
                }
            }
            if self.phase == Phase::Closing {
                return Poll::Ready(Done::All);
            }
            self.written = 0;
            self.unwritten = Vec::new();
            match ready!(self.outbox.poll_next(cx)) {
                Next::Write(bytes) => {
                    self.unwritten = bytes;
                    if self.waiting == Waiting::FirstAnswers {
                        self.answered();
                    }
                }
                Next::Close(reason) => {
                    self.phase = Phase::Closing;
                    self.timer.as_mut().reset(Instant::now() + LINGER);
                    self.session.end(reason);
                    self.session.farewell(reason, &mut self.unwritten);
                }
            }
        }
    }

    fn timed_out(&mut self) {
        if let Err(reason) = self.session.end_expired() {
            return self.outbox.close(reason);
        }
        if Instant::now() < self.due {
            // It was for something that has expired, or the two clocks do not run quite alike.
            return self.arm();
        }
        let (ping, pong) = (self.session.settings().ping_interval, self.session.settings().pong_timeout);
        match self.waiting {
            // It has said who it is, and a hook is asked.
            Waiting::Connect if self.session.is_asking() => self.wait(Waiting::Connect, CONNECT_WITHIN),
            Waiting::Connect => self.outbox.close(Disconnect::Stale),
            Waiting::FirstAnswers => self.answered(),
            Waiting::NextPing => {
                self.session.ping();
                self.wait(Waiting::Pong, pong);
            }
            Waiting::Pong if self.session.take_pong() => self.wait_for_next_ping(ping.saturating_sub(pong)),
            Waiting::Pong => self.outbox.close(Disconnect::NoPong),
            Waiting::LastAnswers => self.outbox.close(Disconnect::Gone),
            Waiting::Nothing => self.wait(Waiting::Nothing, IDLE),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, F: Framing, C: Conversation> Future for Connection<S, F, C> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // Reading first: what it causes for this very client leaves with the write that follows.
        if !this.read_all
            && let Poll::Ready(read) = this.poll_read(cx)
        {
            if !F::BARE || this.phase == Phase::Lingering || matches!(read, Done::Broken) {
                return Poll::Ready(());
            }
            this.read_all = true;
            // The last line may lack its end.
            this.take(&mut [b'\n']);
            if this.phase == Phase::Open {
                this.wait(Waiting::LastAnswers, LAST_ANSWERS);
            }
        }
        if this.session.is_asking() {
            let expires = this.session.expires();
            match this.session.settle(cx) {
                Ok(()) => this.handled(expires),
                Err(reason) => this.refuse(reason),
            }
        }
        if this.phase != Phase::Lingering {
            match this.poll_write(cx) {
                Poll::Pending => {}
                Poll::Ready(Done::Broken) => return Poll::Ready(()),
                Poll::Ready(Done::All) => {
                    // Shutting the socket with unread bytes in it could destroy the last of what was written on
                    // its way, so the client's end is awaited for a moment.
                    let _ = Pin::new(&mut this.stream).poll_shutdown(cx);
                    this.phase = Phase::Lingering;
                }
            }
        }
        if this.phase == Phase::Lingering && this.read_all {
            return Poll::Ready(());
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
