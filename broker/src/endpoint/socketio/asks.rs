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
    codec::socketio::write_event,
    endpoint::{EndpointKind, Refusal},
    message::ClientId,
};

/// How many events one connection may have to answer at a time.
const OPEN: usize = 64;

/// What a connection was asked and has not answered.
#[derive(Default)]
pub(super) struct Asked {
    last: AtomicU64,
    open: Mutex<HashMap<u64, oneshot::Sender<Box<str>>>>,
}

impl Asked {
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

/// What clients answered.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Answers {
    /// The first argument of each answer.
    pub(super) answers: Vec<Box<RawValue>>,
    /// How many have not answered in time.
    pub(super) missing: usize,
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
            let within = endpoint.settings.endpoint.ack_timeout.get();
            let (mut answers, there) = tokio::join!(
                endpoint.ask_here(channel.as_str(), Some(client), &data, within),
                endpoint.ask_elsewhere(channel.as_str(), &data, within),
            );
            for Answers { answers: more, missing } in there {
                answers.answers.extend(more);
                answers.missing += missing;
            }
            let json = serde_json::to_string(&answers).unwrap_or_default();
            let fields = json.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
            reply_to.with(format!(",{fields}")).ok();
        });
        Ok(())
    }
}

impl Endpoint {
    /// Asks the clients of this instance that are in a channel, but for one.
    pub(super) async fn ask_here(
        &self,
        channel: &str,
        except: Option<ClientId>,
        data: &[u8],
        within: Duration,
    ) -> Answers {
        let mut clients = Vec::new();
        if let Some(topic) = self.gateway.hub.channels.get(channel) {
            topic.for_each(|client| {
                if client.endpoint == EndpointKind::SocketIo && Some(client.id) != except {
                    clients.push(client.id);
                }
            });
        }
        let asked = clients.into_iter().filter_map(|client| self.sessions.of(client));
        // More than one client could be sent is not kept.
        let room = &AtomicUsize::new(self.settings.outbox_size);
        let answers = asked.map(|(session, namespace)| async move {
            let (number, told) = session.asked.ask()?;
            let mut frame = Vec::with_capacity(data.len() + 32);
            write_event(&namespace.name, Some(number), data, &mut frame);
            let told = match session.outbox.push(&frame) {
                Ok(()) => timeout(within, told).await.ok().and_then(Result::ok),
                Err(_) => None,
            };
            session.asked.open.lock().remove(&number);
            let told = told.filter(|json| {
                let fits = |left: usize| left.checked_sub(json.len());
                room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
            });
            told.and_then(|json| RawValue::from_string(json.into()).ok())
        });
        let (mut answers, all) = (Answers::default(), join_all(answers).await);
        for answer in all {
            match answer {
                Some(answer) => answers.answers.push(answer),
                None => answers.missing += 1,
            }
        }
        answers
    }
}
