//! How a connection sees what its client says.

use std::{
    task::Context,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{IDLE, Talk};
use crate::{
    clock::now_ms,
    codec::{
        presence::{FromClient, ToClient},
        websocket::write_close,
    },
    endpoint::{Disconnect, conversation::Conversation, session},
};

impl Conversation for Talk {
    fn settings(&self) -> &session::Settings {
        &self.service.settings.session
    }

    fn is_connected(&self) -> bool {
        self.client.is_some()
    }

    fn binary(&mut self, bytes: &[u8]) -> Result<(), Disconnect> {
        self.heard = true;
        let message = FromClient::read(bytes).map_err(|why| self.malformed(why))?;
        self.said(message)
    }

    fn expires(&self) -> Option<u64> {
        Some(self.begun)
    }

    fn expires_in(&self) -> Option<Duration> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let token = self.first_expiry().map(|end| Duration::from_secs(end).saturating_sub(now));
        [token, self.idle_in()].into_iter().flatten().min()
    }

    fn end_expired(&mut self) -> Result<(), Disconnect> {
        let now = now_ms() / 1000;
        if self.expires_at.is_some_and(|end| end <= now) {
            return Err(Disconnect::Expired);
        }
        if let Some(client) = &self.client
            && client.first_expiry().is_some_and(|end| end <= now)
        {
            self.gateway().end_expired(client, now);
        }
        if self.idle_in() == Some(Duration::ZERO) && self.stand_up() {
            self.service.tell(&self.outbox, &ToClient::Left(IDLE.0, IDLE.1));
        }
        Ok(())
    }

    fn is_asking(&self) -> bool {
        self.asking.is_some()
    }

    fn settle(&mut self, cx: &mut Context<'_>) -> Result<(), Disconnect> {
        self.poll_answer(cx)
    }

    fn ping(&mut self) {
        self.heard = false;
        self.service.tell(&self.outbox, &ToClient::Ping);
    }

    fn take_pong(&mut self) -> bool {
        std::mem::take(&mut self.heard)
    }

    fn count_refused(&self, reason: Disconnect) {
        self.service.count_refused(reason);
    }

    fn farewell(&self, reason: Disconnect, out: &mut Vec<u8>) {
        write_close(&self.outbox.farewell(reason), out);
    }

    fn end(&mut self, reason: Disconnect) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.is_no_newcomer();
        self.asking = None;
        self.service.metrics.disconnects.inc(reason);
        if let Some(client) = self.client.take() {
            self.service.metrics.connections.dec();
            self.service.gateway.disconnected(&client, reason);
        }
        // After the others were told that it has left.
        self.seat = None;
    }
}
