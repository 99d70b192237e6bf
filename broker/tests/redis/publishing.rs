//! What one instance publishes reaches the others, once and in order.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use serde_json::json;
use switchboard::{
    backplane::{Backplane, Unavailable, redis::RedisBackplane},
    metrics::{Direction, EnvelopeDrop},
};

use super::{Node, Server, eventually, within};
use crate::support::{Broker, OPEN};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_arrive_once_and_in_order() {
    let server = Server::start().await;
    let (one, two) = (Node::start("one", &server).await, Node::start("two", &server).await);
    let channels = ["red", "green", "blue"];
    let mut subscribers = Vec::new();
    for name in channels {
        subscribers.push(two.subscribe(name).await);
    }
    let mut outcomes = Vec::new();
    for number in 0..3000 {
        outcomes.push(one.publish(channels[number % 3], &number.to_string()));
        if number % 100 == 0 {
            // So that some travel alone and others in company.
            outcomes.pop().unwrap().await.unwrap();
        }
    }
    for outcome in within("all are acknowledged", join_all(outcomes)).await {
        outcome.unwrap();
    }
    for (offset, subscriber) in subscribers.iter().enumerate() {
        let wanted: Vec<_> = (offset..3000).step_by(3).map(|number| number.to_string()).collect();
        eventually("all arrive", async || subscriber.got().len() >= wanted.len()).await;
        assert_eq!(subscriber.got(), wanted);
    }
    assert_eq!(one.hub.metrics.envelopes.get(Direction::Sent), 3000);
    assert_eq!(two.hub.metrics.envelopes.get(Direction::Received), 3000);
}

#[tokio::test]
async fn an_echo_is_not_delivered() {
    let server = Server::start().await;
    let (one, two) = (Node::start("one", &server).await, Node::start("two", &server).await);
    let (at_one, at_two) = (one.subscribe("chat").await, two.subscribe("chat").await);
    one.publish("chat", "from one").await.unwrap();
    at_two.gets(&["from one"]).await;
    two.publish("chat", "from two").await.unwrap();
    at_one.gets(&["from two"]).await;
    assert_eq!(at_two.got(), ["from one"]);
    let own = || one.hub.metrics.envelopes_dropped.get(EnvelopeDrop::Own);
    eventually("the echo is counted", async || own() == 1).await;
}

#[tokio::test]
async fn large_messages_arrive_whole() {
    let server = Server::start().await;
    let (one, two) = (Node::start("one", &server).await, Node::start("two", &server).await);
    let subscriber = two.subscribe("files").await;
    let messages: Vec<_> = (1..40).map(|size| format!("{size}:{}", "x".repeat(size * 20_000))).collect();
    let outcomes = join_all(messages.iter().map(|message| one.publish("files", message)));
    for outcome in within("all are acknowledged", outcomes).await {
        outcome.unwrap();
    }
    eventually("all arrive", async || subscriber.got().len() == messages.len()).await;
    assert!(subscriber.got() == messages);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_the_rest_fails_in_time() {
    let server = Server::start().await;
    let node = Node::start("one", &server).await;
    server.pause();
    let started = Instant::now();
    let megabyte = "x".repeat(1024 * 1024);
    let outcomes: Vec<_> = (0..40).map(|_| node.publish("files", &megabyte)).collect();
    assert!(node.backplane.health().queued_bytes > 10 * 1024 * 1024);
    let outcomes = within("all are told", join_all(outcomes)).await;
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(outcomes.iter().all(Result::is_err));
    assert!(outcomes.contains(&Err(Unavailable::QueueFull)), "{outcomes:?}");
    let full = node.hub.metrics.envelopes_dropped.get(EnvelopeDrop::QueueFull);
    let away = node.hub.metrics.envelopes_dropped.get(EnvelopeDrop::Unavailable);
    assert!(full > 0 && full + away == 40, "{full} + {away}");
    server.resume();
    node.is_lost().await;
    node.is_joined().await;
    assert_eq!(node.backplane.health().queued_bytes, 0);
    node.publish("files", "small").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_publishes_right_behind_its_subscribe() {
    let server = Server::start().await;
    let broker = Broker::on(Arc::new(RedisBackplane::new(server.config())), OPEN).await;
    let mut client = broker.connect().await;
    // In one frame: Redis cannot have confirmed the subscription when the publish is read.
    let subscribe = json!({"id": 5, "subscribe": {"channel": "news"}});
    let publish = json!({"id": 6, "publish": {"channel": "news", "data": 1}});
    client.send(&format!("{subscribe}\n{publish}")).await;
    // The two connections to Redis answer in any order.
    let mut replies = Vec::new();
    while replies.len() < 2 {
        replies.push(client.line().await);
        replies.retain(|reply| reply["id"].is_u64());
    }
    replies.sort_by_key(|reply| reply["id"].as_u64());
    assert_eq!(replies, [json!({"id": 5, "subscribe": {}}), json!({"id": 6, "publish": {}})]);
}
