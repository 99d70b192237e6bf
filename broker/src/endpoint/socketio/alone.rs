//! Clients are told when their instance is cut off from the others, and when it is with them again.

use std::{iter::once, sync::Arc};

use super::Endpoint;
use crate::{
    backplane::Publication, clock::now_ms, codec::centrifuge::write_string, message::ClientId,
    metrics::Origin,
};

impl Endpoint {
    /// Whether the broker's own words are spoken here: in an application with rules of its own they could mean
    /// something else.
    fn tells_whether_alone(&self) -> bool {
        let settings = &self.settings.endpoint;
        settings.profile.is_some() || settings.events.is_empty()
    }

    /// From now on tells all clients when it changes.
    pub(super) fn watch_whether_alone(self: &Arc<Self>) {
        if !self.tells_whether_alone() {
            return;
        }
        let (endpoint, mut alone) = (Arc::downgrade(self), self.gateway.hub.alone());
        tokio::spawn(async move {
            // Until the broker is gone.
            while alone.changed().await.is_ok() {
                let Some(endpoint) = endpoint.upgrade() else { return };
                let is_alone = *alone.borrow_and_update();
                for name in endpoint.namespaces.keys() {
                    endpoint.tell_whether_alone(endpoint.sessions.in_namespace(name).into_iter(), is_alone);
                }
            }
        });
    }

    /// Tells a client that has just come. It is among all by now, so that what changes meanwhile reaches it one way or
    /// the other, and what it is told last is so.
    pub(super) fn tell_newcomer_whether_alone(&self, client: ClientId) {
        if !self.tells_whether_alone() {
            return;
        }
        let alone = self.gateway.hub.alone();
        let mut was_told = false;
        while *alone.borrow() != was_told {
            was_told = !was_told;
            self.tell_whether_alone(once(client), was_told);
        }
    }

    fn tell_whether_alone(&self, clients: impl Iterator<Item = ClientId>, is_alone: bool) {
        let hub = &self.gateway.hub;
        let event = if is_alone { "instanceAlone" } else { "instanceTogether" };
        let mut data = format!(r#"["{event}",{{"instance":"#).into_bytes();
        write_string(hub.address.instance.as_str(), &mut data);
        data.extend_from_slice(format!(r#","timestamp":{}}}]"#, now_ms()).as_bytes());
        // Whoever has gone in between misses nothing.
        let _ = hub.deliver_to(clients, &Publication { info: b"", tags: b"", data: &data }, Origin::Local);
    }
}
