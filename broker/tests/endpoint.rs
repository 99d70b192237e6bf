//! Endpoints of one's own: the example, from outside, and what every such endpoint is held to.

mod held;
#[allow(dead_code, reason = "the program around the endpoint is not run here")]
#[path = "../examples/line_endpoint.rs"]
mod line_endpoint;

use std::{net::SocketAddr, sync::Arc};

use serde_json::json;
use switchboard::{BadName, BrokerError, message::Message, middleware::Middleware};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::support::{Broker, OPEN, config, eventually, within};
use line_endpoint::LineEndpoint;

/// A client that speaks in words.
struct Words(BufReader<TcpStream>);

impl Words {
    async fn open(address: SocketAddr) -> Self {
        Self(BufReader::new(within("connecting", TcpStream::connect(address)).await.unwrap()))
    }

    /// One that has said hello.
    async fn connect(address: SocketAddr) -> Self {
        let mut client = Self::open(address).await;
        client.say("HELLO").await;
        client
    }

    async fn say(&mut self, line: &str) {
        self.0.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// The next line; empty at the end.
    async fn hears(&mut self) -> String {
        let mut line = String::new();
        within("a line", self.0.read_line(&mut line)).await.unwrap();
        line.trim_end().to_owned()
    }

    async fn asks(&mut self, line: &str) -> String {
        self.say(line).await;
        self.hears().await
    }
}

/// A broker with the endpoint of the example, and where that is.
async fn broker(yaml: &str) -> (Broker, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let builder = switchboard::Broker::builder().settings(config(yaml));
    (Broker::built(builder.endpoint("lines", Arc::new(LineEndpoint(listener)))).await, address)
}

#[tokio::test]
async fn words_and_websockets_meet_in_a_channel() {
    let (broker, address) = broker(OPEN).await;
    let (mut words, mut web) = (Words::connect(address).await, broker.connect().await);
    assert_eq!(words.asks("SUB room").await, "OK");
    web.subscribe("room").await;

    web.publish("room", json!({"text": "to words"})).await;
    assert_eq!(words.hears().await, r#"MSG room {"text":"to words"}"#);
    assert_eq!(web.publication("room").await, json!({"text": "to words"}));

    words.say("PUB room to \"the\" web").await;
    assert_eq!(words.hears().await, r#"MSG room "to \"the\" web""#, "its own, as everywhere");
    assert_eq!(words.hears().await, "OK");
    assert_eq!(web.publication("room").await, "to \"the\" web");

    assert_eq!(words.asks("SUB room").await, "ERR already subscribed");
    assert_eq!(words.asks("PUB no:such hello").await, "ERR unknown channel");
    assert_eq!(words.asks("DANCE").await, "ERR method not found");
    assert_eq!(broker.rejected("already_subscribed").await, 1, "each refusal is counted");
    assert_eq!(broker.rejected("unknown_channel").await, 1);
    let page = broker.api("clients", &json!({})).await;
    let endpoints = page["result"]["clients"].as_array().unwrap().iter().map(|client| &client["endpoint"]);
    let mut endpoints: Vec<_> = endpoints.map(|endpoint| endpoint.as_str().unwrap()).collect();
    endpoints.sort_unstable();
    assert_eq!(endpoints, ["lines", "websocket"]);
    let of_lines = [("endpoint", "lines")];
    assert_eq!(broker.metric("connections", &of_lines).await, 1);
    assert_eq!(broker.metric("received_total", &[("endpoint", "lines"), ("command", "publish")]).await, 2);

    // A client that says all it has to say and ends its half is answered to the end.
    words.say("PUB room last").await;
    words.0.get_mut().shutdown().await.unwrap();
    let mut last = Vec::new();
    while last.last().is_none_or(|line: &String| !line.starts_with("BYE")) {
        last.push(words.hears().await);
    }
    assert_eq!(last, ["MSG room \"last\"", "OK", "BYE connection closed"]);
    eventually("it is gone", async || broker.metric("connections", &of_lines).await == 0).await;
    assert_eq!(broker.ended_on("lines", "connection_closed").await, 1);
}

#[tokio::test]
async fn a_drain_tells_clients_and_newcomers_and_waits_for_them() {
    let (broker, address) = broker(OPEN).await;
    let mut client = Words::connect(address).await;
    assert_eq!(client.asks("SUB room").await, "OK");
    let mut silent = Words::open(address).await;
    // It was accepted before this one, which has been answered.
    let mut other = Words::connect(address).await;
    assert_eq!(other.asks("SUB room").await, "OK");
    let drained = tokio::spawn(broker.drain());
    for client in [&mut client, &mut other, &mut silent] {
        assert_eq!(client.hears().await, "BYE shutdown");
        assert_eq!(client.hears().await, "");
    }
    let drained = within("the drain", drained).await.unwrap();
    assert_eq!((drained.closed, drained.left), (2, 0));
}

#[tokio::test]
async fn nobody_is_anonymous_by_accident() {
    let (broker, address) = broker("auth: {jwt: {hmac_secret: the-secret-of-the-tests-is-long}}").await;
    assert_eq!(Words::open(address).await.asks("HELLO").await, "BYE permission denied");
    assert_eq!(Words::open(address).await.asks("HELLO nonsense").await, "BYE invalid token");
    assert_eq!(Words::open(address).await.asks("PUB room x").await, "BYE bad request");
    assert_eq!((broker.rejected("no_token").await, broker.rejected("invalid_token").await), (1, 1));
    assert_eq!(broker.metric("connects_total", &[("endpoint", "lines")]).await, 0);
}

#[tokio::test]
async fn its_clients_take_their_places_like_all_others() {
    let (broker, address) = broker(&format!("{OPEN}limits: {{connections: 1}}")).await;
    let mut first = Words::connect(address).await;
    assert_eq!(first.asks("SUB room").await, "OK");
    assert_eq!(Words::open(address).await.hears().await, "BYE force reconnect");
    assert_eq!(broker.rejected("connection_limit").await, 1);
}

#[tokio::test]
async fn a_name_is_a_label_and_one_endpoints_only() {
    let start = async |names: &[&'static str]| {
        let mut builder = switchboard::Broker::builder().settings(config(OPEN));
        for name in names {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            builder = builder.endpoint(name, Arc::new(LineEndpoint(listener)));
        }
        match builder.start().await {
            Err(BrokerError::Endpoint(why)) => why,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("{names:?} were taken"),
        }
    };
    assert_eq!(start(&["lines", "lines"]).await, BadName::Twice("lines"));
    assert_eq!(start(&["websocket"]).await, BadName::Twice("websocket"));
    for name in ["", "Lines", "9lines", "my lines", "a_name_that_is_longer_than_it_may_be_at_all"] {
        assert_eq!(start(&[name]).await, BadName::Form(name));
    }
}

struct NotToday;

impl Middleware for NotToday {
    fn process(&self, message: &mut Message) {
        message.reject("not_today", "not today");
    }
}

#[tokio::test]
async fn middleware_may_be_for_some_endpoints_only() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let builder = || switchboard::Broker::builder().settings(config(OPEN));
    let own = builder().endpoint("lines", Arc::new(LineEndpoint(listener)));
    let broker = Broker::built(own.receive_from(&["lines"], Arc::new(NotToday))).await;
    let (mut words, mut web) = (Words::connect(address).await, broker.connect().await);
    assert_eq!(words.asks("SUB room").await, "OK");
    assert_eq!(words.asks("PUB room hello").await, "ERR not today");
    web.subscribe("room").await;
    web.publish("room", json!("hello")).await;
    assert_eq!(words.hears().await, "MSG room \"hello\"");
    assert_eq!(broker.rejected("middleware").await, 1);

    let unknown = builder().send_from(&["lines"], Arc::new(NotToday)).start().await.err();
    let Some(BrokerError::Endpoint(BadName::Unknown { name, .. })) = unknown else { panic!("{unknown:?}") };
    assert_eq!(name, "lines");
}

/// The page shows the endpoint of the example, all of it, and says how long it is.
#[test]
fn the_page_shows_the_endpoint_as_it_is() {
    const PAGE: &str = include_str!("../../docs/endpoint.md");
    const EXAMPLE: &str = include_str!("../examples/line_endpoint.rs");
    let from = EXAMPLE.find("pub(crate) struct").unwrap();
    let shown = EXAMPLE[from..EXAMPLE.find("// The endpoint ends here.").unwrap()].replace("pub(crate) ", "");
    assert!(PAGE.contains(&shown), "docs/endpoint.md does not show this:\n{shown}");
    let lines = shown.lines().filter(|line| !line.trim().is_empty()).count();
    assert!(
        PAGE.contains(&format!("{lines} lines")),
        "docs/endpoint.md does not say that it has {lines} lines"
    );
}
