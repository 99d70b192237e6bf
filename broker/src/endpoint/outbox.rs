//! What waits to be written to one client: a bounded queue of bytes, ready for the wire.
//!
//! Everybody who has something for the client appends to it; the one task that owns the connection takes all
//! that is there and writes it with one call. The buffer exists only while there is something in it.

use std::{
    future::poll_fn,
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;

use super::{Disconnect, Farewell};

/// The unsent bytes of one client.
pub struct Outbox {
    state: Mutex<State>,
    limit: usize,
}

#[derive(Default)]
struct State {
    buffer: Vec<u8>,
    /// Bytes that the writer took and has not told to be written yet: they count against the limit.
    writing: usize,
    /// How many frames are still to come that leave together with what is there; `None` when nothing waits for others.
    awaited: Option<u32>,
    writer: Option<Waker>,
    /// Whoever waits for the end beside the writer; most outboxes have nobody.
    watcher: Option<Waker>,
    /// The writer waits for the socket, not for more to write.
    stalled: bool,
    closing: Option<Disconnect>,
    /// What the client is told instead of the reason's own words.
    farewell: Option<Box<Farewell>>,
}

/// With so much to write nothing waits for more.
const GATHERED: usize = 4096;

/// Why a frame was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The client is too slow: its outbox is full, and its connection is now being closed.
    Full,
    /// The connection is being closed already.
    Closing,
}

/// What the writer has to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Write these bytes.
    Write(Vec<u8>),
    /// Everything is written: close for this reason.
    Close(Disconnect),
}

impl Outbox {
    /// An empty outbox that holds up to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { state: Mutex::default(), limit }
    }

    /// Appends a frame. Never waits: a client that does not read is closed instead, and told to come back.
    pub fn push(&self, frame: &[u8]) -> Result<(), Refused> {
        let waker = {
            let mut state = self.state.lock();
            if state.closing.is_some() {
                return Err(Refused::Closing);
            }
            if state.buffer.len() + state.writing + frame.len() > self.limit {
                state.buffer = Vec::new();
                state.closing = Some(Disconnect::Slow);
                let wakers = [state.writer.take(), state.watcher.take()];
                drop(state);
                wakers.into_iter().flatten().for_each(Waker::wake);
                return Err(Refused::Full);
            }
            state.buffer.extend_from_slice(frame);
            state.awaited = state.awaited.map(|awaited| awaited.saturating_sub(1));
            if state.stalled || state.is_held() { None } else { state.writer.take() }
        };
        // Woken outside the lock: the writer may run on another thread at once and want it.
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// From now on frames that are [expected](Self::expect) are waited for, so that they leave with what is there. The
    /// owner of the connection has to [let go](Self::let_go) in time.
    pub(super) fn gather(&self) {
        self.state.lock().awaited = Some(0);
    }

    /// A frame will come soon.
    pub(super) fn expect(&self) {
        let mut state = self.state.lock();
        state.awaited = state.awaited.map(|awaited| awaited + 1);
    }

    /// Whether what is there waits for frames that will come soon.
    pub(super) fn is_held(&self) -> bool {
        self.state.lock().is_held()
    }

    /// Nothing is waited for any more.
    pub(super) fn let_go(&self) {
        let writer = {
            let mut state = self.state.lock();
            state.awaited = None;
            state.writer.take()
        };
        writer.into_iter().for_each(Waker::wake);
    }

    /// Asks for the connection to be closed, after what is queued has been written. The first reason stays.
    pub fn close(&self, reason: Disconnect) {
        let wakers = {
            let mut state = self.state.lock();
            state.closing.get_or_insert(reason);
            [state.writer.take(), state.watcher.take()]
        };
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// The same for [`Disconnect::Hook`], in these words.
    pub fn close_with(&self, farewell: Farewell) {
        {
            let mut state = self.state.lock();
            if state.closing.is_none() {
                state.farewell = Some(Box::new(farewell));
            }
        }
        self.close(Disconnect::Hook);
    }

    /// What the client is told when its connection ends for this reason.
    pub fn farewell(&self, reason: Disconnect) -> Farewell {
        let own = if reason == Disconnect::Hook { self.state.lock().farewell.clone() } else { None };
        own.map_or_else(|| reason.into(), |farewell| *farewell)
    }

    /// Why the connection is being closed, if it is.
    pub fn closing(&self) -> Option<Disconnect> {
        self.state.lock().closing
    }

    /// Waits, as the writer does while it cannot write, until the connection is being closed; the reason.
    pub(super) async fn closed(&self) -> Disconnect {
        poll_fn(|cx| {
            self.stall(cx);
            self.closing().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Waits, beside the writer, until the connection is being closed; the reason. One may wait so.
    pub(super) async fn watch(&self) -> Disconnect {
        poll_fn(|cx| {
            let mut state = self.state.lock();
            if let Some(reason) = state.closing {
                return Poll::Ready(reason);
            }
            state.watcher = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Bytes that are not written yet, unless the connection is being closed.
    pub fn unsent(&self) -> Option<usize> {
        let state = self.state.lock();
        state.closing.is_none().then(|| state.buffer.len() + state.writing)
    }

    /// The most bytes that it holds.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes that are not written yet.
    pub fn len(&self) -> usize {
        let state = self.state.lock();
        state.buffer.len() + state.writing
    }

    /// Whether everything is written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the writer does next; asking says that everything taken before is written. Only the task that
    /// owns the connection asks.
    pub fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Next> {
        let mut state = self.state.lock();
        state.writing = 0;
        state.stalled = false;
        if !state.buffer.is_empty() && !state.is_held() {
            let bytes = std::mem::take(&mut state.buffer);
            state.writing = bytes.len();
            return Poll::Ready(Next::Write(bytes));
        }
        if let Some(reason) = state.closing {
            return Poll::Ready(Next::Close(reason));
        }
        state.wake(cx);
        Poll::Pending
    }

    /// The socket takes no more now: until [`Outbox::poll_next`] is asked again, only closing wakes the writer.
    pub fn stall(&self, cx: &Context<'_>) {
        let mut state = self.state.lock();
        state.stalled = true;
        state.wake(cx);
    }
}

impl State {
    fn is_held(&self) -> bool {
        self.awaited.is_some_and(|awaited| awaited > 0)
            && self.buffer.len() < GATHERED
            && self.closing.is_none()
    }

    fn wake(&mut self, cx: &Context<'_>) {
        if !self.writer.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.writer = Some(cx.waker().clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Context;

    use super::*;

    fn next(outbox: &Outbox) -> Poll<Next> {
        outbox.poll_next(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn frames_are_taken_together_in_order() {
        let outbox = Outbox::new(100);
        outbox.push(b"one ").unwrap();
        outbox.push(b"two").unwrap();
        assert_eq!(next(&outbox), Poll::Ready(Next::Write(b"one two".to_vec())));
        assert_eq!(next(&outbox), Poll::Pending);
        assert!(outbox.is_empty());
    }

    #[test]
    fn what_is_expected_leaves_with_what_is_there() {
        let outbox = Outbox::new(10_000);
        outbox.expect();
        outbox.push(b"0").unwrap();
        assert_eq!(next(&outbox), Poll::Ready(Next::Write(b"0".to_vec())), "nobody gathers");
        outbox.gather();
        outbox.push(b"1").unwrap();
        outbox.expect();
        assert_eq!(next(&outbox), Poll::Pending);
        outbox.push(b"2").unwrap();
        assert_eq!(next(&outbox), Poll::Ready(Next::Write(b"12".to_vec())));
        outbox.expect();
        outbox.push(b"3").unwrap();
        outbox.expect();
        outbox.expect();
        outbox.push(b"4").unwrap();
        assert_eq!(next(&outbox), Poll::Pending, "another one is to come");
        outbox.let_go();
        assert_eq!(next(&outbox), Poll::Ready(Next::Write(b"34".to_vec())));
    }

    #[test]
    fn what_is_much_or_the_last_waits_for_nothing() {
        let outbox = Outbox::new(10_000);
        outbox.gather();
        outbox.expect();
        outbox.expect();
        outbox.push(&[b'.'; GATHERED]).unwrap();
        assert!(matches!(next(&outbox), Poll::Ready(Next::Write(_))));
        outbox.expect();
        outbox.push(b"bye").unwrap();
        assert_eq!(next(&outbox), Poll::Pending);
        outbox.close(Disconnect::Shutdown);
        assert_eq!(next(&outbox), Poll::Ready(Next::Write(b"bye".to_vec())));
    }

    #[test]
    fn a_slow_client_is_closed_and_its_memory_given_back() {
        let outbox = Outbox::new(10);
        outbox.push(b"12345678").unwrap();
        let Poll::Ready(Next::Write(taken)) = next(&outbox) else { panic!("nothing to write") };
        assert_eq!(outbox.push(b"abc"), Err(Refused::Full), "bytes on their way count");
        assert_eq!(taken.len(), 8);
        assert_eq!(outbox.push(b"a"), Err(Refused::Closing));
        assert_eq!(next(&outbox), Poll::Ready(Next::Close(Disconnect::Slow)));
    }

    #[test]
    fn what_is_queued_is_written_before_closing() {
        let outbox = Outbox::new(10);
        outbox.push(b"bye").unwrap();
        outbox.close(Disconnect::Shutdown);
        outbox.close(Disconnect::Slow);
        assert_eq!(next(&outbox), Poll::Ready(Next::Write(b"bye".to_vec())));
        assert_eq!(next(&outbox), Poll::Ready(Next::Close(Disconnect::Shutdown)));
    }
}
