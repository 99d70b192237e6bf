//! What a subscription brings beside a client's own messages.

use std::sync::Arc;

use super::{Gateway, info::with_chan_info};
use crate::{
    auth::Grant,
    backplane::{Envelope, Member},
    channel::{Entrance, Terms},
    config::Namespace,
    message::Channel,
    registry::Client,
};

impl Gateway {
    /// What a subscription brings beside the client's own messages; nothing where nobody sees who is there, and no
    /// token says anything.
    pub(super) fn entrance(
        self: &Arc<Self>,
        client: &Arc<Client>,
        channel: &Channel,
        namespace: &Namespace,
        grant: Option<Grant>,
    ) -> Option<Entrance> {
        let terms = grant.map(|Grant { info, expires_at }| Terms {
            info: info.map(|chan_info| with_chan_info(&client.info, &chan_info)),
            expires_at,
        });
        if terms.is_none() && !namespace.tracks_presence() {
            return None;
        }
        let info = terms.as_ref().and_then(|terms| terms.info.as_ref()).unwrap_or(&client.info).clone();
        let mut entrance = Entrance { terms, ..Entrance::default() };
        if namespace.tracks_presence() {
            let (gateway, channel) = (self.clone(), channel.clone());
            let member = Member { client: client.id, info: info.clone() };
            entrance.enter = Some(Box::new(move || gateway.backplane.enter(&channel, member)));
        }
        if namespace.join_leave {
            let (gateway, client, channel) = (self.clone(), client.clone(), channel.clone());
            entrance.announce = Some(Box::new(move |attempt| {
                client.announce(&channel, attempt, || {
                    gateway.tell(&channel, &Envelope::Join(client.id, &info))
                });
            }));
        }
        Some(entrance)
    }
}
