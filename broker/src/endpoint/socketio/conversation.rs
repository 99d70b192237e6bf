//! What the packets of a client do, whatever transport they come by.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Namespace,
    acts::Way,
    reply::Reply,
    session::{Joined, Session},
};
use crate::{
    auth::Identity,
    codec::{
        engineio,
        socketio::{Kind, Packet, Partial, write_connect, write_connect_error, write_disconnect},
    },
    endpoint::{Disconnect, EndpointKind, ErrorCode, Farewell, Greeting},
    hooks::{Asked, Granted, Verdict},
    message::ClientId,
    metrics::{ClientCommand, Rejection},
};

/// Something that a hook is asked; what comes behind it waits.
pub(super) struct Pending {
    pub(super) asked: Asked,
    pub(super) about: About,
}

/// What is done if the hook allows it.
pub(super) enum About {
    /// The connection becomes a client of a namespace.
    Connect { namespace: Arc<Namespace>, id: ClientId, verified: Option<Identity> },
    /// A client joins a room.
    Join { reply: Reply, joined: Joined, channel: String, token: String },
    /// A client's event goes to a room.
    Publish { reply: Reply, joined: Joined, channel: String, data: Bytes, way: Way },
}

/// What a client says when it connects to a namespace. Has no `Debug`: tokens are secrets.
#[derive(Default, Deserialize)]
struct Auth<'a> {
    #[serde(default, borrow)]
    token: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    name: Option<&'a RawValue>,
    #[serde(default, borrow)]
    data: Option<&'a RawValue>,
}

impl Session {
    /// Carries out what a packet says; or what has to be asked before.
    ///
    /// # Errors
    /// Why the connection has to end; what was wrong has been counted.
    pub(super) fn handle(
        self: &Arc<Self>,
        packet: engineio::Packet<'_>,
    ) -> Result<Option<Pending>, Disconnect> {
        use engineio::Packet;
        match packet {
            Packet::Message(text) => self.message(text),
            Packet::Binary(bytes) => self.attachment(bytes),
            Packet::Pong => {
                self.endpoint.metrics.received.inc(ClientCommand::Pong);
                self.pong();
                Ok(None)
            }
            Packet::Noop => Ok(None),
            Packet::Close => Err(Disconnect::Gone),
            // Pings come from the server, and nothing moves to where it is.
            Packet::Ping(_) | Packet::Upgrade => Err(self.malformed("a packet out of its place")),
        }
    }

    pub(super) fn malformed(&self, why: &str) -> Disconnect {
        tracing::debug!(why, "a packet cannot be read");
        self.endpoint.count(Rejection::Malformed);
        Disconnect::BadRequest
    }

    fn message(self: &Arc<Self>, text: &str) -> Result<Option<Pending>, Disconnect> {
        let packet = Packet::read(text).map_err(|error| self.malformed(error.0))?;
        if self.state().partial.is_some() {
            return Err(self.malformed("attachments are missing"));
        }
        match packet.kind {
            Kind::Connect => self.connect(&packet),
            Kind::Disconnect => {
                self.disconnect(packet.namespace);
                Ok(None)
            }
            Kind::Event | Kind::Ack if packet.attachments > 0 => {
                self.joined_to(packet.namespace)?;
                self.state().partial = Some(Partial::begin(&packet));
                Ok(None)
            }
            kind => self.data(kind, packet.namespace, packet.id, packet.data),
        }
    }

    fn attachment(self: &Arc<Self>, bytes: Cow<'_, [u8]>) -> Result<Option<Pending>, Disconnect> {
        let limit = self.endpoint.max_payload();
        let complete = {
            let mut state = self.state();
            let Some(partial) = &mut state.partial else {
                drop(state);
                return Err(self.malformed("bytes that belong to no packet"));
            };
            if partial.size() + bytes.len() > limit {
                state.partial = None;
                drop(state);
                self.endpoint.count(Rejection::TooLarge);
                return Err(Disconnect::TooBig);
            }
            if partial.add(bytes) { state.partial.take() } else { None }
        };
        let Some(partial) = complete else { return Ok(None) };
        let json = partial.join().map_err(|error| self.malformed(error.0))?;
        self.data(partial.kind, &partial.namespace, partial.id, &json)
    }

    /// The client that it is in a namespace.
    fn joined_to(&self, namespace: &str) -> Result<Joined, Disconnect> {
        let found = self.state().joined.iter().find(|joined| joined.namespace.name == namespace).cloned();
        found.ok_or_else(|| {
            self.endpoint.count(Rejection::NotConnected);
            Disconnect::BadRequest
        })
    }

    fn data(
        self: &Arc<Self>,
        kind: Kind,
        namespace: &str,
        id: Option<u64>,
        json: &str,
    ) -> Result<Option<Pending>, Disconnect> {
        let joined = self.joined_to(namespace)?;
        self.endpoint.gateway.hub.registry.touch(&joined.client);
        match (kind, id) {
            (Kind::Event, id) => self.act(joined, id, json),
            (_, Some(id)) => {
                let args: Vec<&RawValue> =
                    serde_json::from_str(json).map_err(|_| self.malformed("an answer is a JSON array"))?;
                if !self.asked.answered(id, args.first().map_or("null", |first| first.get())) {
                    self.endpoint.count(Rejection::UnknownCommand);
                }
                Ok(None)
            }
            (_, None) => Err(self.malformed("an answer to nothing")),
        }
    }

    /// The client goes out of a namespace by itself.
    fn disconnect(&self, namespace: &str) {
        self.leave(|joined| joined.namespace.name == namespace, Disconnect::Gone);
    }

    /// A client has to go out of its namespace, for a reason that keeps it away, and is told; its connection stays. Whether
    /// it was there.
    pub(super) fn expel(&self, client: ClientId, reason: Disconnect) -> bool {
        // First, so that nothing of the namespace comes after its end was told.
        let Some(joined) = self.leave(|joined| joined.client.id == client, reason) else { return false };
        let mut frame = Vec::new();
        write_disconnect(&joined.namespace.name, &mut frame);
        let _ = self.outbox.push(&frame);
        true
    }

    /// A client is in its namespace no more, for this reason.
    fn leave(&self, is_meant: impl Fn(&Joined) -> bool, reason: Disconnect) -> Option<Joined> {
        let joined = {
            let mut state = self.state();
            let at = state.joined.iter().position(is_meant)?;
            state.joined.swap_remove(at)
        };
        self.part(&joined, reason);
        self.changed.notify_one();
        Some(joined)
    }

    fn connect(self: &Arc<Self>, packet: &Packet<'_>) -> Result<Option<Pending>, Disconnect> {
        let endpoint = &self.endpoint;
        endpoint.metrics.received.inc(ClientCommand::Connect);
        let Some(namespace) = endpoint.namespaces.get(packet.namespace) else {
            endpoint.count(Rejection::UnknownChannel);
            let code = ErrorCode::UnknownChannel.code() as u16;
            self.not_connected(packet.namespace, &Farewell { code, reason: "Invalid namespace".into() });
            return Ok(None);
        };
        if self.state().joined.iter().any(|joined| joined.namespace.name == namespace.name) {
            endpoint.count(Rejection::AlreadyConnected);
            return Err(Disconnect::BadRequest);
        }
        let auth: Auth<'_> = match packet.data {
            "" => Auth::default(),
            json => serde_json::from_str(json)
                .map_err(|_| self.malformed("what a client connects with is a JSON object"))?,
        };
        let (gateway, token) = (&endpoint.gateway, auth.token.as_deref().unwrap_or_default());
        let hook = gateway.hooks.connect.as_ref();
        let verified = match hook.is_some_and(|hook| hook.instead_of_token) {
            true => None,
            false => match gateway.identify(token) {
                Ok(identity) => Some(identity),
                Err(reason) => {
                    self.not_connected(&namespace.name, &reason.into());
                    return Ok(None);
                }
            },
        };
        let id = ClientId::generate();
        match (hook, verified) {
            (Some(hook), verified) => {
                let greeting = Greeting { token, name: auth.name, data: auth.data };
                let kind = EndpointKind::SocketIo;
                let asked = gateway.ask_to_connect(hook, id, verified.as_ref(), kind, &greeting);
                let about = About::Connect { namespace: namespace.clone(), id, verified };
                Ok(Some(Pending { asked, about }))
            }
            (None, Some(identity)) => {
                self.let_in(namespace.clone(), id, identity, None);
                Ok(None)
            }
            (None, None) => Ok(None),
        }
    }

    fn not_connected(&self, namespace: &str, why: &Farewell) {
        let mut frame = Vec::new();
        write_connect_error(namespace, why, &mut frame);
        let _ = self.outbox.push(&frame);
    }

    /// Makes it a client of the namespace, whose time ends at `end` by a hook.
    fn let_in(
        self: &Arc<Self>,
        namespace: Arc<Namespace>,
        id: ClientId,
        identity: Identity,
        end: Option<u64>,
    ) {
        let (gateway, encoder) = (&self.endpoint.gateway, namespace.encoder.clone());
        let expires = [identity.expires_at, end].into_iter().flatten().min();
        let client = gateway.connect(id, identity, EndpointKind::SocketIo, self.outbox.clone(), encoder);
        let client = match client {
            Ok(client) => client,
            // Another instance will take it.
            Err(reason) => return self.outbox.close(reason),
        };
        let mut frame = Vec::new();
        write_connect(&namespace.name, &id.to_string(), &mut frame);
        let joined = Joined { namespace, client };
        let mut state = self.state();
        if !self.join(&mut state, joined.clone(), expires) {
            drop(state);
            return gateway.disconnected(&joined.client, Disconnect::Gone);
        }
        drop(state);
        let _ = self.outbox.push(&frame);
        self.endpoint.tell_newcomer_whether_alone(joined.client.id);
        self.endpoint.comes_online(&joined);
    }

    /// Waits for a hook's verdict, and does what it says.
    pub(super) async fn settled(self: &Arc<Self>, Pending { asked, about }: Pending) {
        let verdict = asked.await.unwrap_or(Verdict::Failed(ErrorCode::Internal));
        self.answered(about, verdict);
    }

    /// Does what a hook's verdict says.
    pub(super) fn answered(self: &Arc<Self>, about: About, verdict: Verdict) {
        let granted = match verdict {
            Verdict::Allowed(granted) => granted,
            refused => return self.not_allowed(about, refused),
        };
        match about {
            About::Connect { namespace, id, verified } => self.connected(namespace, id, verified, granted),
            About::Join { reply, joined, channel, token } => {
                self.enter(&joined, &channel, &token, granted.info, reply);
            }
            About::Publish { reply, joined, channel, data, way } => {
                self.emit(&joined, &channel, granted.data.unwrap_or(data), way, reply);
            }
        }
    }

    fn connected(
        self: &Arc<Self>,
        namespace: Arc<Namespace>,
        id: ClientId,
        verified: Option<Identity>,
        granted: Granted,
    ) {
        let hook = self.endpoint.gateway.hooks.connect.as_ref();
        match hook.and_then(|hook| hook.identity(verified, granted)) {
            Some((identity, end)) => self.let_in(namespace, id, identity, end),
            None => {
                self.endpoint.count(Rejection::NoToken);
                self.not_connected(&namespace.name, &Disconnect::PermissionDenied.into());
            }
        }
    }

    fn not_allowed(&self, about: About, verdict: Verdict) {
        let reply = match about {
            About::Connect { namespace, .. } => {
                let farewell = match verdict {
                    Verdict::Allowed(_) => return,
                    Verdict::Failed(error) => {
                        self.endpoint.count(error.rejection().unwrap_or(Rejection::Unavailable));
                        // It comes back by itself, and perhaps there is an answer then.
                        return self.outbox.close(Disconnect::ServerError);
                    }
                    Verdict::Ended(farewell) => farewell,
                    Verdict::Refused(refusal) => {
                        Farewell { code: refusal.code as u16, reason: refusal.message.into() }
                    }
                };
                self.endpoint.count(Rejection::Hook);
                return self.not_connected(&namespace.name, &farewell);
            }
            About::Join { reply, .. } | About::Publish { reply, .. } => reply,
        };
        match verdict {
            Verdict::Allowed(_) => {}
            Verdict::Refused(refusal) => {
                self.endpoint.count(Rejection::Hook);
                reply.refuse(refusal);
            }
            Verdict::Ended(farewell) => {
                self.endpoint.count(Rejection::Hook);
                self.outbox.close_with(farewell);
            }
            Verdict::Failed(error) => reply.refuse(error),
        }
    }
}
