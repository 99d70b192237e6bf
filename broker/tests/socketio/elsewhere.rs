//! Requests that land on another instance than their connection's.

use std::sync::Arc;

use serde_json::json;
use switchboard::backplane::memory::Memory;

use super::{ON, Poller};
use crate::support::{Broker, eventually, within};

/// Two instances in one memory.
pub(super) async fn pair() -> [Broker; 2] {
    let memory = Arc::new(Memory::default());
    let broker = async |id| Broker::joining(&memory, &format!("{ON}instance: {{id: {id}}}\n")).await;
    [broker("chat-0").await, broker("chat-1").await]
}

#[tokio::test]
async fn a_connection_is_found_by_every_instance() {
    let [a, b] = pair().await;
    let here = Poller::open(&a).await;
    let there = Poller { address: b.client_address, sid: here.sid.clone() };
    there.posts("40").await;
    assert!(here.hears().await.starts_with("40{"));
    here.posts("420[\"join\",\"room\"]").await;
    assert_eq!(there.hears().await, r#"430[{"status":"ok"}]"#);
    let event = json!({"channel": "room", "data": ["a", {"$binary": "AQI="}]});
    let (heard, _) = tokio::join!(there.hears(), b.api("publish", &event));
    assert_eq!(heard, "451-[\"a\",{\"_placeholder\":true,\"num\":0}]\u{1e}bAQI=");
    assert_eq!(b.metric("socketio_forwarded_total", &[("outcome", "ok")]).await, 3);
    assert_eq!(b.metric("connections", &[("endpoint", "socketio")]).await, 0, "it belongs to one instance");
    // What is wrong is refused by the instance that it belongs to.
    assert_eq!(there.post("x").await.json()["code"], 3);
    assert_eq!(b.metric("socketio_forwarded_total", &[("outcome", "refused")]).await, 1);
}

#[tokio::test]
async fn a_forged_name_of_a_living_instance_is_unknown() {
    let [a, b] = pair().await;
    let client = Poller::connect(&a).await;
    let forged = format!("{}{}", "A".repeat(22), &client.sid[22..]);
    for address in [a.client_address, b.client_address] {
        assert!(Poller { address, sid: forged.clone() }.is_gone().await);
    }
}

#[tokio::test]
async fn a_connection_of_an_instance_that_has_gone_is_unknown() {
    let [a, b] = pair().await;
    let client = Poller::connect(&a).await;
    let there = Poller { address: b.client_address, sid: client.sid.clone() };
    there.posts("420[\"join\",\"room\"]").await;
    within("the end of the drain", a.drain()).await;
    eventually("it is unknown", async || there.is_gone().await).await;
}
