//! Asking a hook for one client, and the commands of that client that wait for the verdict.
//!
//! A client's commands are carried out in their order, so that while a hook is asked about one of them all that come
//! behind it wait; only its answers to pings are taken at once. What waits is bounded: a command that has no room is
//! refused, for now.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;

use super::{Greeting, Session};
use crate::{
    auth::Identity,
    codec::centrifuge::{Command, Connect, Publish, Reply, Request, Subscribe, single_line},
    endpoint::{Disconnect, ErrorCode, Refusal},
    hooks::{Asked, ConnectHook, Granted, Hook, Verdict},
    message::ClientId,
    metrics::Rejection,
    registry::Client,
};

/// How many commands of one client may wait. Their bytes are bounded too, by two messages of the largest size.
const WAITING: usize = 512;

/// What is asked for one client, and what waits.
#[derive(Default)]
pub(super) struct Asking {
    /// Without one, what waits is being carried out.
    pending: Option<Pending>,
    waiting: VecDeque<Waiting>,
    /// The bytes of what waits.
    bytes: usize,
    /// What comes next was not sent together with what came before.
    begins: bool,
}

/// A command that waits.
struct Waiting {
    text: String,
    /// It was not sent together with what came before.
    begins: bool,
}

/// Something that a hook is asked.
pub(super) struct Pending {
    about: About,
    asked: Asked,
}

/// What is to be done if the hook allows it.
enum About {
    Connect { id: u32, client: ClientId, verified: Option<Identity> },
    Subscribe { id: u32, subscribe: Subscribe<'static> },
    Publish { id: u32, channel: String, data: Bytes },
}

impl Asking {
    pub(super) fn ask(&mut self, pending: Pending) {
        self.pending = Some(pending);
    }

    /// What comes now was not sent together with what came before.
    pub(super) fn begin_message(&mut self) {
        self.begins = true;
    }
}

impl Session {
    /// Whether a hook is asked, or commands wait behind one that was: [`Session::settle`] is to be called.
    pub fn is_asking(&self) -> bool {
        self.asking.is_some()
    }

    /// Asks whether the client may connect; `verified` is who it is by its token.
    pub(super) fn ask_to_connect(
        &mut self,
        hook: &ConnectHook,
        id: u32,
        connect: &Connect<'_>,
        verified: Option<Identity>,
    ) {
        let client = ClientId::generate();
        let greeting = Greeting { token: &connect.token, name: connect.name, data: connect.data };
        let (gateway, kind) = (&self.service.gateway, self.service.kind);
        let asked = gateway.ask_to_connect(hook, client, verified.as_ref(), kind, &greeting);
        let about = About::Connect { id, client, verified };
        self.asking.get_or_insert_default().ask(Pending { about, asked });
    }

    /// Asks whether the client may subscribe.
    pub(super) fn ask_to_subscribe(
        &self,
        hook: &Arc<Hook>,
        client: &Client,
        id: u32,
        subscribe: Subscribe<'_>,
    ) -> Result<Pending, Refusal> {
        let asked = self.gateway().ask_to_subscribe(hook, client, &subscribe.channel, &subscribe.token)?;
        Ok(Pending { about: About::Subscribe { id, subscribe: subscribe.into_owned() }, asked })
    }

    /// Asks whether the client may publish.
    pub(super) fn ask_to_publish(
        &self,
        hook: &Arc<Hook>,
        client: &Client,
        id: u32,
        publish: &Publish<'_>,
    ) -> Result<Pending, Refusal> {
        let asked = self.gateway().ask_to_publish(hook, client, &publish.channel, publish.data)?;
        let data = Bytes::copy_from_slice(single_line(publish.data).as_bytes());
        Ok(Pending {
            about: About::Publish { id, channel: publish.channel.clone().into_owned(), data },
            asked,
        })
    }

    /// Keeps a command until the verdict is there and those before it are carried out.
    pub(super) fn wait_with(&mut self, command: &Command<'_>) -> Result<(), Disconnect> {
        let text = command.text;
        let room = 2 * self.service.settings.message_size;
        let Some(asking) = &mut self.asking else { return Ok(()) };
        if matches!(command.request, Request::Pong) && self.client.is_some() {
            self.ponged = true;
        } else if asking.waiting.len() < WAITING && asking.bytes + text.len() <= room {
            asking.bytes += text.len();
            asking
                .waiting
                .push_back(Waiting { text: text.to_owned(), begins: std::mem::take(&mut asking.begins) });
        } else if command.id > 0 {
            self.service.refuse(&self.outbox, command.id, ErrorCode::TooManyRequests);
        } else {
            self.service.count(Rejection::TooManyRequests);
        }
        Ok(())
    }

    /// Does what a hook's verdict says, if it is there, and then carries out what has waited for it, until a hook is
    /// asked again. Nothing is done while there is much to be written; `cx` is woken when there is more to do.
    ///
    /// # Errors
    /// Why the connection has to end; what was wrong has been counted.
    pub fn settle(&mut self, cx: &mut Context<'_>) -> Result<(), Disconnect> {
        // What was there before is no reason to stop: for a client that does not read, that would never end.
        let enough = self.outbox.len() + self.outbox.limit() / 4;
        while let Some(asking) = &mut self.asking {
            // Nothing more is done for a client whose connection is being closed.
            let Some(unsent) = self.outbox.unsent() else { return Ok(()) };
            if let Some(Pending { asked, .. }) = &mut asking.pending {
                let Poll::Ready(verdict) = Pin::new(asked).poll(cx) else { return Ok(()) };
                if let Some(Pending { about, .. }) = asking.pending.take() {
                    // Only a call that has panicked brings none.
                    self.answered(about, verdict.unwrap_or(Verdict::Failed(ErrorCode::Internal)))?;
                }
                continue;
            }
            if unsent > enough {
                cx.waker().wake_by_ref();
                return Ok(());
            }
            let Some(Waiting { text, begins }) = asking.waiting.pop_front() else {
                let begins = asking.begins;
                self.asking = None;
                self.turned_away &= !begins;
                return Ok(());
            };
            asking.bytes -= text.len();
            self.turned_away &= !begins;
            let command = Command::read(&text).map_err(|error| self.malformed(&error.to_string()))?;
            self.carry_out(command)?;
        }
        Ok(())
    }

    fn answered(&mut self, about: About, verdict: Verdict) -> Result<(), Disconnect> {
        let (About::Connect { id, .. } | About::Subscribe { id, .. } | About::Publish { id, .. }) = about;
        let granted = match verdict {
            Verdict::Allowed(granted) => granted,
            refused => {
                // What was sent together with a connect stood on it.
                self.turned_away = self.client.is_none();
                self.not_allowed(id, refused);
                return Ok(());
            }
        };
        let outcome = match (about, &self.client) {
            (About::Connect { id, client, verified }, _) => {
                return self.connected(id, client, verified, granted);
            }
            (About::Subscribe { id, subscribe }, Some(client)) => {
                let expires_at = self.subscribe(client, id, &subscribe, granted.info);
                self.expiry.heed(expires_at);
                Ok(())
            }
            (About::Publish { id, channel, data }, Some(client)) => {
                self.publish(client, id, &channel, granted.data.unwrap_or(data))
            }
            (About::Subscribe { .. } | About::Publish { .. }, None) => Ok(()),
        };
        if let Err(error) = outcome {
            self.service.refuse(&self.outbox, id, error);
        }
        Ok(())
    }

    fn connected(
        &mut self,
        id: u32,
        client: ClientId,
        verified: Option<Identity>,
        granted: Granted,
    ) -> Result<(), Disconnect> {
        let service = self.service.clone();
        let hook = service.gateway.hooks.connect.as_ref();
        match hook.and_then(|hook| hook.identity(verified, granted)) {
            Some((identity, end)) => self.let_in(id, client, identity, end),
            None => {
                service.count(Rejection::NoToken);
                Err(Disconnect::PermissionDenied)
            }
        }
    }

    fn not_allowed(&self, id: u32, verdict: Verdict) {
        match verdict {
            Verdict::Allowed(_) => {}
            Verdict::Refused(refusal) => {
                self.service.count(Rejection::Hook);
                self.service.answer(&self.outbox, id, &Reply::Refused(&refusal));
            }
            Verdict::Ended(farewell) => {
                self.service.count(Rejection::Hook);
                self.outbox.close_with(farewell);
            }
            Verdict::Failed(error) => self.service.refuse(&self.outbox, id, error),
        }
    }
}
