//! Input that ends its connection: the code, the counters, and nobody else notices.

use serde_json::json;

use super::{connected, open};
use crate::support::{Broker, eventually};

/// Bytes, the code, the reason of `disconnects_total`, and that of `rejected_total`.
type Case = (&'static str, Vec<u8>, u16, &'static str, &'static str);

#[tokio::test]
async fn bad_lines_end_their_connection_and_no_other() {
    let broker = Broker::start(&open("limits: {message_size: 1KiB}\n")).await;
    let mut bystander = connected(&broker).await;
    bystander.subscribe("news").await;
    let long = |end: &str| [" ".repeat(1025), end.into()].concat().into_bytes();
    let cases: [Case; 8] = [
        ("no JSON", b"hello\n".to_vec(), 3501, "bad_request", "malformed"),
        ("half a command", b"{\"id\":1,\n\"ping\":{}}\n".to_vec(), 3501, "bad_request", "malformed"),
        ("no number", b"{\"ping\":{}}\n".to_vec(), 3501, "bad_request", "malformed"),
        ("again", b"{\"id\":9,\"connect\":{}}\n".to_vec(), 3501, "bad_request", "already_connected"),
        ("a byte too long", long("\n"), 1009, "message_too_large", "too_large"),
        ("without an end", long("  "), 1009, "message_too_large", "too_large"),
        ("no UTF-8", b"\"\xff\"\n".to_vec(), 1007, "invalid_data", "malformed"),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), 3501, "bad_request", "malformed"),
    ];
    for (name, bytes, code, reason, rejection) in cases {
        let (ended, rejected) = (broker.ended_on("tcp", reason).await, broker.rejected(rejection).await);
        let mut client = connected(&broker).await;
        client.send_bytes(&bytes).await;
        assert_eq!(client.end().await, code, "{name}");
        eventually("it is counted", async || broker.ended_on("tcp", reason).await == ended + 1).await;
        assert_eq!(broker.rejected(rejection).await, rejected + 1, "{name}");
    }
    bystander.publish("news", json!("all is well")).await;
    assert_eq!(bystander.publication("news").await, "all is well");
}

#[tokio::test]
async fn the_longest_line_is_carried_out() {
    let broker = Broker::start(&open("limits: {message_size: 1KiB}\n")).await;
    let mut client = connected(&broker).await;
    client.subscribe("news").await;
    let (start, end) = ("{\"id\":77,\"publish\":{\"channel\":\"news\",\"data\":\"", "\"}}");
    let padding = "x".repeat(1024 - start.len() - end.len());
    client.send(&format!("{start}{padding}{end}\r")).await;
    client.reply(77).await;
    assert_eq!(client.publication("news").await, padding);
}

#[tokio::test]
async fn what_came_before_the_bad_line_is_done() {
    let broker = Broker::start(&open("")).await;
    let (mut client, mut subscriber) = (connected(&broker).await, broker.connect().await);
    client.subscribe("news").await;
    subscriber.subscribe("news").await;
    client
        .send("{\"id\":5,\"publish\":{\"channel\":\"news\",\"data\":1}}\nrubbish\n{\"id\":6,\"ping\":{}}")
        .await;
    client.reply(5).await;
    assert_eq!(client.end().await, 3501);
    assert_eq!(subscriber.publication("news").await, 1);
}

#[tokio::test]
async fn who_is_no_client_yet_may_only_connect() {
    let broker = Broker::start(&open("")).await;
    let mut client = broker.tcp().await;
    client.send("{\"id\":1,\"subscribe\":{\"channel\":\"a\"}}").await;
    assert_eq!(client.end().await, 3501);
    assert_eq!(broker.rejected("not_connected").await, 1);
    assert_eq!(broker.metric("connects_total", &[("endpoint", "tcp")]).await, 0);
}
