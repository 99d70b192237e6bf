//! What one client, and all of them together, may use.

use serde_json::json;

use crate::support::{Broker, Client, OPEN, eventually, handshake};

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

/// How many of twenty publishes are refused as too many. A second may pass between two of them, so that more go through
/// than the burst; not all of them.
async fn refused(client: &mut Client, channel: &str) -> u64 {
    let mut refused = 0;
    for _ in 0..20 {
        let reply = client.command(json!({"publish": {"channel": channel, "data": 1}})).await;
        if reply != json!({"publish": {}}) {
            assert_eq!((&reply["error"]["code"], &reply["error"]["temporary"]), (&json!(111), &json!(true)));
            refused += 1;
        }
    }
    refused
}

#[tokio::test]
async fn a_client_that_sends_too_much_is_told_to_wait_and_the_others_are_not() {
    let namespaces = "channels: {namespaces: [{name: \"\", publish: any}]}\n";
    let limits = "limits: {rate: {per_second: 1, burst: 3}}\n";
    let broker = Broker::start(&format!("{OPEN}{namespaces}{limits}")).await;
    let (mut ann, mut bob) = (broker.connect().await, broker.connect().await);
    let refused = refused(&mut ann, "news").await;
    assert!(refused > 10, "{refused}");
    assert_eq!(broker.rejected("rate_limit").await, refused);
    bob.publish("news", json!(1)).await;
}

#[tokio::test]
async fn a_namespace_has_a_rate_of_its_own() {
    let slow = "{name: slow, publish: any, rate: {per_second: 1}}";
    let namespaces = format!("channels: {{namespaces: [{{name: \"\", publish: any}}, {slow}]}}\n");
    let broker = Broker::start(&format!("{OPEN}{namespaces}")).await;
    let mut client = broker.connect().await;
    assert!(refused(&mut client, "slow:1").await > 10);
    assert_eq!(refused(&mut client, "news").await, 0);
}
