//! Opening a stream, and what comes through it.

use std::sync::Arc;

use serde_json::{Value, json};
use switchboard::backplane::memory::Memory;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::ON;
use crate::support::{
    Broker, OPEN, eventually, request,
    sse::{Listener, PATH},
    tls::{Certificate, connect, settings},
    within,
};

/// A POST with this body.
async fn post(broker: &Broker, body: &Value) -> Listener {
    let stream = TcpStream::connect(broker.client_address).await.unwrap();
    Listener::open_on(stream, "POST", PATH, "", body.to_string().as_bytes()).await
}

#[tokio::test]
async fn the_first_event_says_who_the_client_is_and_what_it_hears() {
    let broker = Broker::start(&format!("{OPEN}{ON}instance: {{id: chat-0}}\n")).await;
    let (listener, connect) = Listener::to(broker.client_address, &["a", "b"]).await;
    assert_eq!(listener.header("content-type"), Some("text/event-stream"));
    assert_eq!(listener.header("cache-control"), Some("no-store, no-transform"));
    assert_eq!(connect["subs"], json!({"a": {}, "b": {}}));
    assert_eq!((&connect["ping"], &connect["node"]), (&json!(25), &json!("chat-0")));
    assert_eq!(connect["client"].as_str().unwrap().len(), 36);
    assert_eq!(broker.metric("connections", &[("endpoint", "sse")]).await, 1);
    assert_eq!(broker.metric("connects_total", &[("endpoint", "sse")]).await, 1);
    assert_eq!(broker.metric("received_total", &[("endpoint", "sse"), ("command", "subscribe")]).await, 2);
    assert_eq!(broker.metric("subscriptions", &[]).await, 2);
}

#[tokio::test]
async fn every_way_to_ask_is_answered_alike() {
    let broker = Broker::start(&format!("{OPEN}{ON}")).await;
    let asked = json!({"subs": {"news": {}}});
    let encoded = asked.to_string().replace('{', "%7B").replace('}', "%7D").replace('"', "%22");
    let mut listeners = [
        Listener::open(broker.client_address, "channel=news", "").await,
        Listener::open(broker.client_address, &format!("cf_connect={encoded}"), "").await,
        post(&broker, &asked).await,
    ];
    for listener in &mut listeners {
        let first = listener.event().await;
        assert_eq!(first.data["connect"]["subs"], json!({"news": {}}));
        assert!(first.retry.is_some_and(|retry| (1_000..5_000).contains(&retry)), "{first:?}");
    }
    broker.api("publish", &json!({"channel": "news", "data": {"n": 1}, "tags": {"from": "backend"}})).await;
    for listener in &mut listeners {
        let push = listener.event().await;
        let publication = json!({"data": {"n": 1}, "tags": {"from": "backend"}});
        assert_eq!(push.data, json!({"channel": "news", "pub": publication}));
    }
}

#[tokio::test]
async fn messages_cross_instances_in_order_and_once() {
    let memory = Arc::new(Memory::default());
    let yaml = format!("{OPEN}{ON}channels: {{namespaces: [{{name: \"\", join_leave: true}}]}}\n");
    let a = Broker::joining(&memory, &yaml).await;
    let b = Broker::joining(&memory, &yaml).await;
    let (mut listener, connect) = Listener::to(a.client_address, &["room"]).await;
    assert_eq!(listener.event().await.data["join"]["info"]["client"], connect["client"]);
    let mut talker = b.connect().await;
    talker.subscribe("room").await;
    let joined = listener.event().await.data;
    for number in 0..500 {
        talker.publish("room", json!(number)).await;
    }
    for number in 0..500 {
        assert_eq!(listener.publication("room").await, number);
    }
    drop(talker);
    let left = listener.event().await.data;
    assert_eq!(left["leave"]["info"], joined["join"]["info"]);
}

#[tokio::test]
async fn a_client_that_goes_leaves_nothing_behind() {
    let broker = Broker::start(&format!("{OPEN}{ON}")).await;
    let mut client = broker.connect().await;
    client.subscribe("room").await;
    let count = async |client: &mut crate::support::Client| {
        let reply = client.command(json!({"presence_stats": {"channel": "room"}})).await;
        reply["presence_stats"]["num_clients"].as_u64().unwrap()
    };
    let (listener, _) = Listener::to(broker.client_address, &["room"]).await;
    assert_eq!(count(&mut client).await, 2);
    drop(listener);
    eventually("it has gone", async || count(&mut client).await == 1).await;
    assert_eq!(broker.metric("connections", &[("endpoint", "sse")]).await, 0);
    let ended = [("endpoint", "sse"), ("reason", "connection_closed")];
    assert_eq!(broker.metric("disconnects_total", &ended).await, 1);
    assert_eq!(broker.metric("subscriptions", &[]).await, 1);
}

#[tokio::test]
async fn the_backend_sends_to_a_client_and_ends_its_stream() {
    let broker = Broker::start(&format!("{OPEN}{ON}")).await;
    for (reconnect, code) in [(true, 3011), (false, 3503)] {
        let (mut listener, connect) = Listener::to(broker.client_address, &["news"]).await;
        let id = &connect["client"];
        let found = broker.api("clients", &json!({"endpoint": "sse"})).await;
        assert_eq!(&found["result"]["clients"][0]["id"], id);
        let sent = broker.api("send", &json!({"clients": [id], "data": {"n": 1}})).await;
        assert_eq!(sent["result"]["clients"][id.as_str().unwrap()], "delivered");
        assert_eq!(listener.event().await.data, json!({"message": {"data": {"n": 1}}}));
        broker.api("disconnect", &json!({"client": id, "reconnect": reconnect})).await;
        let (told, retry) = listener.end().await;
        assert_eq!((told, retry < 5_000), (code, reconnect));
    }
}

#[tokio::test]
async fn who_only_listens_is_never_inactive() {
    let yaml = "logic: {modules: [{name: idle, inactivity: {after: 1s, every: 1s}}]}\n";
    let broker = Broker::start(&format!("{OPEN}{ON}{yaml}")).await;
    let (mut listener, _) = Listener::to(broker.client_address, &["news"]).await;
    // It was silent for less long when it is found to be so.
    let mut silent = broker.connect().await;
    assert_eq!(silent.end().await, 4500);
    broker.api("publish", &json!({"channel": "news", "data": 1})).await;
    assert_eq!(listener.publication("news").await, 1);
    assert_eq!(broker.metric("connections", &[("endpoint", "sse")]).await, 1);
}

#[tokio::test]
async fn pings_come_by_themselves_and_want_no_answer() {
    let yaml = format!("{OPEN}endpoints: {{sse: {{enabled: true, ping_interval: 1s}}}}\n");
    let broker = Broker::start(&yaml).await;
    let (mut listener, connect) = Listener::to(broker.client_address, &["news"]).await;
    assert_eq!(connect["ping"], 1);
    listener.ping().await;
    listener.ping().await;
    broker.api("publish", &json!({"channel": "news", "data": 1})).await;
    assert_eq!(listener.publication("news").await, 1);
}

#[tokio::test]
async fn what_a_client_sends_afterwards_is_passed_over() {
    let broker = Broker::start(&format!("{OPEN}{ON}")).await;
    let mut stream = TcpStream::connect(broker.client_address).await.unwrap();
    let request = format!("GET {PATH}?channel=news HTTP/1.1\r\nHost: a\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut listener = Listener::open_on(stream, "GET", "/and/something/else", "", b"").await;
    assert!(listener.event().await.data["connect"].is_object());
    broker.api("publish", &json!({"channel": "news", "data": 1})).await;
    assert_eq!(listener.publication("news").await, 1);
}

#[tokio::test]
async fn a_stream_comes_through_tls_too() {
    let (certificate, folder) = (Certificate::new(), tempfile::tempdir().unwrap());
    certificate.write(folder.path());
    let tls = settings(folder.path());
    let broker = Broker::start(&format!("{OPEN}{ON}client: {{{tls}}}\n")).await;
    let stream = connect(broker.client_address, &certificate).await.unwrap();
    let mut listener = Listener::open_on(stream, "GET", &format!("{PATH}?channel=a"), "", b"").await;
    assert_eq!(listener.event().await.data["connect"]["subs"], json!({"a": {}}));
    let drain = tokio::spawn(broker.drain());
    assert_eq!(listener.end().await.0, 3001);
    within("the end of the drain", drain).await.unwrap();
}

#[tokio::test]
async fn the_endpoint_is_off_until_it_is_switched_on_and_its_path_is_a_setting() {
    let off = Broker::start(OPEN).await;
    assert_eq!(request(off.client_address, "GET", PATH, "", b"").await.status, 404);
    let yaml = format!("{OPEN}endpoints: {{sse: {{enabled: true, path: /events}}}}\n");
    let on = Broker::start(&yaml).await;
    assert_eq!(request(on.client_address, "GET", PATH, "", b"").await.status, 404);
    let stream = TcpStream::connect(on.client_address).await.unwrap();
    let mut listener = Listener::open_on(stream, "GET", "/events?channel=a", "", b"").await;
    assert!(listener.event().await.data["connect"].is_object());
}
