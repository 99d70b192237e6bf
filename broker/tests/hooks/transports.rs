//! Hooks of clients that come by other ways, and telling of those who have gone.

use serde_json::{Value, json};

use super::{at, at_url, disconnect, error};
use crate::support::{Answer, Broker, Frame, OPEN, Receiver, eventually, sse::Listener};

const ENDPOINTS: &str =
    "endpoints: {sse: {enabled: true}, tcp: {enabled: true}, udp: {enabled: true, cookie: false}}\n";

async fn broker(hooks: &str) -> Broker {
    Broker::start(&format!("{OPEN}{ENDPOINTS}{}hooks: {{{hooks}}}\n", super::CHANNELS)).await
}

/// What was asked so far: which hook, and by which way.
fn asked(receiver: &Receiver) -> Vec<(Value, Value)> {
    let bodies = receiver.got();
    bodies
        .iter()
        .map(|got| got.json())
        .map(|body| (body["hook"].clone(), body["transport"].clone()))
        .collect()
}

#[tokio::test]
async fn clients_of_lines_and_datagrams_are_asked_about_too() {
    let receiver = Receiver::start(Answer::Json(json!({}))).await;
    let hook = at(&receiver, "", "");
    let broker = broker(&format!("connect: {hook}, subscribe: {hook}, publish: {hook}")).await;
    let (mut tcp, mut udp) = (broker.tcp().await, broker.udp().await);
    tcp.connect("").await;
    tcp.subscribe("room").await;
    udp.connect("").await;
    udp.publish("room", json!(1)).await;
    assert_eq!(tcp.publication("room").await, 1);
    let expected = [("connect", "tcp"), ("subscribe", "tcp"), ("connect", "udp"), ("publish", "udp")];
    assert_eq!(asked(&receiver), expected.map(|(hook, transport)| (json!(hook), json!(transport))));
    receiver.always(error(1001));
    for reply in
        [tcp.command(super::publish("room", &json!(1))).await, udp.command(super::subscribe("room")).await]
    {
        assert_eq!(reply["error"]["code"], 1001, "{reply}");
    }
    receiver.always(disconnect(4503));
    tcp.send(r#"{"id":90,"publish":{"channel":"room","data":1}}"#).await;
    assert_eq!(tcp.frame().await, Frame::Close(4503, "go \"away\"".into()));
    udp.send(r#"{"id":90,"publish":{"channel":"room","data":1}}"#).await;
    assert_eq!(udp.frame().await, Frame::Close(4503, "go \"away\"".into()));
}

#[tokio::test]
async fn who_listens_by_server_sent_events_is_asked_about_too() {
    let receiver = Receiver::start(Answer::Json(json!({}))).await;
    let hook = at(&receiver, "", "");
    let broker = broker(&format!("connect: {hook}, subscribe: {hook}")).await;
    receiver.next([Answer::Json(json!({})), error(1001)]);
    let mut listener = Listener::open(broker.client_address, "channel=a&channel=b", "").await;
    let connect = &listener.event().await.data["connect"];
    assert_eq!(connect["subs"], json!({"b": {}}));
    assert_eq!(connect["refused"], json!({"a": {"code": 1001, "message": "not \"you\""}}));
    let expected = [("connect", "sse"), ("subscribe", "sse"), ("subscribe", "sse")];
    assert_eq!(asked(&receiver), expected.map(|(hook, transport)| (json!(hook), json!(transport))));

    for (answer, expected) in [
        (error(1001), json!({"code": 3507, "reason": "not \"you\""})),
        (disconnect(4504), json!({"code": 4504, "reason": "go \"away\""})),
        (Answer::Status(200, &[], "nonsense"), json!({"code": 3004, "reason": "internal server error"})),
    ] {
        receiver.always(answer);
        let mut listener = Listener::open(broker.client_address, "channel=a", "").await;
        assert_eq!(listener.event().await.data["disconnect"], expected);
    }
    assert_eq!(broker.metric("connections", &[("endpoint", "sse")]).await, 1);
}

#[tokio::test]
async fn clients_that_have_gone_are_told_of_in_order_and_at_the_end_of_a_drain() {
    let receiver = Receiver::start(Answer::Later(json!({}))).await;
    let broker = broker(&format!("disconnect: {}", at(&receiver, "", "batch: 10"))).await;
    let mut ids = Vec::new();
    for count in 1..=3 {
        let mut client = broker.open().await;
        ids.push(client.connect("").await["client"].clone());
        drop(client);
        eventually("it is gone", async || broker.ended("connection_closed").await == count).await;
        eventually("the first is told of", async || receiver.got().len() == 1).await;
    }
    let mut stays = broker.tcp().await;
    ids.push(stays.connect("").await["client"].clone());
    receiver.let_go(100);
    broker.drain().await;
    let told: Vec<Value> =
        receiver.got().iter().flat_map(|got| got.json()["disconnects"].as_array().unwrap().clone()).collect();
    assert_eq!(told.iter().map(|gone| gone["client"].clone()).collect::<Vec<_>>(), ids);
    assert!(receiver.got().len() < 4, "those who waited were told of together");
    let info = json!({"user": "", "client": ids[3]});
    let expected = json!({
        "client": ids[3], "info": info, "metadata": {}, "transport": "tcp", "code": 3001, "reason": "shutdown",
    });
    assert_eq!(told[3], expected);
}

#[tokio::test]
async fn a_receiver_that_is_not_there_keeps_nobody_from_going() {
    let nowhere = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let hook = at_url(&format!("http://{nowhere}/"), "time_limit: 1h, pending: 2", "retries: 1000000");
    let broker = broker(&format!("disconnect: {hook}")).await;
    for _ in 0..20 {
        drop(broker.connect().await);
    }
    eventually("they are gone", async || broker.ended("connection_closed").await == 20).await;
    let dropped = super::calls(&broker, "disconnect", "too_many").await;
    assert!((17..=18).contains(&dropped), "one is under way and two wait: {dropped}");
    assert_eq!(broker.metric("hook_pending", &[("hook", "disconnect")]).await, 20 - dropped);
}
