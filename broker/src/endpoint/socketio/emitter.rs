//! What other programs emit through Redis with `@socket.io/redis-emitter`.
//!
//! Every instance hears all of it, and carries it out for its own clients. So each of them is reached once, and nothing of
//! it goes over the backplane again.

use std::{collections::HashSet, sync::Arc};

use futures_util::{FutureExt, future::join_all};

use super::{Endpoint, Namespace};
use crate::{
    backplane::Publication,
    cluster::{Change, Extent, Who},
    codec::socketio::emitter::{Emit, Order, Request, Room, Selection},
    endpoint::{Disconnect, EndpointKind},
    message::ClientId,
    metrics::{DeliveryFailure, Emitted, Origin},
    registry::Client,
};

/// Carries out what was heard for a namespace; what became of it.
type CarryOut = fn(&Arc<Endpoint>, &Namespace, &[u8]) -> Emitted;

impl Endpoint {
    /// Hears emitters, from the backplane's start on, if it is to.
    pub(super) fn hear_emitters(self: &Arc<Self>) {
        let settings = &self.settings.endpoint.emitter;
        if !settings.enabled {
            return;
        }
        let counted = self.gateway.hub.metrics.socketio().emitted;
        for namespace in self.namespaces.values() {
            for (kind, carry_out) in
                [("", Self::emitted as CarryOut), ("-request", Self::requested as CarryOut)]
            {
                let prefix = format!("{}{kind}#{}#", settings.key, namespace.name);
                // The backplane owns this, and the endpoint owns the backplane.
                let (endpoint, namespace) = (Arc::downgrade(self), namespace.clone());
                let counted = counted.clone();
                let hear = move |payload: &[u8]| {
                    let Some(endpoint) = endpoint.upgrade() else { return };
                    counted.inc(match payload.len() > endpoint.max_payload() {
                        true => Emitted::TooLarge,
                        false => carry_out(&endpoint, &namespace, payload),
                    });
                };
                self.gateway.backplane.foreign(&prefix, Box::new(hear));
            }
        }
    }

    /// Delivers an event to those clients of this instance that it is for, of whatever protocol. What an emitter leaves out
    /// are clients of Socket.IO: others have no name there.
    fn emitted(self: &Arc<Self>, namespace: &Namespace, payload: &[u8]) -> Emitted {
        let Ok(emit) = Emit::read(payload) else { return Emitted::Malformed };
        // Its name fits, but means something else: `#` may stand in the names of namespaces and of rooms.
        if emit.namespace != namespace.name {
            return Emitted::Ignored;
        }
        if emit.event.len() > self.gateway.limits.message_size.bytes() {
            return Emitted::TooLarge;
        }
        let hub = &self.gateway.hub;
        let publication = Publication { info: b"", tags: b"", data: &emit.event };
        let rooms = &emit.to.rooms;
        let left_out = self.in_rooms(namespace, &emit.to.except);
        // One room has nobody twice.
        let is_once = rooms.len() == 1 && ClientId::parse(&rooms[0].0).is_none();
        let (mut reached, mut passed_over) = (HashSet::new(), 0);
        let mut wants = |client: &Client| {
            if client.endpoint == EndpointKind::SocketIo
                && (left_out.contains(&client.id) || !(is_once || reached.insert(client.id)))
            {
                return false;
            }
            let is_passed_over = emit.is_volatile && !client.outbox.is_empty();
            passed_over += u64::from(is_passed_over);
            !is_passed_over
        };
        let deliver_to = |ids: Vec<ClientId>, wants: &mut dyn FnMut(&Client) -> bool| {
            let wanted =
                ids.into_iter().filter(|id| hub.registry.get(*id).is_some_and(|client| wants(&client)));
            // Whoever has gone in between misses nothing.
            let _ = hub.deliver_to(wanted, &publication, Origin::Remote);
        };
        if rooms.is_empty() {
            deliver_to(self.sessions.in_namespace(&namespace.name), &mut wants);
        }
        for room in rooms {
            deliver_to(self.of_name(namespace, room).into_iter().collect(), &mut wants);
            hub.deliver_to_some(&namespace.channel(room), &publication, Origin::Remote, &mut wants);
        }
        hub.metrics.delivery_failures.add(DeliveryFailure::Volatile, passed_over);
        Emitted::Ok
    }

    /// Does what a request says to those clients of this instance that it is about.
    fn requested(self: &Arc<Self>, namespace: &Namespace, payload: &[u8]) -> Emitted {
        let (clients, order) = match Request::read(payload) {
            Err(_) => return Emitted::Malformed,
            Ok(Request::Other) => return Emitted::Ignored,
            Ok(Request::Order(to, order)) => (self.selected(namespace, &to), order),
        };
        match order {
            Order::Join(rooms) => self.change(namespace, clients, &rooms, Change::Subscribe),
            Order::Leave(rooms) => self.change(namespace, clients, &rooms, Change::Unsubscribe),
            Order::Disconnect(with_connection) => {
                let extent = if with_connection { Extent::Connection } else { Extent::Client };
                for client in clients {
                    self.gateway.hub.disconnect(&Who::Client(client), Disconnect::Forced, extent);
                }
                Emitted::Ok
            }
        }
    }

    /// Puts clients into rooms, or takes them out.
    fn change(
        self: &Arc<Self>,
        namespace: &Namespace,
        clients: Vec<ClientId>,
        rooms: &[Room],
        change: Change,
    ) -> Emitted {
        let Ok(under_way) = self.questions.clone().try_acquire_owned() else { return Emitted::Busy };
        let channels: Vec<_> = rooms.iter().map(|room| namespace.channel(room)).collect();
        let gateway = self.gateway.clone();
        let mut changing = async move {
            for channel in channels {
                let (gateway, channel) = (&gateway, &channel);
                let each = clients.iter().copied().map(|client| async move {
                    let changed = gateway.change_here(&Who::Client(client), channel, change).await;
                    changed.full + changed.failed
                });
                let refused: usize = join_all(each).await.into_iter().sum();
                gateway.hub.metrics.socketio().emitted.add(Emitted::Refused, refused as u64);
            }
            drop(under_way);
        }
        .boxed();
        // Begun here, so that what is emitted behind it finds the clients where the room is known already.
        if (&mut changing).now_or_never().is_none() {
            tokio::spawn(changing);
        }
        Emitted::Ok
    }

    /// The clients of this instance in the namespace that a request is about.
    fn selected(&self, namespace: &Namespace, to: &Selection) -> Vec<ClientId> {
        let left_out = self.in_rooms(namespace, &to.except);
        let mut clients = match to.rooms.is_empty() {
            true => self.sessions.in_namespace(&namespace.name),
            false => {
                let is_here = |id: &ClientId| self.is_in(namespace, *id);
                self.in_rooms(namespace, &to.rooms).into_iter().filter(is_here).collect()
            }
        };
        clients.retain(|client| !left_out.contains(client));
        clients
    }

    /// The clients of this instance in any of these rooms; each is in the one of its own name.
    fn in_rooms(&self, namespace: &Namespace, rooms: &[Room]) -> HashSet<ClientId> {
        let mut clients = HashSet::new();
        for room in rooms {
            clients.extend(self.of_name(namespace, room));
            if let Some(topic) = self.gateway.hub.channels.get(&namespace.channel(room)) {
                topic.for_each(|client| {
                    clients.insert(client.id);
                });
            }
        }
        clients
    }

    /// The client of this instance whose own room this is.
    fn of_name(&self, namespace: &Namespace, room: &Room) -> Option<ClientId> {
        ClientId::parse(&room.0).filter(|id| self.is_in(namespace, *id))
    }

    fn is_in(&self, namespace: &Namespace, client: ClientId) -> bool {
        self.sessions.of(client).is_some_and(|(_, of)| of.name == namespace.name)
    }
}

impl Namespace {
    /// The name of the channel that a room is.
    fn channel(&self, room: &Room) -> String {
        format!("{}{}", self.prefix, room.0)
    }
}
