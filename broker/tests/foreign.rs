//! Clients that other people wrote: the official `centrifuge` client of the npm registry, on Node.js; Chromium, `nc`
//! and `curl`.
//!
//! The scripts in `foreign/` take URLs, so that they run against brokers anywhere.

mod browser;
mod events;
mod node;
mod socketio;
mod socketio_emitter;
mod together;
mod tool;

use std::{net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use serde_json::json;
use switchboard::{backplane::memory::Memory, codec::presence::FromClient};
use tokio::{
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

use crate::support::{
    Broker, OPEN,
    board::{Player, Seen},
    token::{SECRET, in_seconds, token},
    within,
};
use browser::Page;
use node::Script;

fn url(address: SocketAddr) -> String {
    format!("ws://{address}/connection/websocket")
}

async fn pair() -> [Broker; 2] {
    pair_with("").await
}

/// Two instances with these settings too.
async fn pair_with(yaml: &str) -> [Broker; 2] {
    let memory = Arc::new(Memory::default());
    let broker = async |id| Broker::joining(&memory, &format!("{OPEN}{yaml}instance: {{id: {id}}}\n")).await;
    [broker("chat-0").await, broker("chat-1").await]
}

#[tokio::test]
async fn clients_talk_on_one_instance() {
    let broker = Broker::start(OPEN).await;
    let url = url(broker.client_address);
    Script::start("talk.mjs", &[&url, &url, "room"]).await.succeeds().await;
}

#[tokio::test]
async fn clients_talk_across_two_instances() {
    let [a, b] = pair().await;
    let (url_a, url_b) = (url(a.client_address), url(b.client_address));
    Script::start("talk.mjs", &[&url_a, &url_b, "room"]).await.succeeds().await;
    // Everything went over the backplane, and nothing twice: bob's messages to ann and ann's to bob.
    assert!(a.metric("deliveries_total", &[("origin", "remote")]).await >= 4);
    assert!(b.metric("deliveries_total", &[("origin", "remote")]).await >= 501);
    assert_eq!(a.metric("subscriptions", &[]).await, 0);
}

#[tokio::test]
async fn batches_are_answered_command_by_command() {
    let broker = Broker::start(OPEN).await;
    Script::start("batch.mjs", &[&url(broker.client_address), "room"]).await.succeeds().await;
}

#[tokio::test]
async fn refusals_are_understood() {
    let open = Broker::start(OPEN).await;
    let strict = Broker::start(&format!("auth: {{jwt: {{hmac_secret: \"{SECRET}\"}}}}\n")).await;
    let urls = [url(open.client_address), url(strict.client_address)];
    Script::start("refusals.mjs", &[&urls[0], &urls[1]]).await.succeeds().await;
}

#[tokio::test]
async fn expired_tokens_are_renewed() {
    let yaml = format!(
        "auth: {{jwt: {{hmac_secret: \"{SECRET}\"}}}}\nchannels: {{namespaces: [{{name: \"\", subscribe: token}}]}}\n"
    );
    let broker = Broker::start(&yaml).await;
    let connection = |seconds| token(&json!({"sub": "ann", "exp": in_seconds(seconds)}));
    let subscription = |seconds| token(&json!({"sub": "ann", "channel": "room", "exp": in_seconds(seconds)}));
    let arguments = [
        url(broker.client_address),
        connection(-5),
        connection(4),
        connection(600),
        "room".to_owned(),
        subscription(-5),
        subscription(600),
    ];
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    Script::start("tokens.mjs", &arguments).await.succeeds().await;
    assert_eq!(broker.ended("expired").await, 0);
}

#[tokio::test]
async fn tokens_are_refreshed_on_living_connections() {
    let yaml = |grace| {
        format!(
            "auth: {{jwt: {{hmac_secret: \"{SECRET}\"}}}}\nlimits: {{token_grace: {grace}}}\n\
             channels: {{namespaces: [{{name: \"\", subscribe: token}}]}}\n"
        )
    };
    let (broker, hasty) = (Broker::start(&yaml("20s")).await, Broker::start(&yaml("1s")).await);
    let lives = [3, 6, 600].map(in_seconds);
    let tokens = lives.map(|end| token(&json!({"sub": "ann", "exp": end})));
    let grants = lives.map(|end| token(&json!({"sub": "ann", "channel": "room", "exp": end})));
    let arguments = [
        url(broker.client_address),
        url(hasty.client_address),
        "room".to_owned(),
        json!(tokens).to_string(),
        json!(grants).to_string(),
    ];
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    Script::start("refresh.mjs", &arguments).await.succeeds().await;
    for endpoint in [&broker, &hasty] {
        assert_eq!(endpoint.ended("expired").await, 0);
    }
    let refreshed = async |command| {
        broker.metric("received_total", &[("endpoint", "websocket"), ("command", command)]).await
    };
    assert_eq!((refreshed("refresh").await, refreshed("sub_refresh").await), (2, 2));
}

#[tokio::test]
async fn the_server_subscribes_and_unsubscribes() {
    let auth = format!("auth: {{jwt: {{hmac_secret: \"{SECRET}\"}}, api_keys: [key-of-the-tests]}}\n");
    let namespaces = "channels: {namespaces: [{name: \"\"}, {name: inside, subscribe: nobody}]}\n";
    let broker = Broker::start(&format!("{auth}{namespaces}")).await;
    let (url, api) = (url(broker.client_address), format!("http://{}/api", broker.client_address));
    let of_ann = token(&json!({"sub": "ann"}));
    Script::start("server_side.mjs", &[&url, &api, "key-of-the-tests", &of_ann]).await.succeeds().await;
}

/// One address before several brokers, as a Service is: a connection goes to whoever is behind it at the time.
struct Service {
    address: SocketAddr,
    behind: Arc<Mutex<SocketAddr>>,
    connections: Arc<Mutex<Vec<AbortHandle>>>,
}

impl Service {
    async fn before(broker: &Broker) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, behind) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(broker.client_address)));
        let connections = Arc::<Mutex<Vec<AbortHandle>>>::default();
        let (goes_to, under_way) = (behind.clone(), connections.clone());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let behind = *goes_to.lock();
                let connection = tokio::spawn(async move {
                    let Ok(mut broker) = TcpStream::connect(behind).await else { return };
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut broker).await;
                });
                under_way.lock().push(connection.abort_handle());
            }
        });
        Self { address, behind, connections }
    }

    fn goes_to(&self, broker: &Broker) {
        *self.behind.lock() = broker.client_address;
    }

    /// Nobody answers behind it, until somebody does again.
    fn goes_nowhere(&self) {
        self.behind.lock().set_port(1);
    }

    /// Every connection ends without a word, as when a node is lost.
    fn cut(&self) {
        self.connections.lock().drain(..).for_each(|connection| connection.abort());
    }
}

async fn publish(broker: &Broker, data: &str) {
    let answer = broker.api("publish", &json!({"channel": "room", "data": data})).await;
    assert_eq!(answer, json!({"result": {}}));
}

#[tokio::test]
async fn a_client_of_a_drained_instance_comes_back_on_another_and_listens_on() {
    let [a, b] = pair().await;
    let service = Service::before(&a).await;
    let mut script = Script::start("stay.mjs", &[&url(service.address), "room"]).await;
    script.says("subscribed").await;
    publish(&b, "before").await;
    script.says("received \"before\"").await;

    service.goes_to(&b);
    let drained = within("the end of the drain", a.drain()).await;
    assert_eq!((drained.closed, drained.left), (1, 0));
    script.says("connecting 3001").await;
    script.says("subscribed").await;
    assert_eq!(b.metric("subscriptions", &[]).await, 1);
    publish(&b, "end").await;
    script.says("received \"end\"").await;
    script.succeeds().await;
}

#[tokio::test]
async fn a_client_that_was_cut_off_recovers_what_it_has_missed() {
    const MISSED: usize = 50;
    let [a, b] = pair_with(
        "channels: {namespaces: [{name: \"\", history: {size: 100, ttl: 10m}}]}\nlimits: {outbox_size: 1MiB}\n",
    )
    .await;
    let publish = async |broker: &Broker, data: serde_json::Value| {
        let answer = broker.api("publish", &json!({"channel": "room", "data": data})).await;
        assert!(answer["result"]["offset"].is_u64(), "{answer}");
    };
    let service = Service::before(&a).await;
    let missed = MISSED.to_string();
    let mut script = Script::start("recover.mjs", &[&url(service.address), "room", &missed]).await;
    script.says("subscribed").await;
    publish(&a, json!("first")).await;
    script.says("heard").await;
    service.goes_nowhere();
    service.cut();
    script.says("lost").await;
    for number in 0..MISSED {
        publish(if number % 2 == 0 { &a } else { &b }, json!(number)).await;
    }
    service.goes_to(&b);
    script.says("recovered").await;
    publish(&a, json!("end")).await;
    script.succeeds().await;
    assert_eq!(b.metric("recoveries_total", &[("outcome", "recovered")]).await, 2);
}

#[tokio::test]
async fn a_client_of_an_instance_that_was_cut_off_comes_back_too() {
    let [a, b] = pair().await;
    let service = Service::before(&a).await;
    let mut script = Script::start("stay.mjs", &[&url(service.address), "room"]).await;
    script.says("subscribed").await;
    service.goes_to(&b);
    service.cut();
    script.says("connecting 1").await;
    script.says("subscribed").await;
    publish(&b, "end").await;
    script.says("received \"end\"").await;
    script.succeeds().await;
}

#[tokio::test]
async fn boards_with_the_client_of_the_examples() {
    let boards = "endpoints: {presence: {enabled: true}}\n";
    let [a, b] = pair_with(boards).await;
    let service = Service::before(&b).await;
    let [url_a, url_b] =
        [a.client_address, service.address].map(|address| format!("ws://{address}/presence"));
    let api = format!("http://{}/api", a.client_address);
    let mut script = Script::start("board.mjs", &[&url_a, &url_b, &api, "key-of-the-tests"]).await;
    script.says("together").await;
    service.goes_to(&a);
    let drained = within("the end of the drain", b.drain()).await;
    assert_eq!(drained.left, 0);
    script.succeeds().await;
}

#[tokio::test]
async fn a_page_in_a_browser_is_on_a_board() {
    let page = Page::new().await;
    let boards = "endpoints: {presence: {enabled: true}}\n";
    let broker =
        Broker::start(&format!("{OPEN}{boards}client: {{allowed_origins: [\"{}\"]}}\n", page.origin)).await;
    let mut players = Vec::new();
    // So many that the page is welcomed with a packed message.
    for i in 0..50 {
        players.push(Player::on_board(&broker, "plan", &format!("a member with a long name {i:02}")).await);
    }
    let mut ann = Player::on_board(&broker, "plan", "Ann").await;
    ann.say(&FromClient::Selection("shape 7")).await;
    ann.moves_to(-10, 6).await;
    ann.sees_that("Ann", |seen| seen.cursor.is_some()).await;
    let mut browser = page.open_board(broker.client_address);
    let seen = browser.heard().await;
    assert_eq!(seen.as_array().map(Vec::len), Some(52), "{seen}");
    let ann_seen = json!({"name": "Ann", "cursor": {"x": -2.5, "y": 1.5}, "selection": "shape 7"});
    assert!(seen.as_array().unwrap().contains(&ann_seen), "{seen}");
    broker.api("publish", &json!({"channel": "board:plan", "data": {"x": 300.25, "y": -0.5}})).await;
    let is_there = |seen: &Seen| seen.cursor == Some((1201, -2)) && seen.selection == "the page's";
    ann.sees_that("Page", is_there).await;
    drop(players);
    loop {
        let seen = browser.heard().await;
        if seen.as_array().is_some_and(|seen| seen.len() == 2) {
            break;
        }
    }
    drop(browser);
    ann.sees(&["Ann"]).await;
}
