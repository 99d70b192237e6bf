//! What the commands of one client do, whatever connection they come by.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Disconnect, ErrorCode, Gateway, Greeting, Outbox, Refusal};
use crate::{
    auth::{AuthError, Identity},
    backplane::{Ack, Member, count},
    channel::{Recover, Since},
    clock::now_ms,
    codec::centrifuge::{Command, Connect, Reply, Request, Rpc, Subscribe, single_line},
    message::ClientId,
    metrics::Rejection,
    registry::Client,
};

mod asking;
mod conversation;
mod expiry;
mod history;
mod service;

use asking::Asking;
use expiry::{Expiry, ttl};
pub use service::{Service, Settings, advice};

/// How long a client has to say who it is.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(15);

/// The state of one client's conversation.
pub struct Session {
    service: Arc<Service>,
    outbox: Arc<Outbox>,
    client: Option<Arc<Client>>,
    /// The number as a newcomer, until the client has said who it is.
    newcomer: Option<usize>,
    expiry: Expiry,
    /// While a hook is asked: what about, and the commands that wait. Most clients never have it.
    asking: Option<Box<Asking>>,
    /// The token had expired, or a hook refused it, so that what the client sent with it is passed over.
    turned_away: bool,
    ponged: bool,
    ended: bool,
}

impl Session {
    /// A conversation that has not begun.
    pub fn new(service: Arc<Service>, outbox: Arc<Outbox>) -> Self {
        let newcomer = Some(service.gateway.newcomer(outbox.clone()));
        Self {
            service,
            outbox,
            client: None,
            newcomer,
            expiry: Expiry::default(),
            asking: None,
            turned_away: false,
            ponged: false,
            ended: false,
        }
    }

    fn gateway(&self) -> &Arc<Gateway> {
        &self.service.gateway
    }

    /// Whether the client has said who it is.
    pub fn is_connected(&self) -> bool {
        self.client.is_some()
    }

    /// Sends a ping: the empty object.
    pub fn ping(&mut self) {
        self.ponged = false;
        let mut frame = Vec::new();
        self.service.encoder.frame(&mut frame, &mut |out| out.extend_from_slice(b"{}"));
        let _ = self.outbox.push(&frame);
    }

    /// Whether a pong came since the last ping.
    pub fn take_pong(&mut self) -> bool {
        std::mem::take(&mut self.ponged)
    }

    /// What comes now was not sent together with what came before.
    pub fn begin_message(&mut self) {
        match &mut self.asking {
            Some(asking) => asking.begin_message(),
            None => self.turned_away = false,
        }
    }

    /// Handles the commands of a text, of which there is one at least.
    ///
    /// # Errors
    /// Why the connection has to end; what was wrong has been counted.
    pub fn text(&mut self, text: &str) -> Result<(), Disconnect> {
        self.commands(Command::read_all(text))
    }

    /// Handles commands, of which there is one at least, as they are read.
    ///
    /// # Errors
    /// As [`Session::text`].
    pub fn commands<'a>(
        &mut self,
        commands: impl Iterator<Item = serde_json::Result<Command<'a>>>,
    ) -> Result<(), Disconnect> {
        let mut is_empty = true;
        for command in commands {
            is_empty = false;
            let command = command.map_err(|error| self.malformed(&error.to_string()))?;
            self.command(command)?;
        }
        if is_empty { Err(self.malformed("a message without a command")) } else { Ok(()) }
    }

    fn malformed(&self, why: &str) -> Disconnect {
        tracing::debug!(why, "a command cannot be read");
        self.service.count(Rejection::Malformed);
        Disconnect::BadRequest
    }

    fn command(&mut self, command: Command<'_>) -> Result<(), Disconnect> {
        if self.asking.is_some() {
            return self.wait_with(&command);
        }
        self.carry_out(command)
    }

    fn carry_out(&mut self, command: Command<'_>) -> Result<(), Disconnect> {
        let Command { id, request, .. } = command;
        self.service.metrics.received.inc(request.kind());
        if self.client.is_some() && matches!(request, Request::Pong) {
            self.ponged = true;
            return Ok(());
        }
        let Some(client) = &self.client else {
            return match request {
                Request::Connect(connect) if id > 0 => self.connect(id, &connect),
                // Clients send their subscribes with their connect: they will again, with the new token.
                _ if self.turned_away && !matches!(request, Request::Connect(_)) => Ok(()),
                // Too early: the first command says who the client is.
                _ => {
                    self.service.count(Rejection::NotConnected);
                    Err(Disconnect::BadRequest)
                }
            };
        };
        self.gateway().hub.registry.touch(client);
        let needs_id = !matches!(request, Request::Send(_));
        let is_second_connect = matches!(request, Request::Connect(_));
        if is_second_connect || needs_id && id == 0 {
            self.service.count(match is_second_connect {
                true => Rejection::AlreadyConnected,
                false => Rejection::Malformed,
            });
            return Err(Disconnect::BadRequest);
        }
        let outcome = match request {
            Request::Publish(publish) => match self.gateway().hooks.publish(&publish.channel) {
                None => {
                    let data = Bytes::copy_from_slice(single_line(publish.data).as_bytes());
                    self.publish(client, id, &publish.channel, data)
                }
                Some(hook) => self
                    .ask_to_publish(hook, client, id, &publish)
                    .map(|pending| self.asking.get_or_insert_default().ask(pending)),
            },
            Request::Subscribe(subscribe) => match self.gateway().hooks.subscribe(&subscribe.channel) {
                None => {
                    let expires_at = self.subscribe(client, id, &subscribe, None);
                    self.expiry.heed(expires_at);
                    return Ok(());
                }
                Some(hook) => self
                    .ask_to_subscribe(hook, client, id, *subscribe)
                    .map(|pending| self.asking.get_or_insert_default().ask(pending)),
            },
            Request::Unsubscribe(unsubscribe) => {
                let ended = self.gateway().channel(&unsubscribe.channel).map(|channel| {
                    self.gateway().unsubscribe(client, &channel);
                    self.service.answer(&self.outbox, id, &Reply::Unsubscribe);
                });
                ended.map_err(Refusal::from)
            }
            Request::Presence(presence) => {
                self.presence(client, id, &presence.channel, |members| Reply::Presence(members))
            }
            Request::PresenceStats(stats) => self.presence(client, id, &stats.channel, |members| {
                let (clients, users) = count(members);
                Reply::PresenceStats { clients, users }
            }),
            Request::Ping => {
                self.service.answer(&self.outbox, id, &Reply::Ping);
                Ok(())
            }
            Request::Send(send) => {
                let data = Bytes::from(single_line(send.data).into_owned());
                // There is no reply that could say how it went.
                if let Err(error) = self.gateway().send(client, data)
                    && let Some(rejection) = error.code().rejection()
                {
                    self.service.count(rejection);
                }
                Ok(())
            }
            Request::Rpc(rpc) => self.rpc(client, id, &rpc),
            Request::Refresh(refresh) => {
                self.expiry = self.refresh(client, id, &refresh)?;
                return Ok(());
            }
            Request::SubRefresh(refresh) => self
                .sub_refresh(client, id, &refresh)
                .map(|expiry| self.expiry = expiry)
                .map_err(Refusal::from),
            Request::History(history) => self.history(client, id, &history),
            Request::Unknown => Err(ErrorCode::MethodNotFound.into()),
            Request::Pong | Request::Connect(_) => unreachable!("handled above"),
        };
        if let Err(error) = outcome {
            self.service.refuse(&self.outbox, id, error);
        }
        Ok(())
    }

    fn connect(&mut self, id: u32, connect: &Connect<'_>) -> Result<(), Disconnect> {
        let service = self.service.clone();
        let hook = service.gateway.hooks.connect.as_ref();
        if let Some(hook) = hook
            && hook.instead_of_token
        {
            self.ask_to_connect(hook, id, connect, None);
            return Ok(());
        }
        let identity = match service.gateway.auth.connect(&connect.token, now_ms() / 1000) {
            Ok(identity) => identity,
            Err(error) => {
                service.count(match error {
                    AuthError::NoToken => Rejection::NoToken,
                    AuthError::Invalid(_) => Rejection::InvalidToken,
                    AuthError::Expired => Rejection::ExpiredToken,
                });
                return match error {
                    // The client may come with a new token on this very connection.
                    AuthError::Expired => {
                        self.turned_away = true;
                        service.answer(&self.outbox, id, &Reply::Error(ErrorCode::TokenExpired.into()));
                        Ok(())
                    }
                    AuthError::NoToken => Err(Disconnect::PermissionDenied),
                    AuthError::Invalid(_) => Err(Disconnect::InvalidToken),
                };
            }
        };
        if let Some(hook) = hook {
            self.ask_to_connect(hook, id, connect, Some(identity));
            return Ok(());
        }
        self.let_in(id, ClientId::generate(), identity, None)
    }

    /// Makes it a client, whose connection ends at `end` by a hook.
    fn let_in(
        &mut self,
        id: u32,
        client: ClientId,
        identity: Identity,
        end: Option<u64>,
    ) -> Result<(), Disconnect> {
        let service = self.service.clone();
        let expires_at = identity.expires_at;
        self.expiry = Expiry::of_connection(expires_at, end);
        let (outbox, encoder) = (self.outbox.clone(), service.encoder.clone());
        let client = service.gateway.connect(client, identity, service.kind, outbox, encoder)?;
        let node = service.gateway.hub.address.instance.as_str();
        let ping = Some(service.settings.ping_interval.as_secs()).filter(|ping| *ping > 0);
        let reply = Reply::Connect { client: client.id.to_string(), node, ping, ttl: ttl(expires_at) };
        service.answer(&self.outbox, id, &reply);
        service.metrics.connects.inc();
        service.metrics.connections.inc();
        self.client = Some(client);
        self.turned_away = false;
        self.is_no_newcomer();
        Ok(())
    }

    fn is_no_newcomer(&mut self) {
        if let Some(number) = self.newcomer.take() {
            self.service.gateway.no_newcomer(number);
        }
    }

    /// Subscribes, with what a hook says of the client; gives when the token expires, however that ends.
    fn subscribe(
        &self,
        client: &Arc<Client>,
        id: u32,
        subscribe: &Subscribe<'_>,
        info: Option<Bytes>,
    ) -> Option<u64> {
        let (outbox, service) = (self.outbox.clone(), self.service.clone());
        let (channel, token) = (&*subscribe.channel, &*subscribe.token);
        let expires_at = self.end_of_grant(client, channel, token);
        let recover = subscribe.recover.then(|| Recover {
            since: Since::new(subscribe.offset, &subscribe.epoch),
            // Half of what a reply may be: what comes right behind it has to have room too.
            room: outbox.limit().min(service.settings.reply_size) / 2,
        });
        outbox.expect();
        self.gateway().subscribe(client, channel, token, info, recover, move |outcome| match outcome {
            Ok(arrival) => {
                let reply = Reply::Subscribe { ttl: ttl(expires_at), arrival: arrival.as_deref() };
                service.answer(&outbox, id, &reply);
            }
            Err(error) => service.refuse(&outbox, id, error),
        })
    }

    fn publish(&self, client: &Arc<Client>, id: u32, channel: &str, data: Bytes) -> Result<(), Refusal> {
        let (outbox, service) = (self.outbox.clone(), self.service.clone());
        let ack = Ack::then(move |outcome| match outcome {
            Ok(()) => service.answer(&outbox, id, &Reply::Publish),
            Err(error) => {
                service.gateway.hub.metrics.publish_failures.inc(error.into());
                service.answer(&outbox, id, &Reply::Error(ErrorCode::Internal.into()));
            }
        });
        self.gateway().publish(client, channel, data, ack)
    }

    /// Asks who is in a channel, and answers with what `reply` makes of it.
    fn presence(
        &self,
        client: &Arc<Client>,
        id: u32,
        channel: &str,
        reply: fn(&[Member]) -> Reply<'_>,
    ) -> Result<(), Refusal> {
        let channel = self.gateway().presence_channel(client, channel)?;
        let (service, outbox) = (self.service.clone(), self.outbox.clone());
        self.ask(async move {
            let members = service.gateway.backplane.presence(&channel).await.map_err(|_| ErrorCode::Internal);
            let answer = |members: Vec<Member>| service.try_answer(&outbox, id, &reply(&members));
            if let Err(error) = members.and_then(answer) {
                service.refuse(&outbox, id, error);
            }
        })
    }

    /// Calls a logic module.
    fn rpc(&self, client: &Arc<Client>, id: u32, rpc: &Rpc<'_>) -> Result<(), Refusal> {
        let data = rpc.data.map_or("null".into(), single_line);
        let (data, method) = (Bytes::from(data.into_owned()), rpc.method.clone().into_owned());
        let (service, client, outbox) = (self.service.clone(), client.clone(), self.outbox.clone());
        self.ask(async move {
            let answer = service.gateway.call(&client, &method, data).await;
            let answered = answer.and_then(|data| Ok(service.try_answer(&outbox, id, &Reply::Rpc(&data))?));
            if let Err(error) = answered {
                service.refuse(&outbox, id, error);
            }
        })
    }

    /// Answers on a task of its own what takes a while, unless too much of that is under way.
    fn ask(&self, answering: impl Future<Output = ()> + Send + 'static) -> Result<(), Refusal> {
        let under_way = self.service.question()?;
        tokio::spawn(async move {
            answering.await;
            drop(under_way);
        });
        Ok(())
    }

    /// The conversation is over, for this reason.
    pub fn end(&mut self, reason: Disconnect) {
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
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A client that was to be closed may be gone, or cut off, before it could be told.
        self.end(self.outbox.closing().unwrap_or(Disconnect::Gone));
    }
}
