//! Subscriptions that the backplane confirms later, to many clients at once, and what they do meanwhile.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use parking_lot::Mutex;
use serde_json::{Value, json};
use switchboard::{
    backplane::{
        Ack, Audience, Backplane, Envelope, Health, InstanceRecord, Located, Member, StartError, Unavailable,
        memory::MemoryBackplane,
    },
    cluster::Inbound,
    message::{Address, Channel, ClientId},
    middleware::Chain,
    registry::{Client as Connected, ClientRecord},
};
use tokio::io::DuplexStream;

use crate::support::{
    Client, Lab, OPEN,
    token::{SECRET, token},
};

type Hook = Box<dyn FnOnce() + Send>;

/// Confirms subscriptions when it is told to.
#[derive(Default)]
pub(crate) struct Held {
    memory: MemoryBackplane,
    acks: Mutex<Vec<(Channel, Ack)>>,
    /// Done before the next envelope is taken.
    before_publish: Mutex<Option<Hook>>,
    /// What clients were described as with their publications.
    infos: Mutex<Vec<Value>>,
}

impl Held {
    fn confirm(&self) {
        let acks = std::mem::take(&mut *self.acks.lock());
        acks.into_iter().for_each(|(channel, ack)| self.memory.subscribe(&channel, ack));
    }

    /// Refuses what waits, and says how much that was.
    pub(crate) fn refuse(&self) -> usize {
        let acks = std::mem::take(&mut *self.acks.lock());
        let count = acks.len();
        acks.into_iter().for_each(|(_, ack)| ack.done(Err(Unavailable::Disconnected)));
        count
    }
}

impl Backplane for Held {
    fn start(&self, inbound: Arc<Inbound>) -> BoxFuture<'_, Result<(), StartError>> {
        self.memory.start(inbound)
    }

    fn publish(&self, channel: &Channel, envelope: &Envelope<'_>, ack: Ack) {
        let hook = self.before_publish.lock().take();
        if let Some(hook) = hook {
            hook();
        }
        if let Envelope::Publication(publication) = envelope {
            self.infos.lock().push(serde_json::from_slice(publication.info).unwrap());
        }
        self.memory.publish(channel, envelope, ack);
    }

    fn tell(&self, audience: &Audience, envelope: &Envelope<'_>, ack: Ack) {
        self.memory.tell(audience, envelope, ack);
    }

    fn subscribe(&self, channel: &Channel, ack: Ack) {
        self.acks.lock().push((channel.clone(), ack));
    }

    fn unsubscribe(&self, channel: &Channel) {
        self.memory.unsubscribe(channel);
    }

    fn register(&self, client: ClientRecord) {
        self.memory.register(client);
    }

    fn unregister(&self, client: ClientId) {
        self.memory.unregister(client);
    }

    fn touch(&self, clients: &[ClientId]) {
        self.memory.touch(clients);
    }

    fn locate<'a>(
        &'a self,
        clients: &'a [ClientId],
    ) -> BoxFuture<'a, Result<Vec<Option<Located>>, Unavailable>> {
        self.memory.locate(clients)
    }

    fn hold<'a>(&'a self, role: &'a str) -> BoxFuture<'a, Result<Option<Address>, Unavailable>> {
        self.memory.hold(role)
    }

    fn release<'a>(&'a self, role: &'a str) -> BoxFuture<'a, ()> {
        self.memory.release(role)
    }

    fn enter(&self, channel: &Channel, member: Member) {
        self.memory.enter(channel, member);
    }

    fn leave(&self, channel: &Channel, client: ClientId) {
        self.memory.leave(channel, client);
    }

    fn presence<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Vec<Member>, Unavailable>> {
        self.memory.presence(channel)
    }

    fn instances(&self) -> BoxFuture<'_, Result<Vec<InstanceRecord>, Unavailable>> {
        self.memory.instances()
    }

    fn health(&self) -> Health {
        self.memory.health()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.memory.close()
    }
}

const JOINS: &str = "channels: {namespaces: [{name: \"\", join_leave: true}]}\n";

async fn lab(yaml: &str) -> (Lab, Arc<Held>) {
    let held = Arc::new(Held::default());
    (Lab::of(yaml, held.clone(), Chain::default()).await, held)
}

/// A connected client, as it is seen from both sides.
async fn connect(lab: &Lab, token: &str) -> (Client<DuplexStream>, Arc<Connected>) {
    let (mut client, _) = lab.open(1 << 20);
    let connected = client.connect(token).await;
    let id = connected["client"].as_str().unwrap();
    let clients = lab.gateway.hub.registry.snapshot();
    let here = clients.into_iter().find(|client| client.id.to_string() == id);
    (client, here.unwrap())
}

fn room() -> Channel {
    Channel::parse("room", 255).unwrap()
}

/// Two clients wait for a channel. Both are told that they have it; before the others hear of the second,
/// it does what `meanwhile` says. What the first one hears of it.
async fn heard_of_the_second(meanwhile: fn(&Lab, &Arc<Connected>)) -> Vec<&'static str> {
    let (lab, held) = lab(&format!("{OPEN}{JOINS}")).await;
    let lab = Arc::new(lab);
    let (mut first, _) = connect(&lab, "").await;
    let (mut second, second_here) = connect(&lab, "").await;
    for client in [&mut first, &mut second] {
        client.send(r#"{"id":9,"subscribe":{"channel":"room"}}"#).await;
        assert!(client.unasked().await.is_empty(), "the subscribe is under way");
    }
    let (hooked, here) = (lab.clone(), second_here.clone());
    *held.before_publish.lock() = Some(Box::new(move || meanwhile(&hooked, &here)));
    held.confirm();
    for client in [&mut first, &mut second] {
        assert_eq!(client.reply(9).await, json!({"id": 9, "subscribe": {}}));
    }
    let of_second = |push: &Value, kind: &str| {
        push["push"][kind]["info"]["client"].as_str() == Some(&second_here.id.to_string())
    };
    let pushes = first.unasked().await;
    let heard =
        pushes.iter().filter_map(|push| ["join", "leave"].into_iter().find(|kind| of_second(push, kind)));
    heard.collect()
}

#[tokio::test]
async fn who_left_before_the_others_heard_of_it_never_joined() {
    let heard = heard_of_the_second(|lab, second| lab.gateway.unsubscribe(second, &room())).await;
    assert!(heard.is_empty(), "{heard:?}");
    let heard = heard_of_the_second(|_, _| {}).await;
    assert_eq!(heard, ["join"]);
}

#[tokio::test]
async fn who_left_and_came_again_joins_once() {
    let heard = heard_of_the_second(|lab, second| {
        lab.gateway.unsubscribe(second, &room());
        let _ = lab.gateway.subscribe(second, "room", "", None, None, |outcome| drop(outcome.unwrap()));
    })
    .await;
    assert_eq!(heard, ["join"]);
}

#[tokio::test]
async fn who_is_told_that_it_is_subscribed_is_present() {
    let (lab, held) = lab(OPEN).await;
    let (_client, here) = connect(&lab, "").await;
    let present = Arc::new(Mutex::new(Vec::new()));
    let (seen, backplane) = (present.clone(), held.clone());
    let _ = lab.gateway.subscribe(&here, "room", "", None, None, move |outcome| {
        outcome.unwrap();
        seen.lock().extend(backplane.presence(&room()).now_or_never().unwrap().unwrap());
    });
    held.confirm();
    assert_eq!(present.lock().iter().map(|member| member.client).collect::<Vec<_>>(), [here.id]);
}

#[tokio::test]
async fn a_publish_right_behind_a_subscribe_says_what_its_token_says() {
    let (lab, held) = lab(&format!("auth: {{jwt: {{hmac_secret: \"{SECRET}\"}}}}\n")).await;
    let (mut client, _) = connect(&lab, &token(&json!({"sub": "ann"}))).await;
    let grant = token(&json!({"sub": "ann", "channel": "room", "info": {"role": "host"}}));
    let subscribe = json!({"id": 9, "subscribe": {"channel": "room", "token": grant}});
    let publish = json!({"id": 10, "publish": {"channel": "room", "data": 1}});
    client.send(&format!("{subscribe}\n{publish}")).await;
    client.reply(10).await;
    assert_eq!(held.infos.lock()[0]["chan_info"], json!({"role": "host"}));
}

#[tokio::test]
async fn who_asks_and_leaves_before_the_confirmation_is_answered() {
    let (lab, held) = lab(OPEN).await;
    let (mut client, _) = connect(&lab, "").await;
    client.send(r#"{"id":9,"subscribe":{"channel":"room"}}"#).await;
    client.send(r#"{"id":10,"unsubscribe":{"channel":"room"}}"#).await;
    assert_eq!(client.line().await["id"], 9);
    assert_eq!(client.line().await, json!({"id": 10, "unsubscribe": {}}));
    held.confirm();
    assert_eq!(lab.gateway.hub.channels.len(), 0);
}

/// A client that has sent a connect and a subscribe in one message, when the backplane has been asked.
async fn subscribing_at_once(lab: &Lab, held: &Held) -> Client<DuplexStream> {
    let (mut client, _) = lab.open(1 << 20);
    let connect = json!({"id": 1, "connect": {}});
    client.send(&format!("{connect}\n{}", json!({"id": 2, "subscribe": {"channel": "room"}}))).await;
    // Time stands still as long as somebody has something to do.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(held.acks.lock().len(), 1, "the backplane is asked");
    client
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_connect_leaves_with_that_to_its_subscribe() {
    let (lab, held) = lab(OPEN).await;
    let mut client = subscribing_at_once(&lab, &held).await;
    assert!(client.line().now_or_never().is_none(), "the answer to the connect waits");
    held.confirm();
    assert_eq!(client.line().await["id"], 1);
    assert_eq!(client.line().now_or_never().unwrap(), json!({"id": 2, "subscribe": {}}));
}

#[tokio::test(start_paused = true)]
async fn a_connect_is_answered_though_the_backplane_does_not_confirm() {
    let (lab, held) = lab(OPEN).await;
    let mut client = subscribing_at_once(&lab, &held).await;
    assert_eq!(client.line().await["id"], 1);
    assert!(client.unasked().await.is_empty(), "what comes later waits for nothing");
    held.confirm();
    assert_eq!(client.line().await["id"], 2);
}
