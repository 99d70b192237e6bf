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
    backplane::{Ack, Member},
    codec::{
        centrifuge::{Command, Connect, Publish, Reply, Request, Subscribe, single_line},
        websocket::write_text,
    },
    endpoint::{Disconnect, EndpointKind, ErrorCode, Gateway, Outbox},
    metrics::Rejection,
    registry::{Client, now_ms},
};

/// The state of one client's conversation.
pub struct Session {
    endpoint: Arc<Endpoint>,
    outbox: Arc<Outbox>,
    client: Option<Arc<Client>>,
    /// The number as a newcomer, until the client has said who it is.
    newcomer: Option<usize>,
    /// When the token expires, in seconds since 1970.
    expires: Option<u64>,
    ponged: bool,
    ended: bool,
}

thread_local! {
    static REPLY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Puts a reply into an outbox. A full outbox closes itself, so there is nothing to do about a refusal.
fn answer(outbox: &Outbox, id: u32, reply: &Reply<'_>) {
    REPLY.with_borrow_mut(|frame| {
        frame.clear();
        reply.write_frame(id, frame);
        let _ = outbox.push(frame);
    });
}

impl Session {
    /// A conversation that has not begun.
    pub fn new(endpoint: Arc<Endpoint>, outbox: Arc<Outbox>) -> Self {
        let newcomer = Some(endpoint.gateway.newcomer(outbox.clone()));
        Self { endpoint, outbox, client: None, newcomer, expires: None, ponged: false, ended: false }
    }

    fn gateway(&self) -> &Arc<Gateway> {
        &self.endpoint.gateway
    }

    /// Whether the client has said who it is.
    pub fn is_connected(&self) -> bool {
        self.client.is_some()
    }

    /// When the connection ends unless it is renewed, in seconds since 1970.
    pub fn expires(&self) -> Option<u64> {
        self.expires
    }

    /// How long the token is still good for; `None` when it does not expire.
    pub fn expires_in(&self) -> Option<Duration> {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.expires.map(|expires| Duration::from_secs(expires).saturating_sub(now()))
    }

    /// Whether the token has expired.
    pub fn is_expired(&self) -> bool {
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
                    answer(outbox, id, &Reply::Presence(members));
                })
            }
            Request::PresenceStats(stats) => {
                self.presence(client, id, &stats.channel, |members, id, outbox| {
                    let (clients, users) = count(members);
                    answer(outbox, id, &Reply::PresenceStats { clients, users });
                })
            }
            Request::Ping => {
                answer(&self.outbox, id, &Reply::Ping);
                Ok(())
            }
            Request::Send(_) => {
                // There is no logic module that it could go to, and no reply that could say so.
                metrics.rejected.inc(Rejection::NotAvailable);
                Ok(())
            }
            Request::NotOffered(_) => Err(ErrorCode::NotAvailable),
            Request::Unknown => Err(ErrorCode::MethodNotFound),
            Request::Pong | Request::Connect(_) => unreachable!("handled above"),
        };
        if let Err(error) = outcome {
            metrics.rejected.inc(error.rejection());
            answer(&self.outbox, id, &Reply::Error(error));
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
                        answer(&self.outbox, id, &Reply::Error(ErrorCode::TokenExpired));
                        Ok(())
                    }
                    AuthError::NoToken => Err(Disconnect::PermissionDenied),
                    AuthError::Invalid(_) => Err(Disconnect::InvalidToken),
                };
            }
        };
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
            Err(error) => {
                metrics.rejected.inc(error.rejection());
                answer(&outbox, id, &Reply::Error(error));
            }
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
        reply: fn(&[Member], u32, &Outbox),
    ) -> Result<(), ErrorCode> {
        let channel = self.gateway().presence_channel(client, channel)?;
        let (gateway, outbox) = (self.gateway().clone(), self.outbox.clone());
        let questions = self.endpoint.questions.clone();
        let under_way = questions.try_acquire_owned().map_err(|_| ErrorCode::TooManyRequests)?;
        tokio::spawn(async move {
            let _under_way = under_way;
            match gateway.backplane.presence(&channel).await {
                Ok(members) => reply(&members, id, &outbox),
                Err(_) => answer(&outbox, id, &Reply::Error(ErrorCode::Internal)),
            }
        });
        Ok(())
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

/// Connections and distinct users among members.
fn count(members: &[Member]) -> (usize, usize) {
    #[derive(serde::Deserialize)]
    struct User<'a> {
        #[serde(borrow)]
        user: std::borrow::Cow<'a, str>,
    }
    let users = members.iter().filter_map(|member| serde_json::from_slice::<User<'_>>(&member.info).ok());
    let distinct: std::collections::HashSet<_> = users.map(|user| user.user).collect();
    (members.len(), distinct.len())
}
