//! The profile `chat`: who comes online and goes offline is told in a room that everybody is in.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Endpoint, session::Joined};
use crate::{
    backplane::Ack,
    clock::now_ms,
    codec::centrifuge::write_string,
    config::{ONLINE, Profile},
    endpoint::Phase,
    message::{ClientId, LogicName, Message, Source, Target},
    registry::Query,
};

impl Endpoint {
    fn tells_who_is_online(&self) -> bool {
        self.settings.endpoint.profile == Some(Profile::Chat)
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
        let (endpoint, client) = (self.clone(), joined.client.clone());
        self.tell_of(&client.user.clone(), client.id, async move {
            if told.await.is_ok_and(|is_in| is_in) {
                endpoint.announce(&room, &client.user, client.id, ["userOnline", "timestamp"]);
            }
        });
    }

    /// A client has gone: the others are told if its user is not online any more.
    pub(super) fn went_offline(self: &Arc<Self>, joined: &Joined) {
        // Those whose instance leaves are on another one in a moment.
        if !self.tells_who_is_online() || self.gateway.phase() == Phase::Draining {
            return;
        }
        let room = format!("{}{ONLINE}", joined.namespace.prefix);
        let (endpoint, client) = (self.clone(), joined.client.clone());
        self.tell_of(&client.user.clone(), client.id, async move {
            endpoint.announce(&room, &client.user, client.id, ["userOffline", "lastSeen"]);
        });
    }

    /// Tells the others of a user, unless another client than this one is the user's too, on whatever instance.
    fn tell_of(
        self: &Arc<Self>,
        user: &str,
        client: ClientId,
        tell: impl Future<Output = ()> + Send + 'static,
    ) {
        // Anonymous clients are nobody.
        if user.is_empty() {
            return;
        }
        let (endpoint, user) = (self.clone(), user.to_owned());
        // Nobody is told when too much is under way; who is there can be asked for.
        let Ok(under_way) = self.questions.clone().try_acquire_owned() else { return };
        tokio::spawn(async move {
            let query = Query { user: Some(user), limit: 2, ..Query::default() };
            let others = endpoint.gateway.pipeline.cluster.clients(&query).await;
            if !others.is_ok_and(|page| page.clients.iter().any(|found| found.client.id != client)) {
                tell.await;
            }
            drop(under_way);
        });
    }

    fn announce(&self, room: &str, user: &str, client: ClientId, [event, when]: [&str; 2]) {
        let Ok(channel) = self.gateway.channel(room) else { return };
        let mut data = format!(r#"["{event}",{{"userId":"#).into_bytes();
        write_string(user, &mut data);
        data.extend_from_slice(format!(r#","{when}":{}}}]"#, now_ms()).as_bytes());
        let source = Source::Logic(LogicName::new("socketio"));
        let mut message = Message::new(source, Target::Channel(channel), data.into());
        message.except = Some(client);
        // A middleware may stop it, and has counted that.
        let _ = self.gateway.pipeline.publish(message, Ack::ignore());
    }
}
