//! Who has gone from a room, and who is given that to tell it.

use std::time::Duration;

use switchboard::backplane::{Backplane, redis::RedisBackplane};

use super::{Node, Server, channel, eventually, records::let_lease_run_out};

/// An instance that watches the room, and tells at once.
async fn watching(name: &str, server: &Server) -> Node {
    let backplane = RedisBackplane::new(server.config());
    backplane.departing().watch(&channel("online"), Duration::ZERO);
    let node = Node::with(name, backplane).await.unwrap();
    node.is_joined().await;
    node
}

async fn arrives(node: &Node, user: &str) -> bool {
    node.backplane.departing().arrive(&channel("online"), user).await
}

async fn departs(node: &Node, user: &str) {
    node.backplane.departing().depart(&channel("online"), user).await;
}

/// Waits until one of them is given a departure, which has to be this user's.
async fn one_is_given(nodes: [&Node; 2], user: &str) {
    let mut given = Vec::new();
    eventually("the departure is given", async || {
        for node in nodes {
            given.extend(node.backplane.departing().take().await);
        }
        !given.is_empty()
    })
    .await;
    assert_eq!(given, [(channel("online"), user.to_owned())]);
}

async fn seen(node: &Node, user: &str) -> Option<u64> {
    node.backplane.departing().last_seen(&channel("online"), &[user.to_owned()]).await.unwrap()[0]
}

#[tokio::test]
async fn a_departure_is_given_to_one_instance_unless_the_user_comes_back() {
    let server = Server::start().await;
    let (one, two) = (watching("one", &server).await, watching("two", &server).await);
    assert!(arrives(&one, "ann").await);
    assert!(!arrives(&two, "ann").await, "the others know already");
    assert_eq!(seen(&one, "ann").await, None);
    departs(&one, "ann").await;
    assert!(!arrives(&two, "ann").await, "it has not been told");
    assert_eq!(one.backplane.departing().take().await, []);
    departs(&two, "ann").await;
    one_is_given([&one, &two], "ann").await;
    assert!(seen(&one, "ann").await.is_some());
    // Found to be there all the same.
    one.backplane.departing().stay(&channel("online"), "ann").await;
    assert!(!arrives(&one, "ann").await);
    departs(&one, "ann").await;
    one.backplane.departing().stay(&channel("online"), "ann").await;
    one_is_given([&one, &two], "ann").await;
    assert!(arrives(&two, "ann").await);
    // A room that nobody watches.
    one.backplane.departing().depart(&channel("other"), "ann").await;
    assert_eq!(one.backplane.departing().take().await, []);
}

#[tokio::test]
async fn who_goes_while_redis_is_away_is_told_when_it_is_back() {
    let mut server = Server::start().await;
    let (one, two) = (watching("one", &server).await, watching("two", &server).await);
    arrives(&one, "ann").await;
    server.kill();
    one.is_lost().await;
    departs(&one, "ann").await;
    assert_eq!(one.backplane.departing().take().await, [], "the others could not be told");
    server.run().await;
    one.is_joined().await;
    two.is_joined().await;
    one_is_given([&one, &two], "ann").await;
    assert!(seen(&two, "ann").await.is_some());
}

#[tokio::test]
async fn whom_a_dead_instance_had_has_gone() {
    let server = Server::start().await;
    let (one, two) = (watching("one", &server).await, watching("two", &server).await);
    arrives(&one, "ann").await;
    one.enter("online", "ann", false);
    one.enter("elsewhere", "bob", false);
    two.shows("online", &["ann"]).await;
    let mut given = Vec::new();
    eventually("it is taken for dead", async || {
        let_lease_run_out(&server, &one).await;
        given = two.backplane.departing().take().await;
        !given.is_empty()
    })
    .await;
    assert_eq!(given, [(channel("online"), "ann".to_owned())]);
}
