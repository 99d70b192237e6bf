//! An instance without endpoints: a hub and its backplane.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use parking_lot::Mutex;
use switchboard::{
    backplane::{
        Ack, Backplane, Envelope, Member, Publication, StartError, Unavailable, redis::RedisBackplane,
    },
    channel::{Arrival, Confirm},
    cluster::Cluster,
    codec::{Encoder, Push},
    config,
    endpoint::{EndpointKind, Outbox, outbox::Next},
    hub::Hub,
    logic::Modules,
    message::{Address, Channel, ClientId, InstanceId},
    metrics::Metrics,
    registry::Client,
};
use tokio::sync::oneshot;

use super::{Server, eventually, within};

pub(super) struct Node {
    pub(super) hub: Arc<Hub>,
    pub(super) backplane: Arc<RedisBackplane>,
    pub(super) cluster: Arc<Cluster>,
}

pub(super) fn channel(name: &str) -> Channel {
    Channel::trusted(name)
}

impl Node {
    /// An instance that has joined the others.
    pub(super) async fn start(name: &str, server: &Server) -> Self {
        let node = Self::with(name, RedisBackplane::new(server.config())).await.unwrap();
        node.is_joined().await;
        node
    }

    /// An instance on this backplane.
    pub(super) async fn with(name: &str, backplane: RedisBackplane) -> Result<Self, StartError> {
        let metrics = Arc::new(Metrics::new());
        let hub = Arc::new(Hub::new(Address::starting_now(InstanceId::new(name)), metrics));
        let backplane = Arc::new(backplane);
        let logic = Modules::new([], &hub.metrics).expect("there are none");
        let (cluster, inbound) = Cluster::new(hub.clone(), backplane.clone(), logic);
        backplane.start(inbound).await?;
        Ok(Self { hub, backplane, cluster })
    }

    /// An instance as configured.
    pub(super) async fn configured(name: &str, config: config::Redis) -> Result<Self, StartError> {
        Self::with(name, RedisBackplane::new(config)).await
    }

    pub(super) async fn is_joined(&self) {
        eventually("the instance joins", async || self.backplane.health().connected).await;
    }

    pub(super) async fn is_lost(&self) {
        eventually("the loss is noticed", async || !self.backplane.health().connected).await;
    }

    /// Publishes to the other instances; the future waits for the outcome.
    pub(super) fn publish(
        &self,
        name: &str,
        data: &str,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send + use<> {
        let (ack, outcome) = Ack::channel();
        let publication = Publication { info: b"", tags: b"", data: data.as_bytes() };
        self.backplane.publish(&channel(name), &Envelope::Publication(publication), ack);
        outcome
    }

    /// A client that is connected here.
    pub(super) fn client(&self, user: &str) -> Arc<Client> {
        let id = ClientId::generate();
        let info = Bytes::from(format!("{{\"user\":\"{user}\"}}"));
        let outbox = Arc::new(Outbox::new(64 * 1024 * 1024));
        let client = Client::connecting(id, user, info, EndpointKind::WebSocket, outbox, Arc::new(Lines));
        let client = Arc::new(client);
        self.hub.registry.insert(client.clone());
        self.backplane.register(client.record());
        client
    }

    /// Forgets a client.
    pub(super) fn gone(&self, client: &Client) {
        self.hub.registry.remove(client.id);
        self.backplane.unregister(client.id);
    }

    /// A new client's subscription, confirmed.
    pub(super) async fn subscribe(&self, name: &str) -> Subscriber {
        let subscriber = self.ask_to_subscribe(name);
        within("the subscription is confirmed", subscriber.1).await.unwrap();
        subscriber.0
    }

    /// A new client's subscription, and when it is confirmed.
    pub(super) fn ask_to_subscribe(&self, name: &str) -> (Subscriber, oneshot::Receiver<()>) {
        let client = self.client("");
        let (confirmed, confirmation) = oneshot::channel();
        let tell = Box::new(move |outcome: Result<Option<Box<Arrival>>, _>| {
            if outcome.is_ok() {
                let _ = confirmed.send(());
            }
        });
        let confirm = Confirm { tell, then: None, stream: None };
        self.hub.channels.subscribe(&client, &channel(name), 100, &*self.backplane, confirm);
        (Subscriber { client, channel: channel(name), read: Mutex::default() }, confirmation)
    }

    pub(super) fn unsubscribe(&self, subscriber: &Subscriber) {
        self.hub.channels.unsubscribe(&subscriber.client, &subscriber.channel, &*self.backplane);
    }

    /// Puts a new client into a channel's presence, its join announced or not.
    pub(super) fn enter(&self, name: &str, user: &str, announced: bool) -> Arc<Client> {
        let client = self.client(user);
        self.backplane.enter(&channel(name), Member { client: client.id, info: client.info.clone() });
        if announced {
            self.backplane.publish(&channel(name), &Envelope::Join(client.id, &client.info), Ack::ignore());
        }
        client
    }

    /// Waits until it hears these others, in the order of their names.
    pub(super) async fn hears(&self, others: &[&Node]) {
        let wanted: Vec<_> = others.iter().map(|node| node.hub.address.to_string()).collect();
        let what = format!("{} hears {wanted:?}", self.hub.address.instance);
        eventually(&what, async || self.backplane.health().heard.as_ref() == Some(&wanted)).await;
        assert!(self.hub.metrics.redis_peers.get() >= others.len() as i64);
    }

    /// Waits until the channel's presence shows these users.
    pub(super) async fn shows(&self, name: &str, users: &[&str]) {
        let what = format!("{} shows {users:?} in {name}", self.hub.address.instance);
        eventually(&what, async || {
            let Ok(members) = self.backplane.presence(&channel(name)).await else { return false };
            let mut found: Vec<_> = members.iter().map(|member| member.info.to_vec()).collect();
            let mut wanted: Vec<_> =
                users.iter().map(|user| format!("{{\"user\":\"{user}\"}}").into_bytes()).collect();
            found.sort();
            wanted.sort();
            found == wanted
        })
        .await;
    }

    /// Waits until the directory says, here, where a client is.
    pub(super) async fn finds(&self, client: &Client, at: Option<&Node>) {
        let wanted = at.map(|node| node.hub.address.clone());
        eventually("the directory is up to date", async || {
            let Ok(mut found) = self.backplane.locate(&[client.id]).await else { return false };
            let found = found.pop().flatten();
            assert!(found.as_ref().is_none_or(|found| *found.client.user == *client.user));
            found.map(|found| found.address) == wanted
        })
        .await;
    }
}

pub(super) struct Subscriber {
    pub(super) client: Arc<Client>,
    channel: Channel,
    read: Mutex<String>,
}

impl Subscriber {
    /// What it has got so far, in order.
    pub(super) fn got(&self) -> Vec<String> {
        let mut read = self.read.lock();
        while let Poll::Ready(Next::Write(bytes)) =
            self.client.outbox.poll_next(&mut Context::from_waker(Waker::noop()))
        {
            read.push_str(std::str::from_utf8(&bytes).unwrap());
        }
        read.lines().map(str::to_owned).collect()
    }

    /// Waits until it has got exactly this.
    pub(super) async fn gets(&self, wanted: &[&str]) {
        eventually(&format!("{} brings {wanted:?}", self.channel), async || self.got() == wanted).await;
    }
}

/// One line for each push.
struct Lines;

impl Encoder for Lines {
    fn encode(&self, push: &Push<'_>, out: &mut Vec<u8>) {
        match push {
            Push::Publication(_, publication, _) => out.extend_from_slice(publication.data),
            Push::Join(_, client, _) => out.extend_from_slice(format!("join {client}").as_bytes()),
            Push::Board(_) => {}
            Push::Message(message) => out.extend_from_slice(message.data),
            Push::Leave(_, client, _) => out.extend_from_slice(format!("leave {client}").as_bytes()),
            Push::Subscribe(channel, _) | Push::Unsubscribe(channel, _) => {
                out.extend_from_slice(channel.as_str().as_bytes())
            }
        }
        out.push(b'\n');
    }
}
