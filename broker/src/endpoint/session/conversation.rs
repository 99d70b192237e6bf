//! A session is a conversation in commands, which are text.

use std::{task::Context, time::Duration};

use super::{Session, Settings};
use crate::endpoint::{Disconnect, conversation::Conversation};

impl Conversation for Session {
    fn settings(&self) -> &Settings {
        &self.service.settings
    }

    fn is_connected(&self) -> bool {
        self.is_connected()
    }

    fn begin_message(&mut self) {
        self.begin_message();
    }

    fn text(&mut self, text: &str) -> Result<(), Disconnect> {
        self.text(text)
    }

    fn expires(&self) -> Option<u64> {
        self.expires()
    }

    fn expires_in(&self) -> Option<Duration> {
        self.expires_in()
    }

    fn end_expired(&mut self) -> Result<(), Disconnect> {
        self.end_expired()
    }

    fn is_asking(&self) -> bool {
        self.is_asking()
    }

    fn settle(&mut self, cx: &mut Context<'_>) -> Result<(), Disconnect> {
        self.settle(cx)
    }

    fn ping(&mut self) {
        self.ping();
    }

    fn take_pong(&mut self) -> bool {
        self.take_pong()
    }

    fn count_refused(&self, reason: Disconnect) {
        self.service.count_refused(reason);
    }

    fn farewell(&self, reason: Disconnect, out: &mut Vec<u8>) {
        self.service.encoder.end(&self.outbox.farewell(reason), out);
    }

    fn end(&mut self, reason: Disconnect) {
        self.end(reason);
    }
}
