//! The profile `chat`: who comes online and goes offline is told in a room that everybody is in, and when somebody was last
//! seen can be asked.
//!
//! Nobody goes at once: whoever is back within a while has never been away, on whatever instance. What is said of whom, and
//! who is to be told gone, stands in the backplane; one instance is given each departure and tells it.

use std::{
    collections::HashSet,
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::{FutureExt, future::join_all};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::{
    sync::oneshot,
    time::{MissedTickBehavior, interval},
};

use super::{
    Endpoint,
    reply::Reply,
    session::{Joined, OfClient, Session},
};
use crate::{
    backplane::{Ack, departures::user_of},
    clock::now_ms,
    codec::{centrifuge::write_string, socketio::Event},
    config::{ONLINE, Profile},
    endpoint::{ErrorCode, Phase},
    message::{Channel, ClientId, LogicName, Message, Source, Target},
    registry::Query,
};

/// How often departures are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Up to so many users are looked for by asking each instance; for more, all who are online are read.
const FEW: usize = 16;

/// How many users can be asked for at a time.
const ASKED_AT_ONCE: usize = 100;

impl Endpoint {
    fn tells_who_is_online(&self) -> bool {
        self.settings.endpoint.profile == Some(Profile::Chat)
    }

    /// Tells of departures from now on, if it is to. To be called before the backplane starts.
    pub(super) fn watch_departures(self: &Arc<Self>) {
        if !self.tells_who_is_online() {
            return;
        }
        let grace = self.settings.endpoint.offline_after.get();
        for namespace in self.namespaces.values() {
            if let Ok(room) = self.gateway.channel(&format!("{}{ONLINE}", namespace.prefix)) {
                self.gateway.backplane.departing().watch(&room, grace);
            }
        }
        tokio::spawn(tell_departures(Arc::downgrade(self)));
    }

    /// A client has come: it is in the room from now on, and the others are told if its user was not online before.
    pub(super) fn comes_online(self: &Arc<Self>, joined: &Joined) {
        if !self.tells_who_is_online() {
            return;
        }
        let (tell, told) = oneshot::channel();
        let room = format!("{}{ONLINE}", joined.namespace.prefix);
        self.gateway.subscribe(&joined.client, &room, "", None, None, move |outcome| {
            // Nobody wants to know when too many are coming.
            let _ = tell.send(outcome.is_ok());
        });
        let client = joined.client.clone();
        // Anonymous clients are nobody.
        if client.user.is_empty() {
            return;
        }
        let Ok(room) = self.gateway.channel(&room) else { return };
        // Nobody is told when too much is under way; who is there can be asked for.
        let Ok(under_way) = self.questions.clone().try_acquire_owned() else { return };
        let endpoint = self.clone();
        tokio::spawn(async move {
            let is_news = endpoint.gateway.backplane.departing().arrive(&room, &client.user).await;
            if is_news && told.await.is_ok_and(|is_in| is_in) {
                let now = now_ms();
                endpoint.announce(room, &client.user, Some(client.id), ["userOnline", "timestamp"], now);
            }
            drop(under_way);
        });
    }

    /// A client has gone: the others are told if its user does not come back. Its connection has its place until that is noted,
    /// and a drain waits for it.
    pub(super) fn went_offline(self: &Arc<Self>, joined: &Joined, of_client: Option<OfClient>) {
        let user = joined.client.user.clone();
        if !self.tells_who_is_online() || user.is_empty() {
            return;
        }
        let Ok(room) = self.gateway.channel(&format!("{}{ONLINE}", joined.namespace.prefix)) else { return };
        let endpoint = self.clone();
        let mut noting = async move {
            endpoint.gateway.backplane.departing().depart(&room, &user).await;
            drop(of_client);
        }
        .boxed();
        // Begun here, so that whoever comes back at once is found to have gone.
        if (&mut noting).now_or_never().is_none() {
            tokio::spawn(noting);
        }
    }

    /// Tells of those whose time to come back is over.
    async fn tell_gone(&self) {
        let gone = self.gateway.backplane.departing().take().await;
        let mut rooms: Vec<(Channel, Vec<String>)> = Vec::new();
        for (room, user) in gone {
            match rooms.iter_mut().find(|(channel, _)| *channel == room) {
                Some((_, users)) => users.push(user),
                None => rooms.push((room, vec![user])),
            }
        }
        for (room, mut users) in rooms {
            let departing = self.gateway.backplane.departing();
            let Some(online) = self.online(&room, &users).await else {
                // Nobody is said to have gone who may be there: they are looked for again.
                for user in users {
                    departing.arrive(&room, &user).await;
                }
                continue;
            };
            for user in users.extract_if(.., |user| online.contains(user)) {
                departing.stay(&room, &user).await;
            }
            let seen = departing.last_seen(&room, &users).await.unwrap_or_else(|_| vec![None; users.len()]);
            for (user, seen) in users.iter().zip(seen) {
                match seen {
                    Some(seen) => {
                        self.announce(room.clone(), user, None, ["userOffline", "lastSeen"], seen);
                    }
                    // It has gone without a word, with its instance.
                    None => departing.depart(&room, user).await,
                }
            }
        }
    }

    /// Those of these users who have a client, on whatever instance; nothing when some instance cannot be asked.
    async fn online(&self, room: &Channel, users: &[String]) -> Option<HashSet<String>> {
        if users.len() > FEW {
            let members = self.gateway.backplane.presence(room).await.ok()?;
            return Some(members.iter().filter_map(|member| user_of(&member.info)).collect());
        }
        let cluster = &self.gateway.pipeline.cluster;
        let asked = users.iter().map(|user| async move {
            let query = Query { user: Some(user.clone()), limit: 1, ..Query::default() };
            let found = cluster.clients(&query).await.ok()?;
            match (found.clients.is_empty(), found.silent.is_empty()) {
                (false, _) => Some(Some(user.clone())),
                (true, true) => Some(None),
                (true, false) => None,
            }
        });
        let found: Option<Vec<_>> = join_all(asked).await.into_iter().collect();
        Some(found?.into_iter().flatten().collect())
    }

    fn announce(
        &self,
        room: Channel,
        user: &str,
        except: Option<ClientId>,
        [event, when]: [&str; 2],
        time: u64,
    ) {
        let mut data = format!(r#"["{event}",{{"userId":"#).into_bytes();
        write_string(user, &mut data);
        data.extend_from_slice(format!(r#","{when}":{time}}}]"#).as_bytes());
        let source = Source::Logic(LogicName::new("socketio"));
        let mut message = Message::new(source, Target::Channel(room), data.into());
        message.except = except;
        // A middleware may stop it, and has counted that.
        let _ = self.gateway.pipeline.publish(message, Ack::ignore());
    }
}

impl Session {
    /// Tells a client who of those that it names is online, and when the others were last seen.
    pub(super) fn last_seen(self: &Arc<Self>, joined: &Joined, room: &str, event: &Event<'_>, reply: Reply) {
        let room = match self.endpoint.gateway.presence_channel(&joined.client, room) {
            Ok(_) if joined.client.user.is_empty() => return reply.refuse(ErrorCode::PermissionDenied),
            Ok(room) => room,
            Err(error) => return reply.refuse(error),
        };
        let Some(users) = event.args.first().and_then(|arg| named(arg)) else {
            return reply.refuse(ErrorCode::BadRequest);
        };
        let endpoint = self.endpoint.clone();
        self.spawn(&reply.clone(), async move {
            let Ok(seen) = endpoint.gateway.backplane.departing().last_seen(&room, &users).await else {
                return reply.refuse(ErrorCode::Internal);
            };
            let Some(online) = endpoint.online(&room, &users).await else {
                return reply.refuse(ErrorCode::Internal);
            };
            let mut more = br#","users":["#.to_vec();
            for (number, (user, seen)) in users.iter().zip(seen).enumerate() {
                more.extend_from_slice(if number > 0 { br#",{"userId":"# } else { br#"{"userId":"# });
                write_string(user, &mut more);
                let rest = match (online.contains(user), seen) {
                    (true, _) => r#","online":true}"#.to_owned(),
                    (false, Some(seen)) => format!(r#","online":false,"lastSeen":{seen}}}"#),
                    (false, None) => r#","online":false}"#.to_owned(),
                };
                more.extend_from_slice(rest.as_bytes());
            }
            more.push(b']');
            reply.with(String::from_utf8_lossy(&more).into_owned()).ok();
        });
    }
}

/// The users that an argument names: `{userIds: [...]}`, the list alone, or one.
fn named(arg: &RawValue) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Named {
        Object {
            #[serde(rename = "userIds")]
            users: Vec<String>,
        },
        List(Vec<String>),
        One(String),
    }
    let users = match serde_json::from_str(arg.get()).ok()? {
        Named::Object { users } | Named::List(users) => users,
        Named::One(user) => vec![user],
    };
    (users.len() <= ASKED_AT_ONCE).then_some(users)
}

/// Tells of departures as long as the endpoint is there.
async fn tell_departures(endpoint: Weak<Endpoint>) {
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let Some(endpoint) = endpoint.upgrade() else { return };
        // Before it is open nobody is there, and one that leaves leaves it to the others.
        if endpoint.gateway.phase() == Phase::Open {
            endpoint.tell_gone().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_named_in_an_object_in_a_list_or_alone_and_not_too_many() {
        let named = |json: &str| named(&RawValue::from_string(json.to_owned()).unwrap());
        assert_eq!(named(r#"{"userIds":["ann","b\"c"]}"#), Some(vec!["ann".to_owned(), "b\"c".to_owned()]));
        assert_eq!(named(r#"["ann"]"#), Some(vec!["ann".to_owned()]));
        assert_eq!(named(r#""ann""#), Some(vec!["ann".to_owned()]));
        for wrong in ["7", "null", "{}", r#"{"userIds":"ann"}"#, "[7]"] {
            assert_eq!(named(wrong), None, "{wrong}");
        }
        let many = |count| serde_json::to_string(&vec!["a"; count]).unwrap();
        assert_eq!(named(&many(ASKED_AT_ONCE)).map(|users| users.len()), Some(ASKED_AT_ONCE));
        assert_eq!(named(&many(ASKED_AT_ONCE + 1)), None);
    }
}
