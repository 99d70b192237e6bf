//! How many clients there may be, whatever they speak.

use serde_json::json;

use crate::support::{Broker, OPEN, eventually, handshake, sse::Listener};

const SSE: &str = "endpoints: {sse: {enabled: true}}\n";

#[tokio::test]
async fn all_endpoints_count_together() {
    let broker = Broker::start(&format!("{OPEN}{SSE}limits: {{connections: 2}}\n")).await;
    let websocket = broker.connect().await;
    let (mut listener, _) = Listener::to(broker.client_address, &["news"]).await;
    assert_eq!(handshake(broker.client_address, "", b"").await.err().unwrap().status, 503);
    let mut refused = Listener::open(broker.client_address, "channel=news", "").await;
    let (code, retry) = refused.end().await;
    assert_eq!(code, 3011, "it may come to another instance");
    assert!((1_000..5_000).contains(&retry));
    assert_eq!(broker.rejected("connection_limit").await, 2);

    // The server API is for those who serve the clients, and is never full.
    let answer = broker.api("publish", &json!({"channel": "news", "data": 1})).await;
    assert_eq!(answer, json!({"result": {}}));
    assert_eq!(listener.publication("news").await, 1);

    drop(websocket);
    eventually("there is room again", async || {
        let mut listener = Listener::open(broker.client_address, "", "").await;
        listener.event().await.data["connect"].is_object()
    })
    .await;
}

#[tokio::test]
async fn an_address_has_so_many_clients() {
    let broker = Broker::start(&format!("{OPEN}{SSE}limits: {{connections_per_address: 2}}\n")).await;
    let _websocket = broker.connect().await;
    let (listener, _) = Listener::to(broker.client_address, &["news"]).await;
    let refused = handshake(broker.client_address, "", b"").await.err().unwrap();
    assert_eq!(refused.status, 429);
    assert!(refused.body.contains("from this address"), "{refused:?}");
    let mut refused = Listener::open(broker.client_address, "channel=news", "").await;
    assert_eq!(refused.end().await.0, 3011);
    assert_eq!(broker.rejected("address_limit").await, 2);
    drop(listener);
    eventually("there is room again", async || handshake(broker.client_address, "", b"").await.is_ok()).await;
}
