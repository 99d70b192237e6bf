//! What the conversations of the endpoint share.

use std::{sync::Arc, time::Duration};

use super::{Boards, BoardsOverWebSocket, encoder};
use crate::{
    codec::{Encoder, presence::ToClient},
    endpoint::{Disconnect, EndpointKind, Gateway, Outbox, Refusal, session},
    metrics::{EndpointMetrics, Rejection},
};

/// What the conversations of the endpoint share.
pub struct Service {
    /// What clients can ask for.
    pub gateway: Arc<Gateway>,
    /// The boards.
    pub boards: Arc<Boards>,
    /// How what is delivered looks.
    pub encoder: Arc<dyn Encoder>,
    /// How conversations are kept.
    pub settings: Settings,
    /// What is counted of them.
    pub metrics: EndpointMetrics,
}

/// How conversations are kept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// As those of every endpoint.
    pub session: session::Settings,
    /// What stands before a board's name in its channel's.
    pub channel_prefix: String,
    /// The channel that all clients hear, if there is one.
    pub announcements: Option<String>,
    /// After which time a member that does nothing is taken off its board; zero: never.
    pub idle_timeout: Duration,
}

impl Service {
    /// What conversations about these boards share.
    pub fn new(gateway: Arc<Gateway>, boards: Arc<Boards>, settings: Settings) -> Self {
        let metrics = gateway.hub.metrics.endpoint(EndpointKind::Presence.as_str());
        let encoder = Arc::new(BoardsOverWebSocket::new(&settings.channel_prefix));
        Self { gateway, boards, encoder, settings, metrics }
    }

    /// Counts something that was not carried out.
    pub fn count(&self, rejection: Rejection) {
        self.gateway.hub.metrics.rejected.inc(rejection);
    }

    /// Counts what ends a conversation for its form. What is wrong with messages was counted where it was found.
    pub(super) fn count_refused(&self, reason: Disconnect) {
        match reason {
            Disconnect::TooBig => self.count(Rejection::TooLarge),
            Disconnect::ProtocolError | Disconnect::InappropriateProtocol => {
                self.count(Rejection::BrokenFrame);
            }
            _ => {}
        }
    }

    /// Puts a message into an outbox; a full one closes itself.
    pub(super) fn tell(&self, outbox: &Outbox, message: &ToClient<'_>) {
        let mut frame = Vec::new();
        encoder::write(message, &mut frame);
        let _ = outbox.push(&frame);
    }

    /// Counts a refusal and tells the client of it.
    pub(super) fn refuse(&self, outbox: &Outbox, why: impl Into<Refusal>) {
        let why = why.into();
        if let Some(rejection) = why.code().rejection() {
            self.count(rejection);
        }
        self.tell(outbox, &ToClient::Error(why.code().code(), why.message()));
    }

    /// The same in words that say what is wrong.
    pub(super) fn refuse_as(&self, outbox: &Outbox, rejection: Rejection, code: u32, sentence: &str) {
        self.count(rejection);
        self.tell(outbox, &ToClient::Error(code, sentence));
    }
}
