//! What one client of the endpoint says, and what that does.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use super::{Seat, Service, encoder};
use crate::{
    auth::Identity,
    board::About,
    clock::tick_ms,
    codec::presence::{Colour, Described, FromClient, Join, Malformed, ToClient},
    endpoint::{Disconnect, EndpointKind, ErrorCode, Gateway, Outbox, conversation::Conversation},
    message::ClientId,
    metrics::{ClientCommand, Rejection},
    registry::Client,
};

mod asking;
mod conversation;

use asking::Asking;

/// The longest name of a member, and of a user, in bytes.
const NAME: usize = 128;

/// The largest selection, in bytes.
const SELECTION: usize = 1024;

/// Messages that a client may send in a second. Beyond, the newest cursor is kept and nothing else.
const MESSAGES: u32 = 1000;

/// A cursor that moves is news to the directory after so many milliseconds: told each second, it would cost more than the
/// movements themselves.
const NEWS_AFTER: u64 = 5000;

/// What a member is told that did nothing for too long, and one that has left by itself.
const IDLE: (u32, &str) = (1, "idle");
const AS_ASKED: (u32, &str) = (0, "left");

/// The state of one client's conversation.
pub struct Talk {
    service: Arc<Service>,
    outbox: Arc<Outbox>,
    client: Option<Arc<Client>>,
    /// The number as a newcomer, until the client has said who it is.
    newcomer: Option<usize>,
    /// While a hook is asked. Most clients never have it.
    asking: Option<Box<Asking>>,
    seat: Option<Seat>,
    /// When the connection ends, in seconds since 1970.
    expires_at: Option<u64>,
    /// How often something has begun that may expire.
    begun: u64,
    /// Something came since the last ping.
    heard: bool,
    /// It was told that it is on no board.
    was_told: bool,
    /// The messages of this second.
    since: Instant,
    messages: u32,
    ended: bool,
}

/// Who wants to be on which board, kept while others are asked.
struct Wanted {
    channel: String,
    user: String,
    name: String,
    colour: Colour,
    pass: String,
}

impl Talk {
    /// A conversation that has not begun.
    pub fn new(service: Arc<Service>, outbox: Arc<Outbox>) -> Self {
        let newcomer = Some(service.gateway.newcomer(outbox.clone()));
        Self {
            service,
            outbox,
            client: None,
            newcomer,
            asking: None,
            seat: None,
            expires_at: None,
            begun: 0,
            heard: false,
            was_told: false,
            since: Instant::now(),
            messages: 0,
            ended: false,
        }
    }

    fn gateway(&self) -> &Arc<Gateway> {
        &self.service.gateway
    }

    /// Whether the client has sent more in this second than it may. It is told once.
    fn is_too_much(&mut self) -> bool {
        if self.since.elapsed() >= Duration::from_secs(1) {
            (self.since, self.messages) = (Instant::now(), 0);
        }
        self.messages = self.messages.saturating_add(1);
        let is_too_much = self.messages > MESSAGES;
        if is_too_much {
            self.service.count(Rejection::TooManyRequests);
        }
        if self.messages == MESSAGES + 1 {
            let sentence = format!("more than {MESSAGES} messages in a second");
            self.service.tell(&self.outbox, &ToClient::Error(ErrorCode::TooManyRequests.code(), &sentence));
        }
        is_too_much
    }

    fn said(&mut self, message: FromClient<'_>) -> Result<(), Disconnect> {
        let is_too_much = self.is_too_much();
        self.service.metrics.received.inc(match message {
            FromClient::Join(_) => ClientCommand::Subscribe,
            FromClient::Leave => ClientCommand::Unsubscribe,
            FromClient::Cursor(_) => ClientCommand::Cursor,
            FromClient::Selection(_) => ClientCommand::Selection,
            FromClient::Heartbeat => ClientCommand::Ping,
        });
        if let Some(client) = &self.client
            && (!matches!(message, FromClient::Cursor(_)) || client.last_message() + NEWS_AFTER <= tick_ms())
        {
            self.gateway().hub.registry.touch(client);
        }
        match message {
            FromClient::Cursor(place) => {
                let is_here = self.seat.as_ref().is_some_and(|seat| seat.moved(place));
                self.unless(is_here);
            }
            _ if is_too_much => {}
            FromClient::Join(join) => return self.join(&join),
            FromClient::Leave => self.leave(),
            FromClient::Selection(selection) if selection.len() > SELECTION => {
                let sentence = format!("a selection has at most {SELECTION} bytes");
                self.service.refuse_as(&self.outbox, Rejection::TooLarge, 107, &sentence);
            }
            FromClient::Selection(selection) => {
                let is_here = self.seat.as_ref().is_some_and(|seat| seat.selected(selection));
                self.unless(is_here);
            }
            FromClient::Heartbeat => {}
        }
        Ok(())
    }

    /// Tells a client once that it is on no board. What it sends before it is welcomed comes too early.
    fn unless(&mut self, is_here: bool) {
        if is_here {
            return;
        }
        self.service.count(Rejection::NotSubscribed);
        let is_waiting = self.asking.is_some() || self.seat.as_ref().is_some_and(Seat::is_taken);
        if !is_waiting && !std::mem::replace(&mut self.was_told, true) {
            let code = ErrorCode::NotAvailable.code();
            self.service.tell(&self.outbox, &ToClient::Error(code, "on no board: join first"));
        }
    }

    fn join(&mut self, join: &Join<'_>) -> Result<(), Disconnect> {
        if self.asking.is_some() || self.seat.as_ref().is_some_and(Seat::is_taken) {
            self.service.refuse(&self.outbox, ErrorCode::AlreadySubscribed);
            return Ok(());
        }
        self.seat = None;
        if let Some(sentence) = check(join) {
            self.service.refuse_as(&self.outbox, Rejection::Malformed, 107, sentence);
            return Ok(());
        }
        let wanted = Wanted {
            channel: format!("{}{}", self.service.settings.channel_prefix, join.board),
            user: join.user.to_owned(),
            name: join.name.to_owned(),
            colour: join.colour,
            pass: join.pass.to_owned(),
        };
        if self.client.is_some() {
            self.ask_to_join(wanted);
            return Ok(());
        }
        let service = self.service.clone();
        let hook = service.gateway.hooks.connect.as_ref();
        if let Some(hook) = hook
            && hook.instead_of_token
        {
            self.ask_to_connect(hook, join.token, None, wanted);
            return Ok(());
        }
        let identity = service.gateway.identify(join.token)?;
        if let Some(hook) = hook {
            self.ask_to_connect(hook, join.token, Some(identity), wanted);
            return Ok(());
        }
        self.let_in(ClientId::generate(), identity, None)?;
        self.ask_to_join(wanted);
        Ok(())
    }

    /// Makes it a client, whose connection ends at `end` by a hook.
    fn let_in(&mut self, id: ClientId, identity: Identity, end: Option<u64>) -> Result<(), Disconnect> {
        let service = self.service.clone();
        self.expires_at = [identity.expires_at, end].into_iter().flatten().min();
        let (outbox, encoder) = (self.outbox.clone(), service.encoder.clone());
        self.client = Some(service.gateway.connect(id, identity, EndpointKind::Presence, outbox, encoder)?);
        service.metrics.connects.inc();
        service.metrics.connections.inc();
        self.is_no_newcomer();
        self.begun += 1;
        self.hear_announcements();
        Ok(())
    }

    /// Subscribes to what all clients of the endpoint are told, where there is such a channel.
    fn hear_announcements(&self) {
        if let (Some(client), Some(channel)) = (&self.client, &self.service.settings.announcements) {
            let service = self.service.clone();
            self.gateway().subscribe(client, channel, "", None, None, move |outcome| {
                if let Some(rejection) = outcome.err().and_then(ErrorCode::rejection) {
                    service.count(rejection);
                }
            });
        }
    }

    fn is_no_newcomer(&mut self) {
        if let Some(number) = self.newcomer.take() {
            self.service.gateway.no_newcomer(number);
        }
    }

    /// Takes a number on the board and subscribes to its channel, with what a hook says of the member.
    fn sit_down(&mut self, wanted: &Wanted, info: Option<Bytes>) {
        let Some(client) = self.client.clone() else { return };
        let gateway = self.gateway().clone();
        if !client.user.is_empty() && !wanted.user.is_empty() && *client.user != *wanted.user {
            let sentence = "the user is another than the token's: leave it empty";
            self.service.refuse_as(&self.outbox, Rejection::PermissionDenied, 103, sentence);
            return;
        }
        let channel = match gateway.channel(&wanted.channel) {
            Ok(channel) => channel,
            Err(error) => return self.service.refuse(&self.outbox, error),
        };
        if client.standing_in(&channel).0 {
            // The server has subscribed it, which makes nobody a member.
            gateway.unsubscribe(&client, &channel);
        }
        let user = if client.user.is_empty() { &*wanted.user } else { &*client.user };
        let about = About { user: user.into(), name: wanted.name.as_str().into(), colour: wanted.colour };
        let seat = self.service.boards.seat(&channel, client.id, about);
        let described = Described {
            origin: self.service.boards.origin(),
            number: seat.number,
            user: user.into(),
            name: wanted.name.as_str().into(),
            colour: wanted.colour,
        };
        let described = Bytes::from(described.write(info.as_deref()));
        let (claim, service, outbox) = (seat.claim(), self.service.clone(), self.outbox.clone());
        self.seat = Some(seat);
        self.was_told = false;
        gateway.subscribe(&client, channel.as_str(), &wanted.pass, Some(described), None, move |outcome| {
            match outcome {
                Ok(_) => {
                    if let Some(message) = claim.enter() {
                        let mut frame = Vec::new();
                        encoder::write_binary(&message, &mut frame);
                        // A full outbox closes itself.
                        let _ = outbox.push(&frame);
                        claim.tell_whether_alone(&outbox);
                    }
                }
                // One that has left meanwhile is told that it has left.
                Err(error) if claim.leave() => service.refuse(&outbox, error),
                Err(_) => {}
            }
        });
        self.begun += 1;
    }

    fn leave(&mut self) {
        let was_asking = self.asking.take().is_some();
        match self.stand_up() || was_asking {
            true => self.service.tell(&self.outbox, &ToClient::Left(AS_ASKED.0, AS_ASKED.1)),
            false => self.unless(false),
        }
    }

    /// Takes the client off its board; whether it was on one, or on its way there.
    fn stand_up(&mut self) -> bool {
        let Some(seat) = self.seat.take() else { return false };
        let was_taken = seat.is_taken();
        if let Some(client) = &self.client {
            self.gateway().unsubscribe(client, seat.channel());
        }
        was_taken
    }

    fn malformed(&self, why: Malformed) -> Disconnect {
        let why = format!("{why}: see the protocol switchboard-board.v1");
        self.service.refuse_as(&self.outbox, Rejection::Malformed, ErrorCode::BadRequest.code(), &why);
        Disconnect::BadRequest
    }

    /// When the first of its tokens ends, in seconds since 1970.
    fn first_expiry(&self) -> Option<u64> {
        let subscription = self.client.as_ref().and_then(|client| client.first_expiry());
        [self.expires_at, subscription].into_iter().flatten().min()
    }

    /// The time until it is taken off its board unless it does something.
    fn idle_in(&self) -> Option<Duration> {
        let timeout = Some(self.service.settings.idle_timeout).filter(|timeout| !timeout.is_zero())?;
        Some(timeout.saturating_sub(self.seat.as_ref()?.idle()?))
    }
}

/// What is wrong with who wants to join, if something is.
fn check(join: &Join<'_>) -> Option<&'static str> {
    let is_plain = |text: &str| text.len() <= NAME && !text.chars().any(char::is_control);
    if !is_plain(join.user) {
        return Some("a user has at most 128 bytes and no control characters");
    }
    if join.name.is_empty() || !is_plain(join.name) {
        return Some("a name has 1 to 128 bytes and no control characters");
    }
    if join.board.is_empty() {
        return Some("a board has a name");
    }
    None
}

impl Drop for Talk {
    fn drop(&mut self) {
        // A client that was to be closed may be gone, or cut off, before it could be told.
        self.end(self.outbox.closing().unwrap_or(Disconnect::Gone));
    }
}
