//! Redis that is there, is not there, or does not let everybody in.

use std::time::{Duration, Instant};

use switchboard::backplane::{Backplane, redis::RedisBackplane};

use super::{Node, Server};

#[tokio::test]
async fn without_redis_an_instance_is_alone_until_it_comes() {
    let mut server = Server::absent();
    let started = Instant::now();
    let one = Node::configured("one", server.config()).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert!(!one.backplane.health().connected);
    let subscriber = one.subscribe("chat").await;
    one.publish("chat", "to nobody").await.unwrap();
    assert_eq!(one.backplane.instances().await.unwrap().len(), 1);
    assert_eq!(one.cluster.channels("*").await.unwrap().len(), 1);
    server.run().await;
    one.is_joined().await;
    let two = Node::start("two", &server).await;
    two.publish("chat", "hello").await.unwrap();
    subscriber.gets(&["hello"]).await;
    assert_eq!(one.hub.metrics.redis_reconnects.get(), 0);
}

#[tokio::test]
async fn a_required_redis_that_is_absent_ends_the_start() {
    let server = Server::absent();
    let mut config = server.config();
    config.required = true;
    config.password = Some("hunter2".into());
    let error = Node::configured("one", config).await.err().unwrap().to_string();
    assert!(error.contains(&format!("127.0.0.1:{}", server.port)), "{error}");
    assert!(error.contains("refused") && error.contains("required"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_password_lets_in_and_a_wrong_one_is_not_told() {
    let server = Server::with_password("correct horse").await;
    let one = Node::start("one", &server).await;
    let two = Node::start("two", &server).await;
    let subscriber = one.subscribe("chat").await;
    two.publish("chat", "hello").await.unwrap();
    subscriber.gets(&["hello"]).await;
    two.enter("chat", "alice", false);
    one.shows("chat", &["alice"]).await;

    let mut wrong = server.config();
    wrong.required = true;
    wrong.password = Some("hunter2".into());
    let error = Node::configured("three", wrong.clone()).await.err().unwrap().to_string();
    assert!(error.contains("redis.password") && !error.contains("hunter2"), "{error}");
    wrong.required = false;
    let alone = Node::configured("three", wrong).await.unwrap();
    let error = alone.backplane.health().error.unwrap();
    assert!(error.contains("redis.password") && !error.contains("hunter2"), "{error}");

    let mut none = server.config();
    none.required = true;
    none.password = None;
    let error = Node::configured("four", none).await.err().unwrap().to_string();
    assert!(error.contains("asks for a password"), "{error}");
}

#[tokio::test]
async fn tls_is_spoken_with_those_who_are_trusted() {
    let server = Server::with_tls().await;
    let mut config = server.config();
    config.required = true;
    let trusting = || RedisBackplane::new(config.clone()).trusting(server.roots());
    let one = Node::with("one", trusting()).await.unwrap();
    let two = Node::with("two", trusting()).await.unwrap();
    let subscriber = one.subscribe("chat").await;
    two.publish("chat", &"x".repeat(300_000)).await.unwrap();
    subscriber.gets(&[&"x".repeat(300_000)]).await;
    two.enter("chat", "alice", false);
    one.shows("chat", &["alice"]).await;
    let error = Node::configured("three", config.clone()).await.err().unwrap().to_string();
    assert!(error.contains("TLS"), "{error}");
}
