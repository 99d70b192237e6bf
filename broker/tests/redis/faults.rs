//! Redis goes away, and everything comes back with it.

use std::time::{Duration, Instant};

use switchboard::backplane::{Backplane, Unavailable};

use super::{Node, Proxy, Server, channel, eventually};

#[tokio::test]
async fn everything_is_restored_when_redis_comes_back() {
    let mut server = Server::start().await;
    let (one, two) = (Node::start("one", &server).await, Node::start("two", &server).await);
    let subscriber = two.subscribe("chat").await;
    let client = one.enter("chat", "alice", false);
    two.finds(&client, Some(&one)).await;
    two.shows("chat", &["alice"]).await;
    one.hears(&[&two]).await;

    server.kill();
    one.is_lost().await;
    two.is_lost().await;
    let started = Instant::now();
    assert_eq!(one.publish("chat", "lost").await, Err(Unavailable::Disconnected));
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(one.hub.metrics.redis_up.get(), 0);
    eventually("nobody is heard any more", async || one.hub.metrics.redis_peers.get() == 0).await;
    assert!(one.backplane.health().error.is_some());
    // Meanwhile: what is local is known, and what changes is remembered.
    one.shows("chat", &["alice"]).await;
    let late = two.subscribe("late").await;
    two.enter("chat", "bob", false);
    one.gone(&client);
    one.backplane.leave(&channel("chat"), client.id);

    server.run().await;
    one.is_joined().await;
    two.is_joined().await;
    one.publish("chat", "again").await.unwrap();
    subscriber.gets(&["again"]).await;
    one.publish("late", "too").await.unwrap();
    late.gets(&["too"]).await;
    one.shows("chat", &["bob"]).await;
    two.finds(&client, None).await;
    one.finds(&late.client, Some(&two)).await;
    assert_eq!(one.hub.metrics.redis_up.get(), 1);
    assert_eq!(one.hub.metrics.redis_reconnects.get(), 1);
}

#[tokio::test]
async fn what_changed_while_redis_was_unreachable_is_corrected() {
    // The server keeps what it has; only the connections break.
    let server = Server::start().await;
    let (one, two) = (Node::start("one", &server).await, Node::start("two", &server).await);
    let (leaver, stayer) = (one.enter("chat", "leaver", false), one.enter("chat", "stayer", false));
    let only = one.enter("empties", "only", false);
    two.shows("chat", &["leaver", "stayer"]).await;
    two.shows("empties", &["only"]).await;
    server.pause();
    one.is_lost().await;
    one.backplane.leave(&channel("chat"), leaver.id);
    one.backplane.leave(&channel("empties"), only.id);
    one.gone(&leaver);
    server.resume();
    one.is_joined().await;
    two.is_joined().await;
    two.shows("chat", &["stayer"]).await;
    two.shows("empties", &[]).await;
    two.finds(&leaver, None).await;
    two.finds(&stayer, Some(&one)).await;
}

#[tokio::test]
async fn a_redis_that_stands_still_is_noticed() {
    let server = Server::start().await;
    let node = Node::start("one", &server).await;
    server.pause();
    let started = Instant::now();
    assert_eq!(node.publish("chat", "?").await, Err(Unavailable::Timeout));
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    node.is_lost().await;
    server.resume();
    node.is_joined().await;
    node.publish("chat", "!").await.unwrap();
}

#[tokio::test]
async fn a_subscription_that_only_looks_alive_is_replaced() {
    let server = Server::start().await;
    let proxy = Proxy::start(&server).await;
    let one = Node::configured("one", proxy.config()).await.unwrap();
    one.is_joined().await;
    let two = Node::start("two", &server).await;
    let subscriber = one.subscribe("chat").await;
    eventually("a probe comes back", async || one.backplane.health().probe_ms.is_some()).await;
    proxy.silence();
    one.is_lost().await;
    let error = one.backplane.health().error.unwrap();
    assert!(error.contains("probe"), "{error}");
    proxy.mend();
    one.is_joined().await;
    two.publish("chat", "heard").await.unwrap();
    subscriber.gets(&["heard"]).await;
    assert_eq!(one.hub.metrics.redis_reconnects.get(), 1);
}

#[tokio::test]
async fn what_redis_forgets_is_written_again() {
    let server = Server::start().await;
    let (one, two) = (Node::start("one", &server).await, Node::start("two", &server).await);
    let client = one.enter("chat", "alice", true);
    two.shows("chat", &["alice"]).await;
    one.publish("chat", "heard by nobody").await.unwrap();
    let at_two = two.subscribe("chat").await;
    server.ask::<()>("FLUSHALL").await;
    two.shows("chat", &["alice"]).await;
    two.finds(&client, Some(&one)).await;
    assert_eq!(one.hub.metrics.redis_reconnects.get(), 0);
    one.publish("chat", "nobody had left").await.unwrap();
    at_two.gets(&["nobody had left"]).await;
}
