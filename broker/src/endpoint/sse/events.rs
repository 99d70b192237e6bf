//! The body of the answer: what is in a client's outbox, as it comes.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::Frame;

use super::{Gzip, Session};
use crate::{
    codec::sse::write_disconnect,
    endpoint::{Disconnect, Farewell, outbox::Next},
};

/// When a client is to come back, in milliseconds. Each is told another time: those of an instance that is killed
/// would come to the others all at once.
const SOON: std::ops::Range<u32> = 1_000..5_000;

/// When a client is to come back to whom nothing else will be said then.
const LATER: u32 = 60_000;

/// The stream of a client's events; the client goes with it.
pub(super) struct Events {
    session: Session,
    /// The first event, until it is sent.
    opening: Vec<u8>,
    gzip: Option<Gzip>,
    is_over: bool,
}

impl Events {
    /// Begins with the event `opening`; then come those in the outbox.
    pub(super) fn new(session: Session, opening: Vec<u8>, gzip: Option<Gzip>) -> Self {
        Self { session, opening, gzip, is_over: false }
    }

    /// What is to be sent next; empty at the end.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Vec<u8>> {
        if self.is_over {
            return Poll::Ready(Vec::new());
        }
        if !self.opening.is_empty() {
            return Poll::Ready(std::mem::take(&mut self.opening));
        }
        let outbox = &self.session.outbox;
        Poll::Ready(match ready!(outbox.poll_next(cx)) {
            Next::Write(bytes) => {
                // More is asked for when these are nearly written, and not before. Until then nothing but the end of
                // the connection is to wake its task.
                outbox.stall(cx);
                bytes
            }
            Next::Close(reason) => {
                self.is_over = true;
                self.session.end(reason);
                last(&self.session.outbox.farewell(reason))
            }
        })
    }
}

impl hyper::body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let mut bytes = ready!(this.poll_bytes(cx));
        if bytes.is_empty() {
            return Poll::Ready(None);
        }
        if let Some(gzip) = &mut this.gzip {
            bytes = gzip.write(&bytes);
            if this.is_over {
                gzip.finish(&mut bytes);
            }
        }
        Poll::Ready(Some(Ok(Frame::data(bytes.into()))))
    }
}

impl From<Events> for Body {
    fn from(events: Events) -> Self {
        Self::new(events)
    }
}

/// The event that says why a stream ends.
pub(super) fn last(farewell: &Farewell) -> Vec<u8> {
    let stays_away = farewell.stays_away() || farewell.code == Disconnect::Expired.code();
    let mut event = Vec::new();
    // An `EventSource` comes back whatever the code says, and with the same token.
    write_disconnect(farewell, if stays_away { LATER } else { come_back() }, &mut event);
    event
}

/// When a client is to come back, in milliseconds.
pub(super) fn come_back() -> u32 {
    rand::random_range(SOON)
}
