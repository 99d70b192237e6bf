//! Receivers that are slow, broken, or not there.

use std::net::SocketAddr;

use serde_json::json;
use tokio::net::TcpListener;

use super::{Answer, Receiver, attempts, broker, broker_at, rpc, runs};
use crate::support::{Broker, eventually};

#[tokio::test]
async fn a_failed_delivery_comes_again_under_the_same_id() {
    let receiver = Receiver::start(Answer::Echo).await;
    receiver.next([
        Answer::Status(500, &[], "no"),
        Answer::Status(429, &[("retry-after", "0")], ""),
        Answer::Status(503, &[], ""),
    ]);
    let broker = broker(&receiver, "", "").await;
    assert_eq!(broker.connect().await.command(rpc(&json!(1))).await, json!({"rpc": {"data": 1}}));
    let got = receiver.got();
    assert_eq!(got.len(), 4);
    for again in &got[1..] {
        assert_eq!(again.header("x-switchboard-delivery"), got[0].header("x-switchboard-delivery"));
        assert_eq!(again.body, got[0].body);
    }
    for (outcome, count) in [("server_error", 2), ("busy", 1), ("ok", 1)] {
        assert_eq!(attempts(&broker, outcome).await, count, "{outcome}");
    }
    assert_eq!(runs(&broker, "ok").await, 1);
}

#[tokio::test]
async fn what_the_receiver_does_not_want_is_not_sent_again() {
    let receiver = Receiver::start(Answer::Echo).await;
    let elsewhere: &[(&str, &str)] = &[("location", "/other")];
    receiver.next([Answer::Status(404, &[], ""), Answer::Status(307, elsewhere, "")]);
    let broker = broker(&receiver, "", "").await;
    let mut client = broker.connect().await;
    for _ in 0..2 {
        assert_eq!(client.error(rpc(&json!(1))).await, 100);
    }
    assert_eq!(receiver.got().len(), 2, "and redirects are not followed");
    assert_eq!((attempts(&broker, "refused").await, runs(&broker, "failed").await), (2, 2));
}

#[tokio::test]
async fn a_receiver_that_asks_for_more_time_than_there_is_is_not_asked_again() {
    let receiver = Receiver::start(Answer::Status(503, &[("retry-after", "3600")], "")).await;
    let broker = broker(&receiver, "", "").await;
    assert_eq!(broker.connect().await.error(rpc(&json!(1))).await, 100);
    assert_eq!(receiver.got().len(), 1);
}

#[tokio::test]
async fn a_slow_receiver_is_given_up_and_others_are_not_held_up() {
    let receiver = Receiver::start(Answer::Echo).await;
    receiver.next([Answer::Wait]);
    let broker = broker(&receiver, "", "time_limit: 3s").await;
    let (mut slow, mut quick) = (broker.connect().await, broker.connect().await);
    let waits = tokio::spawn(async move { slow.error(rpc(&json!("slow"))).await });
    eventually("the slow one is under way", async || receiver.got().len() == 1).await;
    assert_eq!(quick.command(rpc(&json!("quick"))).await, json!({"rpc": {"data": "quick"}}));
    assert_eq!(waits.await.unwrap(), 100);
    assert_eq!((attempts(&broker, "timed_out").await, runs(&broker, "timed_out").await), (1, 1));
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_made_again() {
    let receiver = Receiver::start(Answer::Echo).await;
    receiver.next([Answer::Wait]);
    let broker = broker(&receiver, "attempt_limit: 500ms", "time_limit: 30s").await;
    assert_eq!(broker.connect().await.command(rpc(&json!(1))).await, json!({"rpc": {"data": 1}}));
    assert!(attempts(&broker, "timed_out").await >= 1);
    assert_eq!(attempts(&broker, "ok").await, 1);
}

/// An address at which nothing listens.
async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn breaker(broker: &Broker) -> u64 {
    broker.metric("webhook_breaker", &[("module", "hook")]).await
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_left_alone() {
    let url = format!("http://{}/", nowhere().await);
    let broker = broker_at(&url, "retries: 1, breaker: {failures: 3, pause: 1h}", "").await;
    let mut client = broker.connect().await;
    for _ in 0..3 {
        assert_eq!(breaker(&broker).await, 0);
        assert_eq!(client.error(rpc(&json!(1))).await, 100);
    }
    assert_eq!(breaker(&broker).await, 1);
    for _ in 0..10 {
        assert_eq!(client.error(rpc(&json!(1))).await, 100);
    }
    assert_eq!(attempts(&broker, "unreachable").await, 6, "each of the first three was tried twice");
    assert_eq!(runs(&broker, "not_taken").await, 13);
}

#[tokio::test]
async fn a_receiver_that_comes_back_is_called_again() {
    let address = nowhere().await;
    let url = format!("http://{address}/");
    let broker = broker_at(&url, "retries: 0, breaker: {failures: 1, pause: 20ms}", "").await;
    let mut client = broker.connect().await;
    eventually("trials are made", async || {
        assert_eq!(client.error(rpc(&json!(1))).await, 100);
        attempts(&broker, "unreachable").await >= 3
    })
    .await;
    assert_eq!(breaker(&broker).await, 1);
    let receiver = Receiver::on(TcpListener::bind(address).await.unwrap(), Answer::Echo);
    eventually("it is called again", async || {
        client.command(rpc(&json!(1))).await == json!({"rpc": {"data": 1}})
    })
    .await;
    assert_eq!((breaker(&broker).await, receiver.got().len()), (0, 1));
}

#[tokio::test]
async fn an_answer_that_is_too_large_or_never_ends_is_cut_off() {
    let receiver = Receiver::start(Answer::Echo).await;
    receiver.next([Answer::Endless]);
    let broker = broker(&receiver, "response_size: 100KiB", "").await;
    let mut client = broker.connect().await;
    assert_eq!(client.error(rpc(&json!(1))).await, 100);
    assert_eq!((attempts(&broker, "too_large").await, runs(&broker, "failed").await), (1, 1));
    receiver.next([Answer::Json(json!({"data": "x".repeat(101 * 1024)}))]);
    assert_eq!(client.error(rpc(&json!(1))).await, 100);
    assert_eq!(attempts(&broker, "too_large").await, 2);
    assert_eq!(client.command(rpc(&json!(1))).await, json!({"rpc": {"data": 1}}));
}

#[tokio::test]
async fn an_answer_that_is_no_reply_is_an_error_and_nothing_of_it_is_done() {
    let receiver = Receiver::start(Answer::Echo).await;
    let everyone = json!([{"everyone": true, "data": 1}]);
    let wrong = [
        Answer::Status(200, &[], "<html>welcome</html>"),
        Answer::Status(200, &[], "{\"data\": "),
        Answer::Json(json!([{"send": everyone}])),
        Answer::Json(json!({"replies": {"send": everyone}})),
        Answer::Json(json!({"replies": []})),
        Answer::Json(json!({"replies": [{"send": everyone}, {"send": everyone}]})),
    ];
    receiver.next(wrong.clone());
    let broker = broker(&receiver, "", "").await;
    let mut client = broker.connect().await;
    for answer in 0..wrong.len() {
        assert_eq!(client.error(rpc(&json!(answer))).await, 100, "{answer}");
    }
    assert!(client.unasked().await.is_empty());
    let bad = broker.metric("webhook_bad_replies_total", &[("module", "hook")]).await;
    assert_eq!((bad, runs(&broker, "failed").await), (6, 6));
    assert_eq!(receiver.got().len(), 6, "it has got them, so they are not sent again");
    assert_eq!(client.command(rpc(&json!(1))).await, json!({"rpc": {"data": 1}}));
}
