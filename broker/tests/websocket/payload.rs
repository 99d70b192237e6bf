//! Payloads arrive as they were sent, whatever they are.

use serde_json::{Value, json};

use crate::support::{Broker, Frame, OPEN};

#[tokio::test]
async fn any_json_arrives_as_it_was_sent() {
    let broker = Broker::start(OPEN).await;
    let mut client = broker.connect().await;
    client.subscribe("a").await;
    let values = [
        json!(null),
        json!(false),
        json!(""),
        json!([]),
        json!({}),
        json!("line\nbreak, tab\t, nul\u{0}, bell\u{7}, quote\", backslash\\, delete\u{7f}"),
        json!("один 🚀 \u{2028}\u{feff}"),
        json!({"push": {"channel": "b"}, "id": 1, "error": {"code": 100}}),
        json!({"": [[[[[[1]]]]]]}),
    ];
    for value in values {
        client.publish("a", value.clone()).await;
        assert_eq!(client.publication("a").await, value);
    }
}

#[tokio::test]
async fn numbers_are_not_touched() {
    let broker = Broker::start(OPEN).await;
    let mut client = broker.connect().await;
    client.subscribe("a").await;
    let data = r#"{"big":12345678901234567890123,"far":1e400,"exact":0.10,"twice":1,"twice":2}"#;
    client.send(&format!("{{\"id\":9,\"publish\":{{\"channel\":\"a\",\"data\":{data}}}}}")).await;
    let mut got = String::new();
    while !got.contains("push") {
        let Frame::Text(lines) = client.frame().await else { panic!("not text") };
        got.push_str(&lines);
    }
    assert!(got.contains(&format!("\"data\":{data}")), "{got}");
}

#[tokio::test]
async fn line_breaks_between_tokens_do_not_break_the_protocol() {
    let broker = Broker::start(OPEN).await;
    let (mut publisher, mut subscriber) = (broker.connect().await, broker.connect().await);
    publisher.subscribe("a").await;
    subscriber.subscribe("a").await;
    let command = "{\r\n \"id\": 9,\n \"publish\": {\n  \"channel\": \"a\",\n  \"data\": {\n\"x\"\r\n:\r[1,\n2]}\n }\n}";
    publisher.send(command).await;
    assert_eq!(publisher.reply(9).await, json!({"id": 9, "publish": {}}));
    // Were the line cut in two, this would not be JSON.
    assert_eq!(subscriber.publication("a").await, json!({"x": [1, 2]}));
    let broken: Value = serde_json::from_str("{\n\"y\"\n:\n3\n}").unwrap();
    let body = format!("{{\"channel\":\"a\",\"data\":{}}}", "{\n\"y\"\n:\r\n3\n}");
    let answer = crate::support::request(
        broker.client_address,
        "POST",
        "/api/publish",
        crate::support::KEY,
        body.as_bytes(),
    );
    assert_eq!(answer.await.json(), json!({"result": {}}));
    assert_eq!(subscriber.publication("a").await, broken);
}

#[tokio::test]
async fn names_with_quotes_and_letters_of_all_kinds() {
    let broker = Broker::start(OPEN).await;
    let mut client = broker.connect().await;
    for channel in ["a\"b\\c", "чат", "🚀", "a b", "$private", "#1,2", "a/b?c=d&e", "'", "{}", "*"] {
        client.subscribe(channel).await;
        client.publish(channel, json!(channel)).await;
        assert_eq!(client.publication(channel).await, channel);
        let reply = client.command(json!({"presence": {"channel": channel}})).await;
        assert_eq!(reply["presence"]["presence"].as_object().map(|members| members.len()), Some(1));
    }
}
