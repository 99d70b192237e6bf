//! Several brokers on one backplane in memory.

mod alone;
mod broken;

use std::sync::Arc;

use futures_util::future::FutureExt;
use serde_json::{Value, json};
use switchboard::backplane::memory::Memory;

use crate::support::{Broker, Client, OPEN, eventually, within};

/// Brokers that are called `chat-0`, `chat-1`, …
async fn cluster(size: usize, more: &str) -> Vec<Broker> {
    let memory = Arc::new(Memory::default());
    let mut brokers = Vec::new();
    for number in 0..size {
        let yaml = format!("{OPEN}instance: {{id: chat-{number}}}\n{more}");
        brokers.push(Broker::joining(&memory, &yaml).await);
    }
    brokers
}

async fn subscribed(broker: &Broker, channel: &str) -> Client {
    let mut client = broker.connect().await;
    client.subscribe(channel).await;
    client
}

const PUBLISH: &str = "channels: {namespaces: [{name: \"\", publish: any, presence: any}]}\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_delivered_once_everywhere_and_in_order() {
    const MESSAGES: u64 = 2_000;
    let brokers = cluster(3, PUBLISH).await;
    let mut readers = Vec::new();
    for broker in &brokers {
        let mut subscriber = subscribed(broker, "count").await;
        readers.push(tokio::spawn(async move {
            for expected in 0..MESSAGES {
                assert_eq!(subscriber.publication("count").await, expected);
            }
            assert!(subscriber.unasked().await.is_empty(), "nothing twice");
        }));
    }
    let mut publisher = brokers[1].connect().await;
    for number in 0..MESSAGES {
        publisher.publish("count", json!(number)).await;
    }
    for reader in readers {
        reader.await.unwrap();
    }
    // Nothing goes in circles: each message entered once, and each instance delivered it once.
    for (index, broker) in brokers.iter().enumerate() {
        let origin = async |origin| broker.metric("deliveries_total", &[("origin", origin)]).await;
        let (local, remote) = if index == 1 { (MESSAGES, 0) } else { (0, MESSAGES) };
        assert_eq!((origin("local").await, origin("remote").await), (local, remote), "chat-{index}");
        assert_eq!(broker.metric("publishes_total", &[]).await, local, "chat-{index}");
    }
}

#[tokio::test]
async fn middleware_runs_at_the_origin_and_nowhere_else() {
    let memory = Arc::new(Memory::default());
    // The receive chain of the second one would refuse what the first one takes.
    let wide = Broker::joining(&memory, &format!("{OPEN}instance: {{id: chat-0}}\n{PUBLISH}")).await;
    let narrow = format!("{OPEN}instance: {{id: chat-1}}\n{PUBLISH}limits: {{message_size: 1KiB}}\n");
    let narrow = Broker::joining(&memory, &narrow).await;
    let mut subscriber = subscribed(&narrow, "wide").await;
    let text = "x".repeat(10_000);
    wide.connect().await.publish("wide", json!(text)).await;
    assert_eq!(subscriber.publication("wide").await, text);
    assert_eq!(narrow.metric("rejected_total", &[]).await, 0);
    assert_eq!(narrow.metric("publishes_total", &[]).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_publishers_order_is_kept() {
    const MESSAGES: u64 = 500;
    let brokers = cluster(2, PUBLISH).await;
    let mut publishers = Vec::new();
    let mut subscribers = [subscribed(&brokers[0], "mixed").await, subscribed(&brokers[1], "mixed").await];
    for (index, broker) in brokers.iter().enumerate() {
        let mut publisher = broker.connect().await;
        publishers.push(tokio::spawn(async move {
            for number in 0..MESSAGES {
                publisher.publish("mixed", json!([index, number])).await;
            }
        }));
    }
    for subscriber in &mut subscribers {
        let mut next = [0, 0];
        for _ in 0..2 * MESSAGES {
            let publication = subscriber.publication("mixed").await;
            let index = publication[0].as_u64().unwrap() as usize;
            assert_eq!(publication[1], next[index]);
            next[index] += 1;
        }
    }
    for publisher in publishers {
        publisher.await.unwrap();
    }
}

#[tokio::test]
async fn presence_joins_and_leaves_are_those_of_all_instances() {
    let brokers = cluster(2, "channels: {namespaces: [{name: \"\", join_leave: true}]}\n").await;
    let mut ann = subscribed(&brokers[0], "room").await;
    assert!(ann.push().await["join"].is_object(), "its own");
    let mut bob = brokers[1].open().await;
    let info = json!({"user": "", "client": bob.connect("").await["client"]});
    bob.subscribe("room").await;
    assert_eq!(ann.push().await, json!({"channel": "room", "join": {"info": info}}));
    for client in [&mut ann, &mut bob] {
        let reply = client.command(json!({"presence": {"channel": "room"}})).await;
        assert_eq!(reply["presence"]["presence"].as_object().map(|members| members.len()), Some(2));
        let stats = client.command(json!({"presence_stats": {"channel": "room"}})).await;
        assert_eq!(stats, json!({"presence_stats": {"num_clients": 2, "num_users": 1}}));
    }
    drop(bob);
    assert_eq!(ann.push().await, json!({"channel": "room", "leave": {"info": info}}));
    let stats = ann.command(json!({"presence_stats": {"channel": "room"}})).await;
    assert_eq!(stats["presence_stats"]["num_clients"], 1);
}

#[tokio::test]
async fn the_server_api_speaks_for_all_instances() {
    let brokers = cluster(2, "").await;
    let mut ann = subscribed(&brokers[0], "room").await;
    let mut bob = subscribed(&brokers[1], "room").await;
    bob.subscribe("hall").await;
    for broker in &brokers {
        broker.api("publish", &json!({"channel": "room", "data": 1, "tags": {"a": "b"}})).await;
        for client in [&mut ann, &mut bob] {
            let push = client.push().await;
            assert_eq!(push, json!({"channel": "room", "pub": {"data": 1, "tags": {"a": "b"}}}));
        }
        let channels = broker.api("channels", &json!({})).await;
        let expected = json!({"hall": {"num_clients": 1}, "room": {"num_clients": 2}});
        assert_eq!(channels["result"]["channels"], expected);
        assert_eq!(names(broker).await, ["chat-0", "chat-1"]);
    }
}

async fn names(broker: &Broker) -> Vec<String> {
    let info = broker.api("info", &json!({})).await;
    let nodes = info["result"]["nodes"].as_array().unwrap();
    let name = |node: &Value| node["name"].as_str().unwrap().to_owned();
    let mut names: Vec<_> = nodes.iter().map(name).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_drained_instance_is_gone_and_its_clients_go_on_elsewhere() {
    let brokers = cluster(2, PUBLISH).await;
    let mut stays = subscribed(&brokers[0], "room").await;
    let mut moves = subscribed(&brokers[1], "room").await;
    let drain = tokio::spawn(brokers[1].drain());
    assert_eq!(moves.end().await, 3001);
    drop(moves);
    within("the end of the drain", drain).await.unwrap();
    assert_eq!(names(&brokers[0]).await, ["chat-0"]);
    let stats = stays.command(json!({"presence_stats": {"channel": "room"}})).await;
    assert_eq!(stats["presence_stats"]["num_clients"], 1);
    let mut moved = subscribed(&brokers[0], "room").await;
    stays.publish("room", json!("welcome")).await;
    assert_eq!(moved.publication("room").await, "welcome");
}

#[tokio::test]
async fn of_two_instances_with_one_id_the_later_one_stays() {
    let memory = Arc::new(Memory::default());
    let yaml = format!("{OPEN}instance: {{id: chat-0}}\n");
    let earlier = Broker::joining(&memory, &yaml).await;
    let other = Broker::joining(&memory, &yaml.replace("chat-0", "chat-1")).await;
    assert!(earlier.superseded().now_or_never().is_none());
    let later = Broker::joining(&memory, &yaml).await;
    within("the earlier one is told", earlier.superseded()).await;
    assert!(later.superseded().now_or_never().is_none());
    assert!(other.superseded().now_or_never().is_none());
}

#[tokio::test]
async fn an_instance_without_subscribers_delivers_nothing() {
    let brokers = cluster(2, PUBLISH).await;
    let mut ann = subscribed(&brokers[0], "room").await;
    let bob = subscribed(&brokers[1], "room").await;
    drop(bob);
    eventually("bob is gone", async || brokers[1].metric("channels", &[]).await == 0).await;
    ann.publish("room", json!(1)).await;
    assert_eq!(brokers[1].metric("deliveries_total", &[]).await, 0);
}
