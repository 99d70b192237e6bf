//! Events that clients are to answer, on whatever instance they are.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::{sync::oneshot, time::timeout};

use super::{
    Endpoint,
    reply::Reply,
    session::{Joined, Session},
};
use crate::{
    backplane::Excluded,
    cluster::{Answered, AskError, Asked, Asking, ClientAnswer},
    codec::socketio::{Event, write_event},
    endpoint::{EndpointKind, Refusal},
    message::{Address, ClientId},
    registry::Client,
};

mod elsewhere;

pub(super) use elsewhere::read;

/// How many events one connection may have to answer at a time.
const OPEN: usize = 64;

/// What an answer takes beside its own bytes, of what is kept of all.
const BESIDE: usize = 64;

/// What a connection was asked and has not answered.
#[derive(Default)]
pub(super) struct Unanswered {
    last: AtomicU64,
    open: Mutex<HashMap<u64, oneshot::Sender<Box<str>>>>,
}

impl Unanswered {
    /// The number of something that it is asked, and its answer; nothing when it has enough to answer.
    fn ask(&self) -> Option<(u64, oneshot::Receiver<Box<str>>)> {
        let mut open = self.open.lock();
        if open.len() >= OPEN {
            return None;
        }
        let (number, (tell, told)) = (self.last.fetch_add(1, Ordering::Relaxed), oneshot::channel());
        open.insert(number, tell);
        Some((number, told))
    }

    /// An answer has come; whether it was asked.
    pub(super) fn answered(&self, number: u64, json: &str) -> bool {
        let asked = self.open.lock().remove(&number);
        asked.map(|tell| tell.send(json.into())).is_some()
    }

    /// It will not answer any more.
    pub(super) fn end(&self) {
        self.open.lock().clear();
    }
}

/// What the clients of one instance answered, as instances tell each other.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Answers {
    /// The first argument of each answer.
    answers: Vec<Box<RawValue>>,
    /// Whose they are, in their order. An instance of an earlier version does not say.
    #[serde(default)]
    clients: Vec<ClientId>,
    /// How many have not answered in time, or what is not kept.
    missing: usize,
    /// How many of these have answered.
    #[serde(default)]
    cut: usize,
}

impl Session {
    /// Asks all that are in a room but the client itself, who is told what they answered.
    ///
    /// # Errors
    /// Why they are not asked.
    pub(super) fn ask_room(
        self: &Arc<Self>,
        joined: &Joined,
        channel: &str,
        data: Bytes,
        reply: &Reply,
    ) -> Result<(), Refusal> {
        let (channel, data) = self.endpoint.gateway.examine(&joined.client, channel, data)?;
        let (endpoint, client, reply_to) = (self.endpoint.clone(), joined.client.id, reply.clone());
        self.spawn(reply, async move {
            let whom = Asked::Channel(channel, None);
            // Those who are here are asked also while nobody knows where the others are.
            let others = endpoint.others_with(&whom).await.unwrap_or_default();
            let within = endpoint.settings.endpoint.ack_timeout.get();
            let answered = endpoint.ask_all(&whom, others, Some(client), &data, within).await;
            let mut fields = String::from(r#","answers":["#);
            for (number, answer) in answered.answers.iter().enumerate() {
                fields.push_str(if number > 0 { "," } else { "" });
                fields.push_str(answer.data.get());
            }
            fields.push_str(&format!(r#"],"missing":{}"#, answered.missing + answered.cut));
            reply_to.with(fields).ok();
        });
        Ok(())
    }
}

impl Endpoint {
    /// Asks for the backend, or for logic.
    ///
    /// # Errors
    /// Why nobody is asked.
    pub(super) async fn ask_for_backend(&self, asking: Asking) -> Result<Answered, AskError> {
        let Asking { whom, event, within } = asking;
        let text = std::str::from_utf8(&event).map_err(|_| AskError::NoEvent("it is no text"))?;
        Event::read(text).map_err(|malformed| AskError::NoEvent(malformed.0))?;
        let Ok(under_way) = self.questions.try_acquire() else { return Err(AskError::Busy) };
        let others = self.others_with(&whom).await?;
        let within = within.unwrap_or(self.settings.endpoint.ack_timeout.get());
        let mut answered = self.ask_all(&whom, others, None, &event, within).await;
        if let Asked::Clients(clients) = &whom {
            // Whoever is nowhere, or speaks another protocol.
            let counted = answered.answers.len() + answered.cut + answered.missing;
            answered.missing += clients.len().saturating_sub(counted);
        }
        drop(under_way);
        Ok(answered)
    }

    /// Asks clients here and on these other instances, but for one of this instance.
    async fn ask_all(
        &self,
        whom: &Asked,
        others: Vec<(Address, Asked)>,
        except: Option<ClientId>,
        data: &[u8],
        within: Duration,
    ) -> Answered {
        let (here, there) = tokio::join!(
            self.ask_here(whom, except, data, within),
            self.ask_elsewhere(others, data, within),
        );
        let mut all = Answered::default();
        // More than one client could be sent is not kept.
        let mut room = self.settings.outbox_size;
        let mut add = |Answers { answers, clients, missing, cut }: Answers| {
            all.missing += missing.saturating_sub(cut);
            all.cut += cut;
            let mut clients = clients.into_iter();
            for data in answers {
                let client = clients.next();
                match room.checked_sub(data.get().len() + BESIDE) {
                    Some(rest) => {
                        room = rest;
                        all.answers.push(ClientAnswer { client, data });
                    }
                    None => all.cut += 1,
                }
            }
        };
        add(here);
        for (instance, answers) in there {
            match answers {
                Some(answers) => add(answers),
                None => all.silent.push(instance.instance.to_string()),
            }
        }
        all
    }

    /// Asks clients of this instance, but for one.
    pub(super) async fn ask_here(
        &self,
        whom: &Asked,
        except: Option<ClientId>,
        data: &[u8],
        within: Duration,
    ) -> Answers {
        let (mut clients, mut bytes) = (Vec::new(), Vec::new());
        let excluded = match whom {
            Asked::Channel(_, Some(left_out)) => Some(Excluded::write(left_out, &mut bytes)),
            _ => None,
        };
        let mut add = |client: &Client| {
            let is_left_out = Some(client.id) == except || excluded.is_some_and(|others| others.has(client));
            if client.endpoint == EndpointKind::SocketIo && !is_left_out {
                clients.push(client.id);
            }
        };
        let hub = &self.gateway.hub;
        match whom {
            Asked::Channel(channel, _) => {
                if let Some(topic) = hub.channels.get(channel.as_str()) {
                    topic.for_each(|client| add(client));
                }
            }
            Asked::Clients(ids) => {
                ids.iter().filter_map(|id| hub.registry.get(*id)).for_each(|client| add(&client));
            }
        }
        let room = &AtomicUsize::new(self.settings.outbox_size);
        let asked = clients.into_iter().filter_map(|client| Some((client, self.sessions.of(client)?)));
        let answers = asked.map(|(client, (session, namespace))| async move {
            let (number, told) = session.asked.ask()?;
            let mut frame = Vec::with_capacity(data.len() + 32);
            write_event(&namespace.name, Some(number), data, &mut frame);
            let told = match session.outbox.push(&frame) {
                Ok(()) => timeout(within, told).await.ok().and_then(Result::ok),
                Err(_) => None,
            };
            session.asked.open.lock().remove(&number);
            let json = told?;
            let fits = |left: usize| left.checked_sub(json.len() + BESIDE);
            let is_kept = room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok();
            let data = if is_kept { RawValue::from_string(json.into()).ok() } else { None };
            Some((client, data))
        });
        let mut all = Answers::default();
        for answer in join_all(answers).await {
            match answer {
                Some((client, Some(data))) => {
                    all.clients.push(client);
                    all.answers.push(data);
                }
                came => {
                    all.missing += 1;
                    all.cut += usize::from(came.is_some());
                }
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_instance_of_an_earlier_version_answers_is_understood() {
        let answers: Answers = serde_json::from_str(r#"{"answers":[{"a":1},null],"missing":2}"#).unwrap();
        assert_eq!((answers.answers.len(), answers.missing, answers.cut), (2, 2, 0));
        assert!(answers.clients.is_empty());
    }
}
