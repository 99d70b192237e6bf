//! What the events of a client do, as the configuration says.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use futures_util::FutureExt;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    conversation::{About, Pending},
    reply::Reply,
    rule_of,
    session::{Joined, Session},
};
use crate::{
    backplane::Ack,
    clock::now_ms,
    codec::{
        centrifuge::write_string,
        socketio::{Event, binary::write_named, is_reserved, text},
    },
    config::{Act, EventRule},
    endpoint::{Disconnect, ErrorCode},
    message::MessageId,
    metrics::ClientCommand,
};

/// How an event goes to a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// To all that are in it.
    All,
    /// To all but who sent it.
    Others,
    /// To all but who sent it, who are to answer.
    Ask,
}

impl Session {
    /// Does what an event of a client says; or what has to be asked before.
    ///
    /// # Errors
    /// It is no event: the connection has to end.
    pub(super) fn act(
        self: &Arc<Self>,
        joined: Joined,
        id: Option<u64>,
        json: &str,
    ) -> Result<Option<Pending>, Disconnect> {
        let json = one_line(json);
        let event = Event::read(&json).map_err(|error| self.malformed(error.0))?;
        let reply = Reply::new(self, &joined.namespace, id);
        let received = &self.endpoint.metrics.received;
        let Some(rule) = rule_of(&self.endpoint, &joined.namespace.name, &event.name) else {
            received.inc(ClientCommand::Unknown);
            reply.refuse(ErrorCode::MethodNotFound);
            return Ok(None);
        };
        received.inc(match rule.act {
            Act::Join => ClientCommand::Subscribe,
            Act::Leave => ClientCommand::Unsubscribe,
            Act::Publish | Act::Forward | Act::Ask => ClientCommand::Publish,
            Act::Presence | Act::LastSeen => ClientCommand::Presence,
            Act::Call => ClientCommand::Rpc,
        });
        if rule.act == Act::Call {
            self.call(rule, &joined, &json, reply);
            return Ok(None);
        }
        let channel = match room(rule, &event) {
            Ok(room) => format!("{}{}{room}", joined.namespace.prefix, rule.prefix),
            Err(error) => {
                reply.refuse(error);
                return Ok(None);
            }
        };
        Ok(match rule.act {
            Act::Join => self.join_room(joined, channel, &event, reply),
            Act::Leave => {
                match self.endpoint.gateway.channel(&channel) {
                    Ok(channel) => {
                        self.endpoint.gateway.unsubscribe(&joined.client, &channel);
                        reply.ok();
                    }
                    Err(error) => reply.refuse(error),
                }
                None
            }
            Act::Presence => {
                self.presence(&joined, &channel, reply);
                None
            }
            Act::LastSeen => {
                self.last_seen(&joined, &channel, &event, reply);
                None
            }
            Act::Publish => {
                let way = if rule.to_sender { Way::All } else { Way::Others };
                match published(rule, &event, &json, &joined.client.user) {
                    (data, None) => self.publish(joined, channel, data, way, reply),
                    (data, Some(more)) => self.publish(joined, channel, data, way, reply.with(more)),
                }
            }
            Act::Forward | Act::Ask => match forwarded(&event) {
                Ok(data) => {
                    let way = match (rule.act, rule.to_sender) {
                        (Act::Ask, _) => Way::Ask,
                        (_, true) => Way::All,
                        (_, false) => Way::Others,
                    };
                    self.publish(joined, channel, data, way, reply)
                }
                Err(error) => {
                    reply.refuse(error);
                    None
                }
            },
            Act::Call => None,
        })
    }

    fn join_room(
        self: &Arc<Self>,
        joined: Joined,
        channel: String,
        event: &Event<'_>,
        reply: Reply,
    ) -> Option<Pending> {
        #[derive(Deserialize)]
        struct Options<'a> {
            #[serde(borrow)]
            token: Cow<'a, str>,
        }
        let token = event.args.iter().find_map(|arg| serde_json::from_str::<Options<'_>>(arg.get()).ok());
        let token = token.map(|options| options.token.into_owned()).unwrap_or_default();
        let gateway = &self.endpoint.gateway;
        let Some(hook) = gateway.hooks.subscribe(&channel) else {
            self.enter(&joined, &channel, &token, None, reply);
            return None;
        };
        match gateway.ask_to_subscribe(hook, &joined.client, &channel, &token) {
            Ok(asked) => {
                let about = About::Join { reply, joined, channel, token };
                Some(Pending { asked, about })
            }
            Err(error) => {
                entered(&reply, Err(error));
                None
            }
        }
    }

    /// Subscribes a client, of whom a hook may have said more.
    pub(super) fn enter(
        self: &Arc<Self>,
        joined: &Joined,
        channel: &str,
        token: &str,
        info: Option<Bytes>,
        reply: Reply,
    ) {
        let gateway = &self.endpoint.gateway;
        let tell = move |outcome: Result<_, _>| entered(&reply, outcome.map(drop));
        if gateway.subscribe(&joined.client, channel, token, info, None, tell).is_some() {
            self.changed.notify_one();
        }
    }

    fn publish(
        self: &Arc<Self>,
        joined: Joined,
        channel: String,
        data: Bytes,
        way: Way,
        reply: Reply,
    ) -> Option<Pending> {
        let gateway = &self.endpoint.gateway;
        let Some(hook) = gateway.hooks.publish(&channel) else {
            self.emit(&joined, &channel, data, way, reply);
            return None;
        };
        let asked = serde_json::from_slice(&data).map_err(|_| ErrorCode::BadRequest);
        match asked.and_then(|json| gateway.ask_to_publish(hook, &joined.client, &channel, json)) {
            Ok(asked) => Some(Pending { asked, about: About::Publish { reply, joined, channel, data, way } }),
            Err(error) => {
                reply.refuse(error);
                None
            }
        }
    }

    /// Has an event go to a room.
    pub(super) fn emit(
        self: &Arc<Self>,
        joined: &Joined,
        channel: &str,
        data: Bytes,
        way: Way,
        reply: Reply,
    ) {
        let (gateway, client) = (&self.endpoint.gateway, &joined.client);
        let ack = match reply.is_wanted() {
            false => Ack::ignore(),
            true => {
                let (reply, endpoint) = (reply.clone(), self.endpoint.clone());
                Ack::then(move |outcome| match outcome {
                    Ok(()) => reply.ok(),
                    Err(error) => {
                        endpoint.gateway.hub.metrics.publish_failures.inc(error.into());
                        reply.refuse(ErrorCode::Internal);
                    }
                })
            }
        };
        let outcome = match way {
            Way::All => gateway.publish(client, channel, data, ack),
            Way::Others => gateway.publish_to_others(client, channel, data, ack),
            Way::Ask => {
                ack.cancel();
                self.ask_room(joined, channel, data, &reply)
            }
        };
        if let Err(refusal) = outcome {
            reply.refuse(refusal);
        }
    }

    fn presence(self: &Arc<Self>, joined: &Joined, channel: &str, reply: Reply) {
        let gateway = self.endpoint.gateway.clone();
        let channel = match gateway.presence_channel(&joined.client, channel) {
            Ok(channel) => channel,
            Err(error) => return reply.refuse(error),
        };
        self.spawn(&reply.clone(), async move {
            match gateway.backplane.presence(&channel).await {
                Ok(members) => {
                    let mut more = String::from(r#","members":["#);
                    for (number, member) in members.iter().enumerate() {
                        more.push_str(if number > 0 { "," } else { "" });
                        more.push_str(&String::from_utf8_lossy(&member.info));
                    }
                    more.push(']');
                    reply.with(more).ok();
                }
                Err(_) => reply.refuse(ErrorCode::Internal),
            }
        });
    }

    /// Calls a logic module with an event.
    fn call(self: &Arc<Self>, rule: &EventRule, joined: &Joined, json: &str, reply: Reply) {
        let Some(logic) = rule.logic.clone() else { return };
        let (gateway, client) = (self.endpoint.gateway.clone(), joined.client.clone());
        let data = Bytes::copy_from_slice(json.as_bytes());
        if !reply.is_wanted() {
            if let Err(refusal) = gateway.hand(&client, &logic, data) {
                reply.refuse(refusal);
            }
            return;
        }
        let answer_to = reply.clone();
        let mut calling = async move {
            match gateway.call(&client, &logic, data).await {
                // What is a list are the arguments themselves.
                Ok(answer) if answer.starts_with(b"[") => reply.args(&answer),
                Ok(answer) => reply.args(&[b"[", &*answer, b"]"].concat()),
                Err(refusal) => reply.refuse(refusal),
            }
        }
        .boxed();
        // Begun here, so that calls reach a module in the order of their events.
        if (&mut calling).now_or_never().is_none() {
            self.spawn(&answer_to, calling);
        }
    }

    /// Does on a task of its own what takes a while, unless too much of that is under way.
    pub(super) fn spawn(&self, reply: &Reply, work: impl Future<Output = ()> + Send + 'static) {
        let Ok(under_way) = self.endpoint.questions.clone().try_acquire_owned() else {
            return reply.refuse(ErrorCode::TooManyRequests);
        };
        tokio::spawn(async move {
            work.await;
            drop(under_way);
        });
    }
}

/// Whoever is in a room is in it, however often it joins.
fn entered(reply: &Reply, outcome: Result<(), ErrorCode>) {
    match outcome {
        Ok(()) | Err(ErrorCode::AlreadySubscribed) => reply.ok(),
        Err(error) => reply.refuse(error),
    }
}

/// JSON whose raw line breaks, which stand between tokens only, are spaces.
fn one_line(json: &str) -> Cow<'_, str> {
    match memchr::memchr2(b'\n', b'\r', json.as_bytes()) {
        None => json.into(),
        Some(_) => json.replace(['\n', '\r'], " ").into(),
    }
}

/// The room that an event names: a text, or a number as it is written. One that stands by itself where the rule looks for
/// a field of an object is good too.
fn room(rule: &EventRule, event: &Event<'_>) -> Result<String, ErrorCode> {
    if rule.room.is_empty() {
        return Ok(String::new());
    }
    let mut parts = rule.room.split('/').skip(1);
    let first = parts.next().and_then(|index| index.parse::<usize>().ok());
    let mut value = first.and_then(|index| event.args.get(index).copied()).ok_or(ErrorCode::BadChannel)?;
    for part in parts {
        if !value.get().starts_with(['{', '[']) {
            break;
        }
        let name = part.replace("~1", "/").replace("~0", "~");
        let fields: BTreeMap<Cow<'_, str>, &RawValue> =
            serde_json::from_str(value.get()).map_err(|_| ErrorCode::BadChannel)?;
        value = fields.get(name.as_str()).copied().ok_or(ErrorCode::BadChannel)?;
    }
    if let Some(name) = text(value) {
        return Ok(name.into_owned());
    }
    let is_number = value.get().bytes().all(|c| c.is_ascii_digit());
    if is_number { Ok(value.get().to_owned()) } else { Err(ErrorCode::BadChannel) }
}

/// What an event becomes that is published with all its arguments, and what its sender is told beside.
fn published(rule: &EventRule, event: &Event<'_>, json: &str, user: &str) -> (Bytes, Option<String>) {
    if rule.emit.is_none() && !rule.stamp {
        return (Bytes::copy_from_slice(json.as_bytes()), None);
    }
    let mut args: Vec<Cow<'_, str>> = event.args.iter().map(|arg| arg.get().into()).collect();
    let mut told = None;
    if rule.stamp {
        let (id, time) = (MessageId::generate().0, now_ms());
        told = Some(format!(r#","id":"{id}","timestamp":{time}"#));
        let mut by = Vec::new();
        write_string(user, &mut by);
        let by = String::from_utf8_lossy(&by).into_owned();
        let first = args.first().map_or("null", |first| first);
        let stamped = stamped(first, &format!(r#""id":"{id}","timestamp":{time},"user":{by}"#));
        match args.first_mut() {
            Some(first) => *first = stamped.into(),
            None => args.push(stamped.into()),
        }
    }
    let name = rule.emit.as_deref().unwrap_or(&event.name);
    let mut data = Vec::with_capacity(json.len() + 128);
    write_named(name, args.join(",").as_bytes(), &mut data);
    (data.into(), told)
}

/// A JSON value with these fields, which stand for those that a client may have written; what is no object becomes the
/// field `value` of one.
fn stamped(json: &str, fields: &str) -> String {
    let parsed: Result<BTreeMap<Cow<'_, str>, &RawValue>, _> = serde_json::from_str(json);
    let Ok(own) = parsed else { return format!(r#"{{"value":{json},{fields}}}"#) };
    let mut out = vec![b'{'];
    for (name, value) in own.iter().filter(|(name, _)| !matches!(&***name, "id" | "timestamp" | "user")) {
        write_string(name, &mut out);
        out.push(b':');
        out.extend_from_slice(value.get().as_bytes());
        out.push(b',');
    }
    out.extend_from_slice(fields.as_bytes());
    out.push(b'}');
    String::from_utf8_lossy(&out).into_owned()
}

/// The event that stands behind the room among the arguments.
fn forwarded(event: &Event<'_>) -> Result<Bytes, ErrorCode> {
    let args = event.args.get(1..).unwrap_or_default();
    let name = args.first().and_then(|name| text(name)).ok_or(ErrorCode::BadRequest)?;
    if is_reserved(&name) {
        return Err(ErrorCode::BadRequest);
    }
    let args: Vec<_> = args.iter().map(|arg| arg.get()).collect();
    Ok(format!("[{}]", args.join(",")).into())
}

#[cfg(test)]
mod tests;
