//! Requests and subscriptions that are refused, each with its reason and counted.

use std::sync::Arc;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::ON;
use crate::{
    support::{
        Broker, OPEN, Response, eventually, request,
        sse::{Listener, PATH},
        token::SECRET,
        within,
    },
    websocket::waiting::Held,
};

async fn get(broker: &Broker, query: &str) -> Response {
    request(broker.client_address, "GET", &format!("{PATH}?{query}"), "", b"").await
}

#[tokio::test]
async fn what_cannot_be_read_is_told_what_to_write() {
    let broker = Broker::start(&format!("{OPEN}{ON}limits: {{message_size: 1KiB}}\n")).await;
    for (answer, says) in [
        (get(&broker, "cf_connect=%7B").await, "write it like"),
        (get(&broker, "cf_connect=%7B%7D&channel=a").await, "either cf_connect, or channel"),
        (request(broker.client_address, "POST", PATH, "", b"{\"subs\":1}").await, "write it like"),
    ] {
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.body.contains(says), "{answer:?}");
    }
    assert_eq!(broker.rejected("malformed").await, 3);
    let large = json!({"token": "x".repeat(2000)}).to_string();
    let answer = request(broker.client_address, "POST", PATH, "", large.as_bytes()).await;
    assert_eq!(answer.status, 413, "{answer:?}");
    assert_eq!(broker.rejected("too_large").await, 1);
    for method in ["HEAD", "PUT", "DELETE"] {
        assert_eq!(request(broker.client_address, method, PATH, "", b"").await.status, 405, "{method}");
    }
    assert_eq!(broker.metric("connects_total", &[("endpoint", "sse")]).await, 0);
}

#[tokio::test]
async fn a_channel_that_is_refused_is_told_with_the_others() {
    let rules = "
limits: {channels_per_client: 3, channel_length: 20}
channels:
  namespaces:
    - {name: \"\"}
    - {name: shut, subscribe: nobody}
";
    let broker = Broker::start(&format!("{OPEN}{ON}{rules}")).await;
    let query =
        "channel=a&channel=shut:a&channel=nowhere:a&channel=twenty-one-characters&channel=a&channel=b";
    let mut listener = Listener::open(broker.client_address, query, "").await;
    let connect = listener.event().await.data["connect"].take();
    assert_eq!(connect["subs"], json!({"a": {}, "b": {}}));
    assert_eq!(
        connect["refused"],
        json!({
            "shut:a": {"code": 103, "message": "permission denied"},
            "nowhere:a": {"code": 102, "message": "unknown channel"},
            "twenty-one-characters": {"code": 107, "message": "bad request"},
        })
    );
    for reason in ["permission_denied", "unknown_channel", "bad_channel"] {
        assert_eq!(broker.rejected(reason).await, 1, "{reason}");
    }
    broker.api("publish", &json!({"channel": "b", "data": 1})).await;
    assert_eq!(listener.publication("b").await, 1);

    let mut listener =
        Listener::open(broker.client_address, "channel=1&channel=2&channel=3&channel=4", "").await;
    let connect = listener.event().await.data["connect"].take();
    assert_eq!(connect["subs"], json!({"1": {}, "2": {}, "3": {}}));
    assert_eq!(connect["refused"], json!({"4": {"code": 106, "message": "limit exceeded"}}));
}

#[tokio::test]
async fn who_may_not_connect_is_told_why_and_to_stay_away() {
    let broker = Broker::start(&format!("auth: {{jwt: {{hmac_secret: \"{SECRET}\"}}}}\n{ON}")).await;
    for (query, code, reason, disconnect) in [
        ("channel=a", 3507, "no_token", "permission_denied"),
        ("channel=a&token=rubbish", 3500, "invalid_token", "invalid_token"),
    ] {
        let mut listener = Listener::open(broker.client_address, query, "").await;
        assert_eq!(listener.status, 200, "another status would say nothing to an EventSource");
        assert_eq!(listener.end().await, (code, 60_000));
        assert_eq!(broker.rejected(reason).await, 1);
        let ended = [("endpoint", "sse"), ("reason", disconnect)];
        assert_eq!(broker.metric("disconnects_total", &ended).await, 1);
    }
    assert_eq!(broker.metric("connects_total", &[("endpoint", "sse")]).await, 0);
}

#[tokio::test]
async fn a_subscription_that_fails_for_now_ends_the_stream_so_that_the_client_asks_again() {
    let held = Arc::new(Held::default());
    let broker = Broker::on(held.clone(), &format!("{OPEN}{ON}")).await;
    let opening = tokio::spawn(Listener::open(broker.client_address, "channel=a", ""));
    eventually("it asks for the channel", async || held.refuse() > 0).await;
    let mut listener = opening.await.unwrap();
    let connect = listener.event().await.data["connect"].take();
    assert_eq!(connect["subs"], json!({}));
    assert_eq!(connect["refused"]["a"]["code"], 100);
    let (code, retry) = listener.end().await;
    assert_eq!(code, 3004);
    assert!((1_000..5_000).contains(&retry));
    assert_eq!(broker.rejected("unavailable").await, 1);
    assert_eq!(broker.metric("connections", &[("endpoint", "sse")]).await, 0);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_awaited_for_ever() {
    let broker = Broker::start(&format!("{OPEN}{ON}")).await;
    let mut stream = TcpStream::connect(broker.client_address).await.unwrap();
    let head = format!("POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{{");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = within("an answer", stream.read_to_string(&mut answer)).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("did not come within 10 s"), "{answer}");
}
