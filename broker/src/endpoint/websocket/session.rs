//! What the commands of one client do.

use std::{
    cell::RefCell,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;

use super::Endpoint;
use crate::{
    auth::AuthError,
    backplane::{Ack, Member, count},
    codec::{
        centrifuge::{Command, Connect, Publish, Reply, Request, Rpc, Subscribe, single_line},
        websocket::write_text,
    },
    endpoint::{Disconnect, EndpointKind, ErrorCode, Gateway, Outbox},
    metrics::{Metrics, Rejection},
    registry::{Client, now_ms},
};

/// The state of one client's conversation.
pub struct Session {
    endpoint: Arc<Endpoint>,
    outbox: Arc<Outbox>,
    client: Option<Arc<Client>>,
    /// The number as a newcomer, until the client has said who it is.
    newcomer: Option<usize>,
    /// When the client's token expires, in seconds since 1970.
    token_expires: Option<u64>,
    /// Before this nothing expires, neither that token nor one of a subscription, in seconds since 1970.
    expires: Option<u64>,
    /// The token had expired, so that what the client sent with it is passed over.
    turned_away: bool,
    ponged: bool,
    ended: bool,
}

thread_local! {
    static REPLY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A reply buffer that has grown past this is given back.
const REPLY_KEPT: usize = 256 * 1024;

/// Puts a reply into an outbox, if an outbox can hold it at all: one that it cannot hold would close the client,
/// which would come back and ask again.
fn try_answer(outbox: &Outbox, id: u32, reply: &Reply<'_>) -> Result<(), ErrorCode> {
    REPLY.with_borrow_mut(|frame| {
        frame.clear();
        reply.write_frame(id, frame);
        let fits = frame.len() <= outbox.limit();
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
fn answer(outbox: &Outbox, id: u32, reply: &Reply<'_>) {
    let _ = try_answer(outbox, id, reply);
}

/// Counts a refusal and answers with it.
fn refuse(metrics: &Metrics, outbox: &Outbox, id: u32, error: ErrorCode) {
    if let Some(rejection) = error.rejection() {
        metrics.rejected.inc(rejection);
    }
    answer(outbox, id, &Reply::Error(error));
}

impl Session {
    /// A conversation that has not begun.
    pub fn new(endpoint: Arc<Endpoint>, outbox: Arc<Outbox>) -> Self {
        let newcomer = Some(endpoint.gateway.newcomer(outbox.clone()));
        Self {
            endpoint,
            outbox,
            client: None,
            newcomer,
            token_expires: None,
            expires: None,
            turned_away: false,
            ponged: false,
            ended: false,
        }
    }

    fn gateway(&self) -> &Arc<Gateway> {
        &self.endpoint.gateway
    }

    /// Whether the client has said who it is.
    pub fn is_connected(&self) -> bool {
        self.client.is_some()
    }

    /// When to ask whether it [has expired](Session::is_expired), in seconds since 1970.
    pub fn expires(&self) -> Option<u64> {
        self.expires
    }

    /// The time until then; `None` when nothing expires.
    pub fn expires_in(&self) -> Option<Duration> {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.expires.map(|expires| Duration::from_secs(expires).saturating_sub(now()))
    }

    /// Whether a token has expired: the client's, or that of a subscription that there still is.
    pub fn is_expired(&mut self) -> bool {
        if self.expires_in() == Some(Duration::ZERO) {
            let of_subscriptions = self.client.as_ref().and_then(|client| client.first_expiry());
            self.expires = [self.token_expires, of_subscriptions].into_iter().flatten().min();
        }
        self.expires_in() == Some(Duration::ZERO)
    }

    /// Sends a ping: the empty object.
    pub fn ping(&mut self) {
        self.ponged = false;
        let mut frame = Vec::new();
        write_text(&mut frame, |out| out.extend_from_slice(b"{}"));
        let _ = self.outbox.push(&frame);
    }

    /// Whether a pong came since the last ping.
    pub fn take_pong(&mut self) -> bool {
        std::mem::take(&mut self.ponged)
    }

    /// Handles the commands of one text message.
    pub fn text(&mut self, text: &str) -> Result<(), Disconnect> {
        let mut commands = Command::read_all(text).peekable();
        if commands.peek().is_none() {
            return Err(self.malformed("a message without a command"));
        }
        self.turned_away = false;
        if let Some(client) = &self.client {
            self.gateway().hub.registry.touch(client);
        }
        for command in commands {
            let command = command.map_err(|error| self.malformed(&error.to_string()))?;
            self.command(command)?;
        }
        Ok(())
    }

    fn malformed(&self, why: &str) -> Disconnect {
        tracing::debug!(why, "a command cannot be read");
        self.gateway().hub.metrics.rejected.inc(Rejection::Malformed);
        Disconnect::BadRequest
    }

    fn command(&mut self, command: Command<'_>) -> Result<(), Disconnect> {
        let id = command.id;
        let request = command.request();
        self.endpoint.metrics.received.inc(request.kind());
        if self.client.is_some() && matches!(request, Request::Pong) {
            self.ponged = true;
            return Ok(());
        }
        let metrics = &self.gateway().hub.metrics;
        let Some(client) = &self.client else {
            return match request {
                Request::Connect(connect) if id > 0 => self.connect(id, &connect),
                // Clients send their subscribes with their connect: they will again, with the new token.
                _ if self.turned_away && !matches!(request, Request::Connect(_)) => Ok(()),
                // Too early: the first command says who the client is.
                _ => {
                    metrics.rejected.inc(Rejection::NotConnected);
                    Err(Disconnect::BadRequest)
                }
            };
        };
        let needs_id = !matches!(request, Request::Send(_));
        let is_second_connect = matches!(request, Request::Connect(_));
        if is_second_connect || needs_id && id == 0 {
            metrics.rejected.inc(match is_second_connect {
                true => Rejection::AlreadyConnected,
                false => Rejection::Malformed,
            });
            return Err(Disconnect::BadRequest);
        }
        let outcome = match request {
            Request::Publish(publish) => self.publish(client, id, &publish),
            Request::Subscribe(subscribe) => {
                let expires = self.subscribe(client, id, &subscribe);
                // A connection does not outlive a token of its subscriptions: the client comes back with a new one.
                // How the subscription ends, and when, is asked when the time has come.
                self.expires = [self.expires, expires].into_iter().flatten().min();
                return Ok(());
            }
            Request::Unsubscribe(unsubscribe) => {
                self.gateway().channel(&unsubscribe.channel).map(|channel| {
                    self.gateway().unsubscribe(client, &channel);
                    answer(&self.outbox, id, &Reply::Unsubscribe);
                })
            }
            Request::Presence(presence) => {
                self.presence(client, id, &presence.channel, |members, id, outbox| {
                    try_answer(outbox, id, &Reply::Presence(members))
                })
            }
            Request::PresenceStats(stats) => {
                self.presence(client, id, &stats.channel, |members, id, outbox| {
                    let (clients, users) = count(members);
                    try_answer(outbox, id, &Reply::PresenceStats { clients, users })
                })
            }
            Request::Ping => {
                answer(&self.outbox, id, &Reply::Ping);
                Ok(())
            }
            Request::Send(send) => {
                let data = Bytes::from(single_line(send.data).into_owned());
                // There is no reply that could say how it went.
                if let Err(error) = self.gateway().send(client, data)
                    && let Some(rejection) = error.rejection()
                {
                    metrics.rejected.inc(rejection);
                }
                Ok(())
            }
            Request::Rpc(rpc) => self.rpc(client, id, &rpc),
            Request::NotOffered(_) => Err(ErrorCode::NotAvailable),
            Request::Unknown => Err(ErrorCode::MethodNotFound),
            Request::Pong | Request::Connect(_) => unreachable!("handled above"),
        };
        if let Err(error) = outcome {
            refuse(metrics, &self.outbox, id, error);
        }
        Ok(())
    }

    fn connect(&mut self, id: u32, connect: &Connect<'_>) -> Result<(), Disconnect> {
        let gateway = self.endpoint.gateway.clone();
        let identity = match gateway.auth.connect(&connect.token, now_ms() / 1000) {
            Ok(identity) => identity,
            Err(error) => {
                gateway.hub.metrics.rejected.inc(match error {
                    AuthError::NoToken => Rejection::NoToken,
                    AuthError::Invalid(_) => Rejection::InvalidToken,
                    AuthError::Expired => Rejection::ExpiredToken,
                });
                return match error {
                    // The client may come with a new token on this very connection.
                    AuthError::Expired => {
                        self.turned_away = true;
                        answer(&self.outbox, id, &Reply::Error(ErrorCode::TokenExpired));
                        Ok(())
                    }
                    AuthError::NoToken => Err(Disconnect::PermissionDenied),
                    AuthError::Invalid(_) => Err(Disconnect::InvalidToken),
                };
            }
        };
        self.token_expires = identity.expires_at;
        self.expires = identity.expires_at;
        let encoder = self.endpoint.encoder.clone();
        let client = gateway.connect(identity, EndpointKind::WebSocket, self.outbox.clone(), encoder)?;
        let node = gateway.hub.address.instance.as_str();
        let ping = self.endpoint.settings.ping_interval.as_secs();
        answer(&self.outbox, id, &Reply::Connect { client: client.id.to_string(), node, ping });
        self.endpoint.metrics.connects.inc();
        self.endpoint.metrics.connections.inc();
        self.client = Some(client);
        self.is_no_newcomer();
        Ok(())
    }

    fn is_no_newcomer(&mut self) {
        if let Some(number) = self.newcomer.take() {
            self.endpoint.gateway.no_newcomer(number);
        }
    }

    fn subscribe(&self, client: &Arc<Client>, id: u32, subscribe: &Subscribe<'_>) -> Option<u64> {
        let (outbox, metrics) = (self.outbox.clone(), self.gateway().hub.metrics.clone());
        self.gateway().subscribe(client, &subscribe.channel, &subscribe.token, move |outcome| match outcome {
            Ok(()) => answer(&outbox, id, &Reply::Subscribe),
            Err(error) => refuse(&metrics, &outbox, id, error),
        })
    }

    fn publish(&self, client: &Arc<Client>, id: u32, publish: &Publish<'_>) -> Result<(), ErrorCode> {
        let data = Bytes::copy_from_slice(single_line(publish.data).as_bytes());
        let (outbox, gateway) = (self.outbox.clone(), self.gateway().clone());
        let ack = Ack::then(move |outcome| match outcome {
            Ok(()) => answer(&outbox, id, &Reply::Publish),
            Err(error) => {
                gateway.hub.metrics.publish_failures.inc(error.into());
                answer(&outbox, id, &Reply::Error(ErrorCode::Internal));
            }
        });
        self.gateway().publish(client, &publish.channel, data, ack)
    }

    fn presence(
        &self,
        client: &Arc<Client>,
        id: u32,
        channel: &str,
        reply: fn(&[Member], u32, &Outbox) -> Result<(), ErrorCode>,
    ) -> Result<(), ErrorCode> {
        let channel = self.gateway().presence_channel(client, channel)?;
        let (gateway, outbox) = (self.gateway().clone(), self.outbox.clone());
        self.ask(async move {
            let members = gateway.backplane.presence(&channel).await.map_err(|_| ErrorCode::Internal);
            if let Err(error) = members.and_then(|members| reply(&members, id, &outbox)) {
                refuse(&gateway.hub.metrics, &outbox, id, error);
            }
        })
    }

    /// Answers on a task of its own what takes a while, unless too much of that is under way.
    fn ask(&self, answering: impl Future<Output = ()> + Send + 'static) -> Result<(), ErrorCode> {
        let questions = self.endpoint.questions.clone();
        let under_way = questions.try_acquire_owned().map_err(|_| ErrorCode::TooManyRequests)?;
        tokio::spawn(async move {
            answering.await;
            drop(under_way);
        });
        Ok(())
    }

    /// Calls a logic module.
    fn rpc(&self, client: &Arc<Client>, id: u32, rpc: &Rpc<'_>) -> Result<(), ErrorCode> {
        let data = rpc.data.map_or("null".into(), single_line);
        let (data, method) = (Bytes::from(data.into_owned()), rpc.method.clone().into_owned());
        let (gateway, client, outbox) = (self.gateway().clone(), client.clone(), self.outbox.clone());
        self.ask(async move {
            let answer = gateway.call(&client, &method, data).await;
            if let Err(error) = answer.and_then(|data| try_answer(&outbox, id, &Reply::Rpc(&data))) {
                refuse(&gateway.hub.metrics, &outbox, id, error);
            }
        })
    }

    /// The conversation is over, for this reason.
    pub fn end(&mut self, reason: Disconnect) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.is_no_newcomer();
        let gateway = &self.endpoint.gateway;
        self.endpoint.metrics.disconnects.inc(reason);
        if let Some(client) = self.client.take() {
            self.endpoint.metrics.connections.dec();
            gateway.disconnected(&client);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A client that was to be closed may be gone, or cut off, before it could be told.
        self.end(self.outbox.closing().unwrap_or(Disconnect::Gone));
    }
}
