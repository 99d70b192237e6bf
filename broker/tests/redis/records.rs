//! Who is where: the directory, presence, the instances, and what the dead leave behind.

use switchboard::backplane::Backplane;

use super::{Node, Server, channel, eventually, within};

/// Takes the instance's lease away, as if it had run out, and lets whoever comes next look for the dead.
pub(super) async fn let_lease_run_out(server: &Server, node: &Node) {
    server.ask::<()>(&format!("DEL {} switchboard:sweep", lease_of(node))).await;
}

fn lease_of(node: &Node) -> String {
    format!("switchboard:instance:{{{}}}:lease", node.hub.address)
}

#[tokio::test]
async fn clients_are_found_and_forgotten() {
    let server = Server::start().await;
    let (one, two) = (Node::start("one", &server).await, Node::start("two", &server).await);
    let client = one.client("alice");
    two.finds(&client, Some(&one)).await;
    one.finds(&client, Some(&one)).await;
    one.gone(&client);
    two.finds(&client, None).await;
    one.finds(&client, None).await;
    let many: Vec<_> = (0..2000).map(|number| one.client(&number.to_string())).collect();
    two.finds(&many[0], Some(&one)).await;
    two.finds(&many[1999], Some(&one)).await;
}

#[tokio::test]
async fn presence_is_that_of_all_instances() {
    let server = Server::start().await;
    let (one, two) = (Node::start("one", &server).await, Node::start("two", &server).await);
    let alice = one.enter("chat", "alice", false);
    // Seen here at once, even before Redis has it.
    assert_eq!(one.backplane.presence(&channel("chat")).await.unwrap().len(), 1);
    let bob = two.enter("chat", "bob", false);
    two.enter("chat", "carol", false);
    one.shows("chat", &["alice", "bob", "carol"]).await;
    two.shows("chat", &["alice", "bob", "carol"]).await;
    two.shows("other", &[]).await;
    one.backplane.leave(&channel("chat"), alice.id);
    two.backplane.leave(&channel("chat"), bob.id);
    one.shows("chat", &["carol"]).await;
    two.shows("chat", &["carol"]).await;
}

#[tokio::test]
async fn instances_and_channels_are_asked_together() {
    let server = Server::start().await;
    let (one, two, three) = (
        Node::start("one", &server).await,
        Node::start("two", &server).await,
        Node::start("three", &server).await,
    );
    let mut kept = Vec::new();
    for (node, name) in [(&one, "news:eu"), (&two, "news:eu"), (&two, "news:us"), (&three, "chat")] {
        kept.push(node.subscribe(name).await);
    }
    let found = within("the others answer", one.cluster.channels("news:*")).await.unwrap();
    let found: Vec<_> = found.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    assert_eq!(found, [("news:eu", 2), ("news:us", 1)]);
    let found = within("the others answer", three.cluster.channels("*")).await.unwrap();
    assert_eq!(found.values().sum::<u64>(), 4);
    let ids = async |node: &Node| {
        let all = node.backplane.instances().await.unwrap();
        all.into_iter().map(|record| record.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(&one).await, ["one", "three", "two"]);
    for (node, others) in [(&one, [&three, &two]), (&two, [&one, &three]), (&three, [&one, &two])] {
        node.hears(&others).await;
    }
    three.backplane.close().await;
    assert_eq!(ids(&one).await, ["one", "two"]);
}

#[tokio::test]
async fn a_dead_instance_is_cleaned_up_after() {
    let server = Server::start().await;
    let (one, two) = (Node::start("one", &server).await, Node::start("two", &server).await);
    let (at_two, quiet) = (two.subscribe("chat").await, two.subscribe("quiet").await);
    let alice = one.enter("chat", "alice", true);
    one.enter("quiet", "alice", false);
    let bob = two.enter("chat", "bob", true);
    two.finds(&alice, Some(&one)).await;
    two.shows("chat", &["alice", "bob"]).await;
    at_two.gets(&[&format!("join {}", alice.id)]).await;
    // No close: the process is gone.
    drop(one);
    two.shows("chat", &["bob"]).await;
    two.shows("quiet", &[]).await;
    two.finds(&alice, None).await;
    at_two.gets(&[&format!("join {}", alice.id), &format!("leave {}", alice.id)]).await;
    two.hears(&[]).await;
    eventually("nothing is left of it", async || {
        let left: Vec<String> = server.ask("KEYS *{one/*").await;
        left.is_empty()
    })
    .await;
    assert_eq!(quiet.got(), [""; 0], "its join was not announced");
    two.finds(&bob, Some(&two)).await;
    let fields: Vec<String> = server.ask("HKEYS switchboard:{channel:chat}:presence").await;
    assert_eq!(fields.len(), 1);
}

#[tokio::test]
async fn who_has_just_joined_takes_nobody_for_dead() {
    let server = Server::start().await;
    let one = Node::start("one", &server).await;
    let (alice, at_one) = (one.enter("chat", "alice", true), one.subscribe("chat").await);
    // As after a Redis that stood still: all leases have run out, and one instance is back before the others.
    let_lease_run_out(&server, &one).await;
    let two = Node::start("two", &server).await;
    let has_lease = format!("EXISTS {}", lease_of(&one));
    eventually("the other one is back too", async || server.ask::<bool>(&has_lease).await).await;
    two.shows("chat", &["alice"]).await;
    two.finds(&alice, Some(&one)).await;
    two.publish("chat", "and nobody has left").await.unwrap();
    at_one.gets(&["and nobody has left"]).await;
}

#[tokio::test]
async fn who_was_taken_for_dead_announces_its_members_again() {
    let server = Server::start().await;
    let (one, two) = (Node::start("one", &server).await, Node::start("two", &server).await);
    let (at_one, at_two) = (one.subscribe("chat").await, two.subscribe("chat").await);
    let quiet = two.subscribe("quiet").await;
    let alice = one.enter("chat", "alice", true);
    one.enter("quiet", "alice", false);
    let (join, leave) = (format!("join {}", alice.id), format!("leave {}", alice.id));
    at_two.gets(&[&join]).await;
    eventually("it is taken for dead", async || {
        let_lease_run_out(&server, &one).await;
        at_two.got().contains(&leave)
    })
    .await;
    at_two.gets(&[&join, &leave, &join]).await;
    at_one.gets(&[&leave, &join]).await;
    two.shows("chat", &["alice"]).await;
    two.shows("quiet", &["alice"]).await;
    assert_eq!(quiet.got(), [""; 0], "its join was not announced");
    let marks: Vec<String> = server.ask("KEYS switchboard:reaped:*").await;
    assert_eq!(marks, [""; 0]);
}

#[tokio::test]
async fn leaving_in_order_leaves_nothing() {
    let server = Server::start().await;
    let (one, two) = (Node::start("one", &server).await, Node::start("two", &server).await);
    let subscriber = two.subscribe("chat").await;
    one.enter("chat", "alice", false);
    two.shows("chat", &["alice"]).await;
    let last: Vec<_> = (0..100).map(|number| one.publish("chat", &number.to_string())).collect();
    one.hears(&[&two]).await;
    within("it closes", one.backplane.close()).await;
    assert_eq!(one.hub.metrics.redis_peers.get(), 0);
    for outcome in last {
        outcome.await.unwrap();
    }
    let wanted: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    eventually("what was queued arrives", async || subscriber.got() == wanted).await;
    assert!(one.publish("chat", "after").await.is_err());
    two.shows("chat", &[]).await;
    within("the other closes too", two.backplane.close()).await;
    let left: Vec<String> = server.ask("KEYS *").await;
    assert!(left.iter().all(|key| key == "switchboard:sweep"), "{left:?}");
}
