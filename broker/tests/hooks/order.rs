//! The order of one client's commands while a hook is asked, and what may wait.

use serde_json::{Value, json};

use super::{at, broker, calls};
use crate::support::{Answer, Client, Receiver, eventually};

/// The numbers of the next replies; what is pushed in between is left out.
async fn replies(client: &mut Client, count: usize) -> Vec<u64> {
    let mut ids = Vec::new();
    while ids.len() < count {
        ids.extend(client.line().await["id"].as_u64());
    }
    ids
}

/// As many publishes into a channel, with their numbers as data, from this number on.
fn publishes(from: u64, count: u64) -> String {
    let publish = |id| json!({"id": id, "publish": {"channel": "room", "data": id}}).to_string();
    (from..from + count).map(publish).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn publishes_and_what_comes_behind_them_stay_in_order() {
    let receiver = Receiver::start(Answer::Json(json!({}))).await;
    let broker = broker(&format!("publish: {}", at(&receiver, "", ""))).await;
    let (mut ann, mut bob) = (broker.connect().await, broker.connect().await);
    bob.subscribe("room").await;
    receiver.next([Answer::Later(json!({}))]);
    ann.send(&publishes(11, 10)).await;
    ann.send(&format!("{}\n{{\"id\":31,\"ping\":{{}}}}", publishes(21, 10))).await;
    eventually("the first is asked about", async || receiver.got().len() == 1).await;
    assert!(bob.unasked().await.is_empty(), "nothing passes it by");
    assert_eq!(receiver.got().len(), 1);
    receiver.let_go(1);
    assert_eq!(replies(&mut ann, 21).await, (11..=31).collect::<Vec<_>>());
    for data in 11..=30 {
        assert_eq!(bob.publication("room").await, data);
    }
    assert_eq!(calls(&broker, "publish", "allowed").await, 20);
}

#[tokio::test]
async fn commands_behind_a_connect_are_carried_out_when_it_is() {
    let receiver = Receiver::start(Answer::Json(json!({}))).await;
    let hook = at(&receiver, "", "");
    let broker = broker(&format!("connect: {hook}, subscribe: {hook}")).await;
    receiver.next([Answer::Later(json!({}))]);
    let mut client = broker.open().await;
    client.send("{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":\"room\"}}").await;
    client.send(&format!("{}\n{{\"send\":{{\"data\":1}}}}\n{{\"id\":5}}", publishes(3, 2))).await;
    eventually("the connect is asked about", async || receiver.got().len() == 1).await;
    receiver.let_go(1);
    assert_eq!(replies(&mut client, 5).await, [1, 2, 3, 4, 5]);
    let hooks: Vec<Value> = receiver.got().iter().map(|got| got.json()["hook"].clone()).collect();
    assert_eq!(hooks, ["connect", "subscribe"]);
}

#[tokio::test]
async fn what_waits_is_bounded_and_the_rest_is_refused_for_now() {
    let receiver = Receiver::start(Answer::Json(json!({}))).await;
    let broker = broker(&format!("publish: {}", at(&receiver, "time_limit: 1h", ""))).await;
    let mut client = broker.connect().await;
    client.subscribe("room").await;
    receiver.next([Answer::Later(json!({}))]);
    client.send(&publishes(1000, 600)).await;
    for id in 1513..1600 {
        let reply = client.line().await;
        assert_eq!((&reply["id"], &reply["error"]["code"]), (&json!(id), &json!(111)));
    }
    assert_eq!(broker.rejected("too_many_requests").await, 87);
    receiver.let_go(1);
    assert_eq!(replies(&mut client, 513).await, (1000..1513).collect::<Vec<_>>());
}

#[tokio::test]
async fn pings_are_answered_while_a_hook_is_asked() {
    let receiver = Receiver::start(Answer::Later(json!({}))).await;
    let hook = at(&receiver, "time_limit: 1h", "");
    let endpoint = "endpoints: {websocket: {ping_interval: 3s, pong_timeout: 2s}}";
    let text = format!("{}{endpoint}\nhooks: {{publish: {hook}}}\n{}", crate::support::OPEN, super::CHANNELS);
    let broker = crate::support::Broker::start(&text).await;
    let mut client = broker.connect().await;
    client.send(&publishes(7, 1)).await;
    eventually("it is asked about", async || receiver.got().len() == 1).await;
    for _ in 0..2 {
        assert_eq!(client.frame().await, crate::support::Frame::Text("{}".into()));
        client.send("{}").await;
    }
    receiver.let_go(1);
    assert_eq!(replies(&mut client, 1).await, [7]);
}
