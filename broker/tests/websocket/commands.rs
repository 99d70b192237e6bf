//! Commands that go well.

use serde_json::json;

use crate::support::{Broker, Frame, OPEN};

#[tokio::test]
async fn connecting_tells_the_client_what_it_must_know() {
    let broker = Broker::start(&format!("{OPEN}instance: {{id: chat-7}}\n")).await;
    let mut client = broker.open().await;
    let connected = client.connect("").await;
    assert_eq!(connected["ping"], 25);
    assert_eq!(connected["pong"], true);
    assert_eq!(connected["node"], "chat-7");
    assert!(connected["version"].as_str().is_some_and(|version| version.contains(env!("CARGO_PKG_VERSION"))));
    assert_eq!(connected.get("expires"), None);
    assert_eq!(broker.metric("connections", &[("endpoint", "websocket")]).await, 1);
    assert_eq!(broker.metric("connects_total", &[("endpoint", "websocket")]).await, 1);
}

#[tokio::test]
async fn a_publication_reaches_every_subscriber_and_nobody_else() {
    let broker = Broker::start(OPEN).await;
    let (mut ann, mut bob, mut eve) =
        (broker.connect().await, broker.connect().await, broker.connect().await);
    ann.subscribe("news").await;
    bob.subscribe("news").await;
    eve.subscribe("olds").await;

    ann.publish("news", json!({"text": "hi"})).await;
    assert_eq!(ann.publication("news").await, json!({"text": "hi"}), "the publisher is a subscriber too");
    assert_eq!(bob.publication("news").await, json!({"text": "hi"}));
    assert!(eve.unasked().await.is_empty());

    assert_eq!(broker.metric("publishes_total", &[("source", "client")]).await, 1);
    assert_eq!(broker.metric("deliveries_total", &[("origin", "local")]).await, 2);
    assert_eq!(broker.metric("deliveries_total", &[("origin", "remote")]).await, 0);
    for (command, count) in [("connect", 3), ("subscribe", 3), ("publish", 1), ("ping", 1)] {
        let labels = [("endpoint", "websocket"), ("command", command)];
        assert_eq!(broker.metric("received_total", &labels).await, count, "{command}");
    }
}

#[tokio::test]
async fn a_publication_says_who_it_is_from() {
    let broker = Broker::start(OPEN).await;
    let mut client = broker.open().await;
    let id = client.connect("").await["client"].clone();
    client.subscribe("news").await;
    client.publish("news", json!(1)).await;
    let push = client.push().await;
    assert_eq!(push, json!({"channel": "news", "pub": {"data": 1, "info": {"user": "", "client": id}}}));
}

#[tokio::test]
async fn nothing_comes_after_unsubscribing() {
    let broker = Broker::start(OPEN).await;
    let (mut ann, mut bob) = (broker.connect().await, broker.connect().await);
    ann.subscribe("news").await;
    bob.subscribe("news").await;
    assert_eq!(broker.metric("subscriptions", &[]).await, 2);
    assert_eq!(broker.metric("channels", &[]).await, 1);

    let unsubscribe = json!({"unsubscribe": {"channel": "news"}});
    assert_eq!(bob.command(unsubscribe.clone()).await, json!({"unsubscribe": {}}));
    ann.publish("news", json!(1)).await;
    assert!(bob.unasked().await.is_empty());
    assert_eq!(bob.command(unsubscribe).await, json!({"unsubscribe": {}}), "once more is no error");

    bob.subscribe("news").await;
    ann.publish("news", json!(2)).await;
    assert_eq!(bob.publication("news").await, 2);
}

#[tokio::test]
async fn several_commands_come_in_one_frame_and_are_answered_in_order() {
    let broker = Broker::start(OPEN).await;
    let mut client = broker.open().await;
    let commands = [
        r#"{"id":1,"connect":{}}"#,
        r#"{"id":2,"subscribe":{"channel":"a"}}"#,
        r#"{"id":3,"publish":{"channel":"a","data":"first"}}"#,
        r#"{"id":4,"publish":{"channel":"nowhere:a","data":"lost"}}"#,
        r#"{"id":5,"ping":{}}"#,
    ];
    client.send(&commands.join("\n")).await;
    assert!(client.line().await["connect"].is_object());
    assert_eq!(client.line().await, json!({"id": 2, "subscribe": {}}));
    let third = [client.line().await, client.line().await];
    assert!(third.contains(&json!({"id": 3, "publish": {}})), "{third:?}");
    assert!(third.iter().any(|line| line["push"]["pub"]["data"] == "first"), "{third:?}");
    assert_eq!(client.line().await["error"]["code"], 102);
    assert_eq!(client.line().await, json!({"id": 5, "ping": {}}));
}

#[tokio::test]
async fn a_message_to_nobody_is_counted_and_the_connection_stays() {
    let broker = Broker::start(OPEN).await;
    let mut client = broker.connect().await;
    client.send(r#"{"send":{"data":{"to":"a logic module"}}}"#).await;
    assert!(client.unasked().await.is_empty());
    assert_eq!(broker.rejected("not_available").await, 1);
}

#[tokio::test]
async fn a_ping_frame_is_answered_with_its_payload() {
    use tungstenite::protocol::frame::coding::{Control, OpCode};
    let broker = Broker::start(OPEN).await;
    let mut client = broker.connect().await;
    for payload in [&b""[..], b"are you there?", &[0xff; 125]] {
        let ping = crate::support::frame(OpCode::Control(Control::Ping), true, payload);
        client.send_bytes(&ping).await;
        assert_eq!(client.frame().await, Frame::Pong(payload.to_vec()));
    }
    // Pongs that nobody asked for are allowed.
    let pong = crate::support::frame(OpCode::Control(Control::Pong), true, b"by the way");
    client.send_bytes(&pong).await;
    assert!(client.unasked().await.is_empty());
}

#[tokio::test]
async fn a_client_that_goes_leaves_nothing_behind() {
    let broker = Broker::start(OPEN).await;
    let mut stays = broker.connect().await;
    stays.subscribe("news").await;
    let mut goes = broker.connect().await;
    goes.subscribe("news").await;
    goes.subscribe("olds").await;
    drop(goes);
    crate::support::eventually("the client is gone", async || {
        broker.metric("connections", &[("endpoint", "websocket")]).await == 1
    })
    .await;
    assert_eq!(broker.metric("subscriptions", &[]).await, 1);
    assert_eq!(broker.metric("channels", &[]).await, 1);
    assert_eq!(broker.ended("connection_closed").await, 1);
}
