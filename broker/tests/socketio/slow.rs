//! Clients that do not read.

use serde_json::json;

use super::{Poller, with};
use crate::support::{Broker, eventually};

#[tokio::test]
async fn who_never_asks_for_what_there_is_is_bounded_and_ended() {
    let broker = Broker::start(&format!("{}limits: {{outbox_size: 128KiB}}\n", with(""))).await;
    let (slow, other) = (Poller::connect(&broker).await, Poller::connect(&broker).await);
    for client in [&slow, &other] {
        client.posts("420[\"join\",\"room\"]").await;
        assert_eq!(client.hears().await, r#"430[{"status":"ok"}]"#);
    }
    let data = "x".repeat(10_000);
    for number in 0..20 {
        let event = json!({"channel": "room", "data": ["n", number, data]});
        assert_eq!(broker.api("publish", &event).await, json!({"result": {}}));
        // What the other was given counts until it asks again.
        assert!(broker.metric("outbox_bytes", &[]).await <= 160 * 1024);
        let heard = other.hears().await;
        assert!(heard.starts_with(&format!("42[\"n\",{number},")), "{}", &heard[..20]);
    }
    eventually("it is ended", async || broker.ended_on("socketio", "slow").await == 1).await;
    eventually("it is forgotten", async || slow.is_gone().await).await;
    assert!(broker.metric("outbox_bytes", &[]).await <= 16 * 1024);
}

#[tokio::test]
async fn volatile_events_are_for_those_who_keep_up() {
    let broker = Broker::start(&with("volatile: [typing]")).await;
    let (slow, fast) = (Poller::connect(&broker).await, Poller::connect(&broker).await);
    for client in [&slow, &fast] {
        client.posts("420[\"join\",\"room\"]").await;
        assert_eq!(client.hears().await, r#"430[{"status":"ok"}]"#);
    }
    // What was given to a request counts as unread until the next request comes.
    let waiting = tokio::spawn(async move {
        let heard = [fast.hears().await, fast.hears().await];
        (heard, fast)
    });
    for data in [json!(["news"]), json!(["typing"])] {
        let heard = broker.metric("deliveries_total", &[]).await;
        broker.api("publish", &json!({"channel": "room", "data": data})).await;
        let counted = async || {
            let dropped = broker.metric("delivery_failures_total", &[("reason", "volatile")]).await;
            broker.metric("deliveries_total", &[]).await + dropped == heard + 2
        };
        eventually("it is delivered or dropped", counted).await;
    }
    assert!(broker.metric("delivery_failures_total", &[("reason", "volatile")]).await >= 1);
    assert_eq!(slow.hears().await, r#"42["news"]"#, "it has missed what is volatile");
    drop(waiting);
}
