//! The hook that is asked before a client publishes.

use serde_json::json;

use super::{at, broker, calls, disconnect, end, error, publish};
use crate::support::{Answer, Frame, Receiver, token::token};

#[tokio::test]
async fn a_publish_is_asked_about_and_goes_out_with_the_data_of_the_answer() {
    let receiver = Receiver::start(Answer::Json(json!({}))).await;
    let broker = broker(&format!("publish: {}", at(&receiver, "", ""))).await;
    let (mut ann, mut bob) = (broker.open().await, broker.connect().await);
    let id = ann.connect(&token(&json!({"sub": "ann", "info": {"a": 1}}))).await["client"].clone();
    bob.subscribe("news").await;
    let noted = json!({"client": id, "metadata": {"level": "3"}});
    broker.api("note", &noted).await;
    assert_eq!(ann.command(publish("news", &json!({"n": 1.5}))).await, json!({"publish": {}}));
    assert_eq!(bob.publication("news").await, json!({"n": 1.5}));
    receiver.always(Answer::Json(json!({"result": {"data": {"n": [2]}}})));
    assert_eq!(ann.command(publish("news", &json!(1))).await, json!({"publish": {}}));
    assert_eq!(bob.publication("news").await, json!({"n": [2]}));

    let got = receiver.got();
    let mut body = got[0].json();
    assert_eq!(got[0].header("x-switchboard-delivery"), body["id"].as_str().unwrap());
    assert!(got[0].header("x-switchboard-signature").starts_with("v1="));
    body.as_object_mut().unwrap().remove("id");
    let info = json!({"user": "ann", "client": id, "conn_info": {"a": 1}});
    let expected = json!({
        "hook": "publish", "instance": "chat-0", "client": id, "user": "ann", "info": info,
        "metadata": {"level": "3"}, "transport": "websocket", "channel": "news", "data": {"n": 1.5},
    });
    assert_eq!(body, expected);
    assert_eq!(calls(&broker, "publish", "allowed").await, 2);
    assert_eq!(broker.metric("hook_seconds_count", &[("hook", "publish")]).await, 2);
    assert_eq!(broker.metric("hook_pending", &[("hook", "publish")]).await, 0);
}

#[tokio::test]
async fn a_publish_is_refused_with_the_error_of_the_answer_and_nobody_gets_it() {
    let receiver = Receiver::start(error(1001)).await;
    let broker = broker(&format!("publish: {}", at(&receiver, "", ""))).await;
    let mut client = broker.connect().await;
    client.subscribe("news").await;
    let reply = client.command(publish("news", &json!(1))).await;
    assert_eq!(reply, json!({"error": {"code": 1001, "message": "not \"you\""}}));
    let for_now = json!({"error": {"code": 111, "message": "soon", "temporary": true}});
    receiver.always(Answer::Json(for_now.clone()));
    assert_eq!(client.command(publish("news", &json!(2))).await, for_now);
    receiver.always(Answer::Json(json!({})));
    client.publish("news", json!(3)).await;
    assert_eq!(client.publication("news").await, 3, "and nothing before");
    assert_eq!(calls(&broker, "publish", "refused").await, 2);
    assert_eq!(broker.rejected("hook").await, 2);
}

#[tokio::test]
async fn a_publisher_is_disconnected_in_the_words_of_the_answer() {
    let receiver = Receiver::start(disconnect(4501)).await;
    let broker = broker(&format!("publish: {}", at(&receiver, "", ""))).await;
    let (mut ann, mut bob) = (broker.connect().await, broker.connect().await);
    bob.subscribe("news").await;
    ann.send(&json!({"id": 9, "publish": {"channel": "news", "data": 1}}).to_string()).await;
    assert_eq!(end(&mut ann).await, Frame::Close(4501, "go \"away\"".into()));
    assert!(bob.unasked().await.is_empty());
    assert_eq!(calls(&broker, "publish", "disconnected").await, 1);
    assert_eq!(broker.ended("hook").await, 1);
}

#[tokio::test]
async fn what_may_not_be_done_anyway_and_other_namespaces_are_not_asked_about() {
    let receiver = Receiver::start(error(1001)).await;
    let broker = broker(&format!("publish: {}", at(&receiver, "namespaces: [\"\"]", ""))).await;
    let mut client = broker.connect().await;
    client.publish("free:for-all", json!(1)).await;
    assert_eq!(client.error(publish("no:such", &json!(1))).await, 102);
    assert_eq!(client.error(publish("", &json!(1))).await, 107);
    assert!(receiver.got().is_empty());
    assert_eq!(client.error(publish("news", &json!(1))).await, 1001);
    let published = json!({"channel": "news", "data": 1});
    assert_eq!(broker.api("publish", &published).await["result"], json!({}), "the server API is not asked");
    assert_eq!(receiver.got().len(), 1);
}
