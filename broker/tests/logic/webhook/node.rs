//! The example receiver in Node.js.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{KEY, broker_at, rpc, runs};
use crate::support::{eventually, example_receiver, request, within};

#[tokio::test]
async fn the_example_answers_publishes_and_disconnects() {
    let (_receiver, address) = example_receiver(KEY).await;
    let broker = broker_at(&format!("http://{address}/messages"), "batch: 10", "").await;
    let mut client = broker.open().await;
    let id = client.connect("").await["client"].clone();
    client.subscribe("news").await;
    let add = json!({"do": "add", "numbers": [1, 2, 3.5]});
    assert_eq!(client.command(rpc(&add)).await, json!({"rpc": {"data": {"sum": 6.5}}}));
    let say = json!({"do": "say", "channel": "news", "text": "hi"});
    assert_eq!(client.command(rpc(&say)).await, json!({"rpc": {"data": "said"}}));
    assert_eq!(client.publication("news").await, json!({"text": "hi", "by": id}));
    assert_eq!(client.error(rpc(&json!({"do": "fly"}))).await, 103);
    client.send(&json!({"send": {"data": {"do": "leave"}}}).to_string()).await;
    assert_eq!(client.end().await, 3503);
    eventually("all are counted", async || runs(&broker, "ok").await == 3).await;
    assert_eq!(runs(&broker, "refused").await, 1);
}

#[tokio::test]
async fn the_example_ends_in_order_when_it_is_told_to() {
    let (mut receiver, _) = example_receiver(KEY).await;
    let pid = Pid::from_raw(receiver.id().unwrap().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let status = within("the receiver's end", receiver.wait()).await.unwrap();
    // As the first process of a container it would not be ended by a signal that it does not handle.
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn the_example_refuses_what_is_not_signed() {
    let (_receiver, address) = example_receiver(KEY).await;
    let body = json!({"id": "x", "messages": [{"data": {"do": "add", "numbers": [1]}}]}).to_string();
    let now = crate::support::token::in_seconds(0);
    let post = async |timestamp: i64, signed: &str, key: &str| {
        let signature = super::hmac(key.as_bytes(), format!("{timestamp}.{signed}").as_bytes());
        let headers = format!(
            "X-Switchboard-Timestamp: {timestamp}\r\nX-Switchboard-Signature: v1={signature}\r\nX-Switchboard-Delivery: x\r\n"
        );
        request(address, "POST", "/", &headers, body.as_bytes()).await.status
    };
    assert_eq!(post(now, &body, KEY).await, 200);
    assert_eq!(post(now, &body, "another key").await, 401);
    assert_eq!(post(now, &body.replace('1', "2"), KEY).await, 401);
    assert_eq!(post(now - 3600, &body, KEY).await, 401, "it is from long ago");
    assert_eq!(request(address, "POST", "/", "", body.as_bytes()).await.status, 401);
    let other = broker_at(&format!("http://{address}/"), "headers: {}", "").await;
    let answer: Value = other.connect().await.command(rpc(&json!({"do": "add", "numbers": []}))).await;
    assert_eq!(answer, json!({"rpc": {"data": {"sum": 0}}}));
}
