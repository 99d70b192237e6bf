//! Receivers that are slow, broken, or not there.

use serde_json::json;
use tokio::net::TcpListener;

use super::{at, at_url, broker, calls, publish};
use crate::support::{Answer, Receiver, eventually};

#[tokio::test]
async fn a_slow_receiver_is_given_up_and_holds_up_only_who_asked() {
    let receiver = Receiver::start(Answer::Json(json!({}))).await;
    receiver.next([Answer::Later(json!({}))]);
    let broker = broker(&format!("publish: {}", at(&receiver, "time_limit: 3s", ""))).await;
    let (mut slow, mut quick) = (broker.connect().await, broker.connect().await);
    quick.subscribe("room").await;
    let waits = tokio::spawn(async move { slow.command(publish("room", &json!("slow"))).await });
    eventually("the slow one is under way", async || receiver.got().len() == 1).await;
    quick.publish("room", json!("quick")).await;
    quick.publish("free:for-all", json!(1)).await;
    assert_eq!(quick.publication("room").await, "quick");
    let reply = waits.await.unwrap();
    assert_eq!((&reply["error"]["code"], &reply["error"]["temporary"]), (&json!(100), &json!(true)));
    assert!(quick.unasked().await.is_empty(), "it was not published");
    assert_eq!(calls(&broker, "publish", "failed").await, 1);
    let labels = [("hook", "publish"), ("outcome", "timed_out")];
    assert_eq!(broker.metric("hook_attempts_total", &labels).await, 1);
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_left_alone_and_whoever_asks_refused_or_allowed() {
    let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = format!("http://{nowhere}/");
    let breaker = "retries: 1, breaker: {failures: 2, pause: 1h}";
    let publish_hook = at_url(&url, "", breaker);
    let subscribe_hook = at_url(&url, "on_failure: allow", breaker);
    let broker = broker(&format!("publish: {publish_hook}, subscribe: {subscribe_hook}")).await;
    let mut client = broker.connect().await;
    for channel in ["a", "b", "c"] {
        client.subscribe(channel).await;
        assert_eq!(client.error(publish(channel, &json!(1))).await, 100);
    }
    for hook in ["publish", "subscribe"] {
        assert_eq!((calls(&broker, hook, "failed").await, calls(&broker, hook, "left_alone").await), (2, 1));
        assert_eq!(broker.metric("hook_breaker", &[("hook", hook)]).await, 1);
        let labels = [("hook", hook), ("outcome", "unreachable")];
        assert_eq!(broker.metric("hook_attempts_total", &labels).await, 4, "each was tried twice");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_never_ends_or_is_nonsense_is_none() {
    let receiver = Receiver::start(Answer::Endless).await;
    let broker = broker(&format!("publish: {}", at(&receiver, "", "response_size: 1KiB"))).await;
    let mut client = broker.connect().await;
    client.subscribe("room").await;
    assert_eq!(client.error(publish("room", &json!(1))).await, 100);
    receiver.always(Answer::Json(json!({"result": {"data": "x".repeat(2048)}})));
    assert_eq!(client.error(publish("room", &json!(1))).await, 100);
    assert_eq!(calls(&broker, "publish", "failed").await, 2);
    for nonsense in ["", "<html>", "[]", "{\"allowed\": false}", "{\"result\": 1}"] {
        receiver.always(Answer::Status(200, &[], nonsense));
        assert_eq!(client.error(publish("room", &json!(1))).await, 100, "{nonsense}");
    }
    assert_eq!(calls(&broker, "publish", "bad_answer").await, 5);
    receiver.always(Answer::Json(json!({})));
    client.publish("room", json!(2)).await;
    assert_eq!(client.publication("room").await, 2, "and nothing before");
}

#[tokio::test]
async fn a_receiver_that_fails_is_asked_again_and_one_that_says_no_is_not() {
    let receiver = Receiver::start(Answer::Json(json!({}))).await;
    let broker = broker(&format!("publish: {}", at(&receiver, "", ""))).await;
    let mut client = broker.connect().await;
    receiver.next([Answer::Status(500, &[], ""), Answer::Status(503, &[], "")]);
    client.publish("room", json!(1)).await;
    let got = receiver.got();
    assert_eq!(got.len(), 3);
    assert_eq!(got[0].body, got[2].body, "under the same id");
    receiver.always(Answer::Status(500, &[], ""));
    assert_eq!(client.error(publish("room", &json!(1))).await, 100);
    assert_eq!(receiver.got().len(), 7, "three retries");
    receiver.always(Answer::Status(403, &[], ""));
    assert_eq!(client.error(publish("room", &json!(1))).await, 100);
    assert_eq!(receiver.got().len(), 8);
}

#[tokio::test]
async fn so_many_may_wait_for_a_hook_and_the_next_is_refused_at_once() {
    let receiver = Receiver::start(Answer::Json(json!({}))).await;
    let broker = broker(&format!("publish: {}", at(&receiver, "pending: 1, time_limit: 1h", ""))).await;
    let (mut first, mut second) = (broker.connect().await, broker.connect().await);
    receiver.next([Answer::Later(json!({}))]);
    let waits = tokio::spawn(async move { first.command(publish("room", &json!(1))).await });
    eventually("the first is asked about", async || receiver.got().len() == 1).await;
    assert_eq!(broker.metric("hook_pending", &[("hook", "publish")]).await, 1);
    assert_eq!(second.error(publish("room", &json!(1))).await, 111);
    assert_eq!(calls(&broker, "publish", "too_many").await, 1);
    receiver.let_go(1);
    assert_eq!(waits.await.unwrap(), json!({"publish": {}}));
}
