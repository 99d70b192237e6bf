//! What goes on beside a request: its connection's handshake, and work of the endpoint that answers.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::Handshake;

/// Lets an endpoint do something as long as its answer is under way; an extension of every request.
///
/// An answer without end is asked for more only when the socket takes more. What has to happen also when it does
/// not, such as giving up, is done here: in the same task, woken by the same wakers.
#[derive(Clone)]
pub struct Beside(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Until the head of the first request is there.
    handshake: Option<Handshake>,
    work: Option<BoxFuture<'static, ()>>,
}

impl Beside {
    /// Of a connection that has just begun.
    pub(super) fn new(handshake: Option<Handshake>) -> Self {
        Self(Arc::new(Mutex::new(State { handshake, work: None })))
    }

    /// The head of a request is there.
    pub(super) fn requested(&self) {
        self.0.lock().handshake = None;
    }

    /// Whether there has been no request.
    pub(super) fn is_new(&self) -> bool {
        self.0.lock().handshake.is_some()
    }

    /// Does this beside the answer. When it is done before the answer is, the connection is cut off.
    pub fn work(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.lock().work = Some(Box::pin(work));
    }

    /// Goes on with the connection, and with what stands beside it: how the connection ended, or nothing when it is
    /// to be cut off.
    pub(super) fn poll_with<C: Future>(
        &self,
        connection: Pin<&mut C>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<C::Output>> {
        // The connection first: what happens in it is seen by the work, and work that it begins wants to be polled.
        if let Poll::Ready(ended) = connection.poll(cx) {
            return Poll::Ready(Some(ended));
        }
        match &mut self.0.lock().work {
            Some(work) => work.as_mut().poll(cx).map(|()| None),
            None => Poll::Pending,
        }
    }
}
