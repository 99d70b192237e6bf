//! A connection by requests: a GET waits for what is to be told, a POST brings what the client says.

use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use tokio::time::sleep;

use super::{
    request::Fault,
    session::{Session, State},
};
use crate::{
    codec::engineio::{CLOSE, NOOP, Packet, body_of},
    codec::websocket::{write_close, write_text},
    config::Transport,
    endpoint::{Disconnect, outbox::Next},
    metrics::Rejection,
};

/// How long a request waits while the connection moves to a WebSocket, which it would hold up.
const WHILE_MOVING: Duration = Duration::from_millis(100);

/// Who asks, or brings something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// The client, by a request.
    Request,
    /// Another instance, for the client's WebSocket there.
    Relay,
}

impl By {
    fn is_in_place(self, state: &State) -> bool {
        match self {
            Self::Request => state.transport == Transport::Polling,
            Self::Relay => state.is_relayed,
        }
    }
}

/// A request under way; there is one of its kind at a time.
struct Turn {
    session: Arc<Session>,
    flag: fn(&mut State) -> &mut bool,
    /// What it does is not to be left half done.
    is_whole: bool,
}

impl Turn {
    /// # Errors
    /// Another one is under way, which is the end of the connection.
    fn take(session: &Arc<Session>, flag: fn(&mut State) -> &mut bool, by: By) -> Result<Self, Fault> {
        let mut state = session.state();
        if !by.is_in_place(&state) {
            return Err(Fault::BadRequest);
        }
        if std::mem::replace(flag(&mut state), true) {
            drop(state);
            session.outbox.close(Disconnect::BadRequest);
            return Err(Fault::BadRequest);
        }
        drop(state);
        Ok(Self { session: session.clone(), flag, is_whole: true })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *(self.flag)(&mut self.session.state()) = false;
        if !self.is_whole {
            self.session.outbox.close(Disconnect::Gone);
        }
    }
}

impl Session {
    /// Waits until there is something to be told, and gives it: as a body, or to a relay as frames.
    ///
    /// # Errors
    /// The request is not in its place.
    pub(super) async fn poll(self: &Arc<Self>, by: By) -> Result<Vec<u8>, Fault> {
        let _turn = Turn::take(self, |state| &mut state.is_polled, by)?;
        let mut moving = None;
        let body = poll_fn(|cx| {
            let state = self.state();
            if !by.is_in_place(&state) {
                return Poll::Ready(NOOP.into());
            }
            let is_upgrading = state.is_upgrading;
            match self.outbox.poll_next(cx) {
                Poll::Ready(Next::Write(frames)) if by == By::Relay => Poll::Ready(frames),
                Poll::Ready(Next::Write(frames)) => Poll::Ready(body_of(&frames)),
                Poll::Ready(Next::Close(reason)) => {
                    drop(state);
                    Poll::Ready(self.last_words(reason, by))
                }
                Poll::Pending if is_upgrading => {
                    let moving = moving.get_or_insert_with(|| Box::pin(sleep(WHILE_MOVING)));
                    moving.as_mut().poll(cx).map(|()| NOOP.into())
                }
                Poll::Pending => Poll::Pending,
            }
        });
        Ok(body.await)
    }

    /// The end, in two answers where there is something to say before: clients close as soon as they read of that, and
    /// have not looked yet at what stood in front of it.
    fn last_words(&self, reason: Disconnect, by: By) -> Vec<u8> {
        let mut frames = Vec::new();
        self.farewell(reason, &mut frames);
        if by == By::Relay {
            write_close(&self.outbox.farewell(reason), &mut frames);
            self.told.notify_one();
            return frames;
        }
        if frames.is_empty() {
            write_text(&mut frames, |out| out.extend_from_slice(CLOSE.as_bytes()));
            self.told.notify_one();
        }
        body_of(&frames)
    }

    /// Carries out what a body says, in order, and returns when that is done.
    ///
    /// # Errors
    /// It is not the protocol, which is the end of the connection.
    pub(super) async fn post(self: &Arc<Self>, body: &str, by: By) -> Result<(), Fault> {
        let mut turn = Turn::take(self, |state| &mut state.is_posting, by)?;
        for packet in Packet::read_all(body) {
            // Nothing of what is left will be handled, as the answer to the other request says.
            if self.outbox.closing().is_some() {
                return Ok(());
            }
            let handled = match packet {
                Ok(packet) => self.handle(packet),
                Err(_) => {
                    self.endpoint.count(Rejection::Malformed);
                    Err(Disconnect::BadRequest)
                }
            };
            match handled {
                Ok(None) => {}
                Ok(Some(pending)) => {
                    turn.is_whole = false;
                    self.settled(pending).await;
                    turn.is_whole = true;
                }
                Err(reason) => {
                    self.outbox.close(reason);
                    return if reason == Disconnect::Gone { Ok(()) } else { Err(Fault::Ended) };
                }
            }
        }
        Ok(())
    }
}
