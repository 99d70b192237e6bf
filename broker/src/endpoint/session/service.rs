//! What the sessions of one endpoint share, and how they answer.

use std::{cell::RefCell, net::IpAddr, sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    codec::{Framer, centrifuge::Reply},
    endpoint::{
        Disconnect, EndpointKind, ErrorCode, Gateway, Outbox, Refusal,
        accept::{Admission, Place},
    },
    metrics::{EndpointMetrics, Rejection},
};

/// Questions of all clients to the backplane that may be under way together.
const QUESTIONS: usize = 1024;

/// A reply buffer that has grown past this is given back.
const REPLY_KEPT: usize = 256 * 1024;

thread_local! {
    static REPLY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What all sessions of one endpoint are given.
pub struct Service {
    /// What clients can ask for.
    pub gateway: Arc<Gateway>,
    /// How what the server sends looks on the endpoint's connections.
    pub encoder: Arc<dyn Framer>,
    /// How sessions are kept.
    pub settings: Settings,
    /// What is counted of them.
    pub metrics: EndpointMetrics,
    /// Which endpoint it is.
    pub kind: EndpointKind,
    /// How many more questions to the backplane may be under way.
    questions: Arc<Semaphore>,
}

/// How sessions are kept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Time between two pings of the server; zero: it sends none.
    pub ping_interval: Duration,
    /// Time that a client has to answer one.
    pub pong_timeout: Duration,
    /// The largest message of a client, in bytes.
    pub message_size: usize,
    /// Unsent bytes of one client before it is closed as too slow.
    pub outbox_size: usize,
    /// The largest reply that can be sent to a client, in bytes.
    pub reply_size: usize,
    /// How long after the end of its token a client may bring a new one.
    pub token_grace: Duration,
}

/// What somebody is told that there is no place for: to come back, for another instance may have one.
pub fn advice(reason: Rejection) -> Disconnect {
    match reason {
        Rejection::Draining => Disconnect::Shutdown,
        _ => Disconnect::Full,
    }
}

impl Service {
    /// What the sessions of an endpoint of this kind share.
    pub fn new(
        gateway: Arc<Gateway>,
        kind: EndpointKind,
        encoder: Arc<dyn Framer>,
        settings: Settings,
    ) -> Self {
        let metrics = gateway.hub.metrics.endpoint(kind.as_str());
        Self { gateway, encoder, settings, metrics, kind, questions: Arc::new(Semaphore::new(QUESTIONS)) }
    }

    /// A place for somebody who has come from this address; a refusal is counted.
    pub fn admit(&self, admission: &Arc<Admission>, from: IpAddr) -> Result<Place, Rejection> {
        self.gateway.admit(admission, from)
    }

    /// Counts what ends a session for its form. What is wrong with commands was counted where it was found.
    pub fn count_refused(&self, reason: Disconnect) {
        let rejection = match reason {
            Disconnect::TooBig => Rejection::TooLarge,
            Disconnect::InappropriateProtocol => Rejection::Binary,
            Disconnect::ProtocolError => Rejection::BrokenFrame,
            Disconnect::InvalidData => Rejection::Malformed,
            _ => return,
        };
        self.count(rejection);
    }

    /// Counts something that was not carried out.
    pub fn count(&self, rejection: Rejection) {
        self.gateway.hub.metrics.rejected.inc(rejection);
    }

    /// Leave for one question to the backplane.
    pub(super) fn question(&self) -> Result<OwnedSemaphorePermit, ErrorCode> {
        self.questions.clone().try_acquire_owned().map_err(|_| ErrorCode::TooManyRequests)
    }

    /// Puts a reply into an outbox, if it can be sent at all: one that the outbox cannot hold would close the client,
    /// which would come back and ask again.
    pub(super) fn try_answer(&self, outbox: &Outbox, id: u32, reply: &Reply<'_>) -> Result<(), ErrorCode> {
        REPLY.with_borrow_mut(|frame| {
            frame.clear();
            self.encoder.frame(frame, &mut |out| reply.write(id, out));
            let fits = frame.len() <= outbox.limit().min(self.settings.reply_size);
            if fits {
                // A full outbox closes itself, so there is nothing to do about a refusal.
                let _ = outbox.push(frame);
            }
            if frame.capacity() > REPLY_KEPT {
                *frame = Vec::new();
            }
            if fits { Ok(()) } else { Err(ErrorCode::AnswerTooLarge) }
        })
    }

    /// Puts a reply that is not large into an outbox.
    pub(super) fn answer(&self, outbox: &Outbox, id: u32, reply: &Reply<'_>) {
        let _ = self.try_answer(outbox, id, reply);
    }

    /// Counts a refusal and answers with it.
    pub(super) fn refuse(&self, outbox: &Outbox, id: u32, why: impl Into<Refusal>) {
        let why = why.into();
        if let Some(rejection) = why.code().rejection() {
            self.count(rejection);
        }
        self.answer(outbox, id, &Reply::Error(why));
    }
}
