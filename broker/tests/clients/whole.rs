//! All that are in a channel, on whatever instances.

use serde_json::json;

use super::{client_of, list, next_push, pushed};
use crate::support::Broker;

pub(crate) async fn lists_of_a_channel_are_of_who_is_in_it(brokers: &[Broker]) {
    let (mut clients, mut inside) = (Vec::new(), Vec::new());
    for round in 0..4 {
        for broker in brokers {
            let (mut client, id) = client_of(broker, if round % 2 == 0 { "ann" } else { "bob" }).await;
            if round > 0 {
                client.subscribe("room").await;
                inside.push(id);
            }
            client.subscribe("hall").await;
            clients.push(client);
        }
    }
    // Of ids that were made within a millisecond, the later one may come first.
    let last = inside[8].clone();
    inside.sort();
    for broker in brokers {
        let (mut seen, mut query) = (Vec::new(), json!({"channel": "room", "limit": 4}));
        loop {
            let (page, answer) = list(broker, query.clone()).await;
            assert!(page.len() <= 4);
            seen.extend(page);
            query["after"] = answer["next"].clone();
            if query["after"].is_null() {
                break;
            }
        }
        assert_eq!(seen, inside, "without gap or overlap, in the order in which they connected");
    }
    for (query, count) in [
        (json!({"channel": "hall"}), 12),
        (json!({"channel": "room", "user": "ann"}), 3),
        (json!({"channel": "room", "instance": "chat-1"}), 3),
        (json!({"channel": "room", "endpoint": "tcp"}), 0),
        (json!({"channel": "nobody-is-here"}), 0),
    ] {
        assert_eq!(list(&brokers[2], query.clone()).await.0.len(), count, "{query}");
    }
    clients[11].command(json!({"unsubscribe": {"channel": "room"}})).await;
    inside.retain(|id| *id != last);
    assert_eq!(list(&brokers[0], json!({"channel": "room"})).await.0, inside);
    for (bad, code) in [("", 107), ("no:such", 102)] {
        assert_eq!(brokers[0].api("clients", &json!({"channel": bad})).await["error"]["code"], code);
    }
}

pub(crate) async fn all_in_a_channel_are_put_into_another_and_ended(brokers: &[Broker]) {
    let mut clients = Vec::new();
    for broker in brokers {
        let (mut inside, _) = client_of(broker, "ann").await;
        inside.subscribe("room").await;
        let (outside, _) = client_of(broker, "ann").await;
        clients.push((inside, outside));
    }
    let all = json!({"in": "room", "channel": "only:us"});
    assert_eq!(brokers[1].api("subscribe", &all).await, json!({"result": {"subscribed": 3}}));
    brokers[2].api("publish", &json!({"channel": "only:us", "data": 1})).await;
    for (inside, outside) in &mut clients {
        assert_eq!(next_push(inside).await["subscribe"], json!({}));
        assert_eq!(next_push(inside).await["pub"]["data"], 1);
        assert!(pushed(outside).await.is_empty());
    }
    assert_eq!(brokers[0].api("unsubscribe", &all).await, json!({"result": {"unsubscribed": 3}}));
    for (inside, _) in &mut clients {
        assert_eq!(next_push(inside).await["unsubscribe"]["code"], 2000);
    }
    for (method, bad, code) in [
        ("subscribe", json!({"in": "room", "user": "ann", "channel": "only:us"}), 107),
        ("subscribe", json!({"in": "no:such", "channel": "only:us"}), 102),
        ("disconnect", json!({"in": "room", "user": "ann"}), 107),
        ("disconnect", json!({"in": ""}), 107),
        ("disconnect", json!({"in": "no:such"}), 102),
    ] {
        assert_eq!(brokers[0].api(method, &bad).await["error"]["code"], code, "{bad}");
    }
    let ended = brokers[2].api("disconnect", &json!({"in": "room"})).await;
    assert_eq!(ended, json!({"result": {"disconnected": 3}}));
    for (inside, outside) in &mut clients {
        assert_eq!(inside.end().await, 3503);
        assert!(pushed(outside).await.is_empty());
    }
}
