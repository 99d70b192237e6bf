//! What one client, and all of them together, may use.

use serde_json::json;

use crate::support::{Broker, OPEN, eventually, handshake};

#[tokio::test]
async fn a_client_has_so_many_channels() {
    let broker = Broker::start(&format!("{OPEN}limits: {{channels_per_client: 3}}\n")).await;
    let mut client = broker.connect().await;
    for channel in ["a", "b", "c"] {
        client.subscribe(channel).await;
    }
    let fourth = json!({"subscribe": {"channel": "d"}});
    assert_eq!(client.error(fourth.clone()).await, 106);
    assert_eq!(broker.rejected("channel_limit").await, 1);
    client.command(json!({"unsubscribe": {"channel": "a"}})).await;
    assert_eq!(client.command(fourth).await, json!({"subscribe": {}}));
    assert_eq!(broker.metric("subscriptions", &[]).await, 3);
}

#[tokio::test]
async fn an_instance_has_so_many_connections() {
    let broker = Broker::start(&format!("{OPEN}limits: {{connections: 2}}\n")).await;
    let (first, mut second) = (broker.connect().await, broker.connect().await);
    let refused = handshake(broker.client_address, "", b"").await.err().unwrap();
    assert_eq!(refused.status, 503);
    assert_eq!(broker.rejected("connection_limit").await, 1);
    drop(first);
    eventually("there is room again", async || handshake(broker.client_address, "", b"").await.is_ok()).await;
    assert!(second.unasked().await.is_empty());
}

#[tokio::test]
async fn a_payload_above_the_limit_is_refused() {
    let broker = Broker::start(&format!("{OPEN}limits: {{message_size: 100B}}\n")).await;
    let mut client = broker.connect().await;
    client.subscribe("a").await;
    let answer = broker.api("publish", &json!({"channel": "a", "data": "x".repeat(98)})).await;
    assert_eq!(answer, json!({"result": {}}), "a hundred bytes with the quotes");
    assert_eq!(client.publication("a").await, "x".repeat(98));
    let answer = broker.api("publish", &json!({"channel": "a", "data": "x".repeat(99)})).await;
    assert_eq!(answer["error"]["code"], 107);
    assert_eq!(broker.rejected("middleware").await, 1);
    assert_eq!(broker.metric("rejected_total", &[]).await, 1, "once");
    assert!(client.unasked().await.is_empty());
}
