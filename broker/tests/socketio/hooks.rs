//! Hooks that are asked of clients that come by Socket.IO.

use serde_json::{Value, json};

use super::Poller;
use crate::support::{Answer, Broker, Receiver, eventually};

#[tokio::test]
async fn hooks_are_asked_and_what_comes_behind_waits_for_them() {
    let receiver = Receiver::start(Answer::Json(json!({}))).await;
    let url = format!("http://{}/hook", receiver.address);
    let hook = format!(
        "{{webhook: {{url: \"{url}\", secret: \"a secret of the tests, for hooks\"}}, time_limit: 1m}}"
    );
    let broker = Broker::start(&format!(
        "{}hooks: {{connect: {hook}, subscribe: {hook}, publish: {hook}, disconnect: {hook}}}\n",
        super::ON
    ))
    .await;
    let client = Poller::open(&broker).await;
    client.posts(r#"40{"name":"js","data":{"a":1}}"#).await;
    assert!(client.hears().await.starts_with("40{"));
    let asked: Vec<Value> = receiver.got().iter().map(|got| got.json()).collect();
    assert_eq!((&asked[0]["hook"], &asked[0]["transport"]), (&json!("connect"), &json!("socketio")));
    assert_eq!((&asked[0]["name"], &asked[0]["data"]), (&json!("js"), &json!({"a": 1})));
    client
        .posts("421[\"join\",\"room\"]\u{1e}422[\"publish\",\"room\",\"a\",1]\u{1e}423[\"leave\",\"room\"]")
        .await;
    let mut answers = String::new();
    while answers.matches("\"ok\"").count() < 3 {
        answers = format!("{answers}{} ", client.hears().await);
    }
    let order: Vec<_> = ["431", "432", "433"].iter().map(|answer| answers.find(answer).unwrap()).collect();
    assert!(order.is_sorted(), "{answers}");
    let bodies = receiver.got();
    let asked: Vec<_> = bodies[1..].iter().map(|got| got.json()).collect();
    assert_eq!((&asked[0]["hook"], &asked[0]["channel"]), (&json!("subscribe"), &json!("room")));
    assert_eq!((&asked[1]["hook"], &asked[1]["data"]), (&json!("publish"), &json!(["a", 1])));
    let no = json!({"error": {"code": 1001, "message": "not \"you\""}});
    receiver.next([Answer::Json(no.clone()), Answer::Json(no)]);
    client.posts(r#"424["join","other"]"#).await;
    let refused = r#"434[{"status":"error","code":107,"message":"not \"you\""}]"#;
    assert_eq!(client.hears().await, refused);
    let other = Poller::open(&broker).await;
    other.posts("40").await;
    assert_eq!(other.hears().await, r#"44{"message":"not \"you\"","data":{"code":1001}}"#);
    client.posts("1").await;
    let told = async || receiver.got().iter().any(|got| got.json()["hook"] == "disconnect");
    eventually("its end is told", told).await;
}
