//! An instance that leaves.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{
    Broker, OPEN, eventually,
    sse::{Listener, PATH},
    within,
};

const ON: &str = "endpoints: {sse: {enabled: true, ping_interval: 1h}}\n";

#[tokio::test]
async fn clients_are_told_to_come_back_and_nobody_else_is_let_in() {
    let broker = Broker::start(&format!("{OPEN}{ON}drain: {{grace: 25s, pace: 20}}\n")).await;
    let mut listeners = Vec::new();
    for _ in 0..30 {
        listeners.push(Listener::to(broker.client_address, &["news"]).await.0);
    }
    broker.api("publish", &json!({"channel": "news", "data": "last"})).await;
    let drain = tokio::spawn(broker.drain());
    eventually("readiness fails", async || broker.admin("GET", "/readyz").await.status == 503).await;
    let mut refused = Listener::open(broker.client_address, "channel=news", "").await;
    assert_eq!(refused.status, 200, "with another, an EventSource would give up for good");
    let (code, retry) = refused.end().await;
    assert!(code == 3001 && (1_000..5_000).contains(&retry), "{code} {retry}");
    assert_eq!(broker.rejected("draining").await, 1);

    for mut listener in listeners {
        assert_eq!(listener.publication("news").await, "last", "what is queued comes first");
        let (code, retry) = listener.end().await;
        assert!(code == 3001 && (1_000..5_000).contains(&retry), "{code} {retry}");
        listener.closed().await;
    }
    let drained = within("the end of the drain", drain).await.unwrap();
    assert_eq!((drained.closed, drained.left), (30, 0));
    assert!(TcpStream::connect(broker.client_address).await.is_err(), "the port is closed");
}

#[tokio::test]
async fn who_does_not_read_does_not_hold_the_drain() {
    let broker = Broker::start(&format!("{OPEN}{ON}drain: {{grace: 25s}}\n")).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(broker.client_address).await.unwrap();
    let mut deaf = Listener::open_on(stream, "GET", &format!("{PATH}?channel=news"), "", b"").await;
    assert!(deaf.event().await.data["connect"].is_object());
    let text = "x".repeat(60_000);
    // Much more than the socket takes, and less than the outbox holds.
    for _ in 0..12 {
        broker.api("publish", &json!({"channel": "news", "data": text})).await;
    }
    let begun = Instant::now();
    let drained = within("the end of the drain", broker.drain()).await;
    assert_eq!((drained.closed, drained.left), (1, 0));
    assert!(begun.elapsed() < Duration::from_secs(20), "not the whole grace");
    drop(deaf);
}
