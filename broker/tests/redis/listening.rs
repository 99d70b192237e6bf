//! An instance listens to the channels that somebody here is subscribed to, and to no others.

use std::collections::BTreeSet;

use super::{Node, Server, eventually};

/// The channels that somebody listens to, as Redis sees it.
async fn heard(server: &Server) -> BTreeSet<String> {
    let names: Vec<String> = server.ask("PUBSUB CHANNELS switchboard:{channel:*").await;
    names.iter().map(|name| name["switchboard:{channel:".len()..name.len() - 1].to_owned()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn channels_are_subscribed_on_demand() {
    let server = Server::start().await;
    let (one, two) = (Node::start("one", &server).await, Node::start("two", &server).await);
    assert_eq!(heard(&server).await, set(&[]));
    let first = one.subscribe("chat").await;
    let second = one.subscribe("chat").await;
    let other = two.subscribe("a }{ name").await;
    assert_eq!(heard(&server).await, set(&["chat", "a }{ name"]));
    one.unsubscribe(&first);
    two.publish("chat", "still here").await.unwrap();
    second.gets(&["still here"]).await;
    one.unsubscribe(&second);
    eventually("nobody listens to chat", async || heard(&server).await == set(&["a }{ name"])).await;
    one.publish("a }{ name", "odd").await.unwrap();
    other.gets(&["odd"]).await;
}

#[tokio::test]
async fn a_thousand_channels_are_subscribed_together() {
    let server = Server::start().await;
    let (one, two) = (Node::start("one", &server).await, Node::start("two", &server).await);
    let names: Vec<_> = (0..3000).map(|number| format!("room {number}")).collect();
    let (subscribers, confirmations): (Vec<_>, Vec<_>) =
        names.iter().map(|name| one.ask_to_subscribe(name)).unzip();
    for confirmation in confirmations {
        confirmation.await.unwrap();
    }
    for name in &names {
        drop(two.publish(name, name));
    }
    for (name, subscriber) in names.iter().zip(&subscribers) {
        subscriber.gets(&[name]).await;
    }
    let commands: String = server.ask("INFO commandstats").await;
    let calls = commands.lines().find_map(|line| line.strip_prefix("cmdstat_subscribe:calls=")).unwrap();
    let calls: u32 = calls.split(',').next().unwrap().parse().unwrap();
    assert!(calls < 300, "{calls} commands for 3000 channels");
    subscribers.iter().for_each(|subscriber| one.unsubscribe(subscriber));
    eventually("nobody listens", async || heard(&server).await.is_empty()).await;
}

/// A small generator of pseudo-random numbers, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_interleaving_of_subscribe_and_unsubscribe_ends_right() {
    let names = ["a", "b", "c", "d", "e"];
    let mut server = Server::start().await;
    let (one, two) = (Node::start("one", &server).await, Node::start("two", &server).await);
    for seed in 0..12 {
        let mut dice = Dice(seed);
        let mut here = Vec::new();
        for step in 0..400 {
            let name = names[dice.roll(names.len())];
            match dice.roll(5) {
                0 | 1 => here.push((name, one.ask_to_subscribe(name))),
                2 | 3 if !here.is_empty() => {
                    let (_, (subscriber, _)) = here.swap_remove(dice.roll(here.len()));
                    one.unsubscribe(&subscriber);
                }
                2 | 3 => {}
                _ => tokio::task::yield_now().await,
            }
            // In some rounds Redis goes away in the middle of it.
            if step == 200 && seed % 4 == 3 {
                server.kill();
                server.run().await;
            }
        }
        let mut subscribers = Vec::new();
        for (name, (subscriber, confirmation)) in here {
            confirmation.await.unwrap_or_else(|_| panic!("seed {seed}: {name} was not confirmed"));
            subscribers.push((name, subscriber));
        }
        one.is_joined().await;
        two.is_joined().await;
        let wanted: BTreeSet<_> = subscribers.iter().map(|(name, _)| (*name).to_owned()).collect();
        eventually(&format!("seed {seed} ends with {wanted:?}"), async || heard(&server).await == wanted)
            .await;
        for name in names {
            two.publish(name, "now").await.unwrap();
        }
        for (_, subscriber) in &subscribers {
            subscriber.gets(&["now"]).await;
            one.unsubscribe(subscriber);
        }
        eventually("nobody listens", async || heard(&server).await.is_empty()).await;
    }
}
