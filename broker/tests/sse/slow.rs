//! Clients that do not read what they are sent.

use serde_json::json;
use tokio::net::TcpSocket;

use crate::support::{
    Broker, OPEN, eventually,
    sse::{Listener, PATH},
};

/// Nothing happens by itself for a long time: what is to be noticed is noticed when it happens.
const SMALL: &str = "limits: {message_size: 16KiB, outbox_size: 64KiB}
endpoints: {sse: {enabled: true, ping_interval: 1h}}\n";

async fn ended(broker: &Broker, reason: &str) -> u64 {
    broker.metric("disconnects_total", &[("endpoint", "sse"), ("reason", reason)]).await
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_off_and_the_others_get_everything() {
    let broker = Broker::start(&format!("{OPEN}{SMALL}")).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(broker.client_address).await.unwrap();
    let mut slow = Listener::open_on(stream, "GET", &format!("{PATH}?channel=flood"), "", b"").await;
    assert!(slow.event().await.data["connect"].is_object());
    let (mut reader, _) = Listener::to(broker.client_address, &["flood"]).await;

    let text = "x".repeat(8 * 1024);
    let mut sent = 0;
    while broker.metric("delivery_failures_total", &[("reason", "slow")]).await == 0 {
        broker.api("publish", &json!({"channel": "flood", "data": [sent, text]})).await;
        assert_eq!(reader.publication("flood").await[0], sent);
        sent += 1;
        assert!(broker.metric("outbox_bytes", &[]).await <= 2 * 64 * 1024, "memory is bounded");
        assert!(sent < 10_000, "the slow client is never ended");
    }
    eventually("it is cut off", async || ended(&broker, "slow").await == 1).await;
    slow.closed().await;
    assert_eq!(broker.metric("connections", &[("endpoint", "sse")]).await, 1);
    assert_eq!(broker.metric("subscriptions", &[]).await, 1);
    assert_eq!(broker.metric("outbox_bytes", &[]).await, 0, "its bytes are given back");
    broker.api("publish", &json!({"channel": "flood", "data": "afterwards"})).await;
    assert_eq!(reader.publication("flood").await, "afterwards");
}
