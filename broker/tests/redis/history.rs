//! Channels with history on a real Redis: what holds on every backplane, and what only a server can do.

use std::sync::Arc;

use serde_json::{Value, json};
use switchboard::{backplane::redis::RedisBackplane, config};

use super::{Proxy, Server, eventually};
use crate::{
    history::cases::{self, HISTORY, publish, resubscribe, subscribe},
    support::{Broker, Client, OPEN},
};

async fn broker(name: &str, redis: config::Redis) -> Broker {
    let yaml = format!("{OPEN}instance: {{id: {name}}}\n{HISTORY}");
    let broker = Broker::on(Arc::new(RedisBackplane::new(redis)), &yaml).await;
    is_joined(&broker, true).await;
    broker
}

async fn is_joined(broker: &Broker, joined: bool) {
    eventually("Redis is there, or not", async || {
        let health = broker.admin("GET", "/healthz").await.json();
        health["redis"]["connected"] == joined
    })
    .await;
}

async fn cluster(size: usize, server: &Server) -> Vec<Broker> {
    let mut brokers = Vec::new();
    for number in 0..size {
        brokers.push(broker(&format!("chat-{number}"), server.config()).await);
    }
    brokers
}

/// Publishes by a client; whether that went well.
async fn try_publish(client: &mut Client, channel: &str, data: Value) -> bool {
    let reply = client.command(json!({"publish": {"channel": channel, "data": data}})).await;
    reply["publish"].is_object()
}

/// The next push is the end of the subscription, for something is missing; the code.
async fn sent_away(client: &mut Client, channel: &str) {
    let push = client.push().await;
    let why = json!({"code": 2500, "reason": "insufficient state"});
    assert_eq!(push, json!({"channel": channel, "unsubscribe": why}));
}

#[tokio::test]
async fn what_was_missed_comes_with_the_subscription_wherever_that_is() {
    let server = Server::start().await;
    cases::missed_messages_are_recovered_anywhere(&cluster(2, &server).await).await;
}

#[tokio::test]
async fn what_is_not_kept_any_more_is_said_to_be_lost() {
    let server = Server::start().await;
    cases::what_is_gone_is_lost(&cluster(2, &server).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_and_goes_while_others_publish_gets_everything_once() {
    let server = Server::start().await;
    cases::comers_and_goers_miss_nothing(&cluster(3, &server).await, 1_500).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_subscribers_get_everything_in_one_order() {
    let server = Server::start().await;
    cases::there_is_one_order(&cluster(3, &server).await, 300).await;
}

#[tokio::test]
async fn the_server_api_reads_publishes_and_forgets() {
    let server = Server::start().await;
    cases::the_server_api_has_history(&cluster(2, &server).await).await;
}

#[tokio::test]
async fn keys_of_a_channel_run_out() {
    let server = Server::start().await;
    let brokers = cluster(1, &server).await;
    publish(&brokers[0], "few:room", json!(1)).await;
    let name = "switchboard:{channel:few:room}";
    let stream: i64 = server.ask(&format!("PTTL {name}:stream")).await;
    let position: i64 = server.ask(&format!("PTTL {name}:position")).await;
    assert!((1..=600_000).contains(&stream), "{stream}");
    assert!(position > 30 * 24 * 60 * 60 * 1000, "{position}");
    for number in 0..5 {
        publish(&brokers[0], "few:room", json!(number)).await;
    }
    let length: u64 = server.ask(&format!("XLEN {name}:stream")).await;
    assert_eq!(length, 3);
}

#[tokio::test]
async fn an_instance_that_dies_takes_nothing_along() {
    let server = Server::start().await;
    let mut brokers = cluster(2, &server).await;
    let (client, position) = subscribe(&brokers[0], "kept:room").await;
    publish(&brokers[0], "kept:room", json!(1)).await;
    drop((client, brokers.remove(0)));
    let (_client, reply) = resubscribe(&brokers[0], "kept:room", &position).await;
    assert_eq!(reply["publications"], json!([{"data": 1, "offset": 1}]));
}

#[tokio::test]
async fn a_server_without_the_script_is_given_it_and_order_is_kept() {
    let server = Server::start().await;
    let brokers = cluster(2, &server).await;
    let (mut subscriber, _) = subscribe(&brokers[1], "kept:room").await;
    let mut publisher = brokers[0].connect().await;
    for number in 0..60 {
        if number % 20 == 10 {
            let _: () = server.ask("SCRIPT FLUSH").await;
        }
        // Several under way at a time.
        let publish = |data: u64| {
            json!({"id": 1000 + data, "publish": {"channel": "kept:room", "data": data}}).to_string()
        };
        publisher.send(&[publish(2 * number), publish(2 * number + 1)].join("\n")).await;
        for id in [1000 + 2 * number, 1001 + 2 * number] {
            assert_eq!(publisher.reply(id).await["publish"], json!({}));
        }
    }
    for number in 0..120 {
        let push = subscriber.push().await;
        assert_eq!((&push["pub"]["data"], &push["pub"]["offset"]), (&json!(number), &json!(number + 1)));
    }
}

#[tokio::test]
async fn redis_away_is_told_local_delivery_goes_on_and_what_follows_has_its_place() {
    let mut server = Server::start().await;
    let brokers = cluster(2, &server).await;
    let (mut ann, position) = subscribe(&brokers[0], "kept:room").await;
    server.kill();
    is_joined(&brokers[0], false).await;
    let mut bob = brokers[0].connect().await;
    assert!(!try_publish(&mut bob, "kept:room", json!("alone")).await);
    let push = ann.push().await;
    assert_eq!((&push["pub"]["data"], &push["pub"]["offset"]), (&json!("alone"), &Value::Null));
    let history = brokers[0].api("history", &json!({"channel": "kept:room"})).await;
    assert_eq!(history["error"], json!({"code": 100, "message": "the backplane is not connected"}));
    // Who comes now is let in without a position, or told to try again where it wants to recover.
    let reply = bob.command(json!({"subscribe": {"channel": "kept:other"}})).await;
    assert_eq!(reply, json!({"subscribe": {}}));
    let again = json!({"channel": "kept:third", "recover": true, "offset": 1, "epoch": position["epoch"]});
    assert_eq!(bob.error(json!({"subscribe": again})).await, 100);
    // Another server, or the same without what it had: that is said to all who had a place, or none.
    server.run().await;
    sent_away(&mut ann, "kept:room").await;
    sent_away(&mut bob, "kept:other").await;
    let again = json!({"channel": "kept:room", "recover": true, "offset": 0, "epoch": position["epoch"]});
    let reply = ann.command(json!({"subscribe": again})).await;
    assert_eq!(reply["subscribe"]["recovered"], false);
    assert_ne!(reply["subscribe"]["epoch"], position["epoch"]);
    let position = publish(&brokers[0], "kept:room", json!("again")).await;
    assert_eq!(position["offset"], 1);
    assert_eq!(ann.publication("kept:room").await, "again");
    assert!(brokers[0].metric("gaps_total", &[("outcome", "unfilled")]).await >= 2);
}

#[tokio::test]
async fn redis_back_with_what_it_had_goes_on_where_it_was() {
    let mut server = Server::start().await;
    let brokers = cluster(2, &server).await;
    let (mut ann, position) = subscribe(&brokers[0], "kept:room").await;
    publish(&brokers[1], "kept:room", json!(1)).await;
    assert_eq!(ann.publication("kept:room").await, 1);
    server.keep().await;
    server.kill();
    is_joined(&brokers[0], false).await;
    is_joined(&brokers[1], false).await;
    server.run().await;
    is_joined(&brokers[0], true).await;
    is_joined(&brokers[1], true).await;
    publish(&brokers[1], "kept:room", json!(2)).await;
    assert_eq!(ann.push().await["pub"], json!({"data": 2, "offset": 2}));
    let (_, reply) = resubscribe(&brokers[1], "kept:room", &position).await;
    assert_eq!(reply["publications"], json!([{"data": 1, "offset": 1}, {"data": 2, "offset": 2}]));
}

#[tokio::test]
async fn what_an_instance_did_not_hear_is_read_before_what_follows() {
    let server = Server::start().await;
    let proxy = Proxy::start(&server).await;
    let (deaf, other) = (broker("chat-0", proxy.config()).await, broker("chat-1", server.config()).await);
    let (mut ann, _) = subscribe(&deaf, "kept:room").await;
    let (mut few, _) = subscribe(&deaf, "few:room").await;
    proxy.silence();
    for number in 0..5 {
        publish(&other, "kept:room", json!(number)).await;
        publish(&other, "few:room", json!(number)).await;
    }
    // Nothing comes, and that is noticed; or the silent connection is used until a probe is missed.
    is_joined(&deaf, false).await;
    proxy.mend();
    is_joined(&deaf, true).await;
    publish(&other, "kept:room", json!(5)).await;
    for number in 0..6 {
        assert_eq!(ann.push().await["pub"], json!({"data": number, "offset": number + 1}));
    }
    // More was missed than is kept.
    sent_away(&mut few, "few:room").await;
    let gaps = async |outcome| deaf.metric("gaps_total", &[("outcome", outcome)]).await;
    assert_eq!((gaps("filled").await, gaps("unfilled").await), (1, 1));
}

#[tokio::test]
async fn packets_that_never_came_are_read() {
    let server = Server::start().await;
    let brokers = cluster(2, &server).await;
    let (mut ann, _) = subscribe(&brokers[0], "kept:room").await;
    publish(&brokers[1], "kept:room", json!(1)).await;
    // In the stream, and published nowhere.
    let copy = "redis.call('XADD', KEYS[1], redis.call('HINCRBY', KEYS[2], 'offset', 1), 'p', \
                redis.call('XRANGE', KEYS[1], '-', '+')[1][2][2])";
    let keys = ["stream", "position"].map(|key| format!("switchboard:{{channel:kept:room}}:{key}"));
    server.eval(copy, &keys).await;
    publish(&brokers[1], "kept:room", json!(3)).await;
    for (data, offset) in [(1, 1), (1, 2), (3, 3)] {
        assert_eq!(ann.push().await["pub"], json!({"data": data, "offset": offset}));
    }
    // The end of a stream that others begin anew.
    let _: () = server.ask(&format!("DEL {}", keys[1])).await;
    publish(&brokers[1], "kept:room", json!("new")).await;
    sent_away(&mut ann, "kept:room").await;
}
