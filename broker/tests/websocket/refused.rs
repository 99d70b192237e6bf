//! Commands that are refused with an error: the connection goes on, and each is counted.

use std::sync::Arc;

use serde_json::{Value, json};
use switchboard::{
    backplane::memory::MemoryBackplane,
    message::Message,
    middleware::{Chain, Middleware},
};

use crate::support::{Broker, Lab, OPEN};

const RULES: &str = "
limits: {channel_length: 20}
channels:
  namespaces:
    - {name: \"\"}
    - {name: open, publish: any, presence: any}
    - {name: shut, subscribe: nobody, publish: nobody, presence: nobody}
    - {name: mute, publish: nobody, presence: nobody}
    - {name: members, subscribe: token}
";

/// The same command for a channel, whichever it is.
fn of(command: &str, channel: &str) -> Value {
    let mut body = json!({"channel": channel});
    if command == "publish" {
        body["data"] = json!(1);
    }
    json!({command: body})
}

#[tokio::test]
async fn each_refusal_has_its_code_and_is_counted() {
    let cases = [
        (of("subscribe", "here"), 105, "already_subscribed"),
        (of("subscribe", "nowhere:a"), 102, "unknown_channel"),
        (of("publish", "nowhere:a"), 102, "unknown_channel"),
        (of("presence", "nowhere:a"), 102, "unknown_channel"),
        (of("presence_stats", "nowhere:a"), 102, "unknown_channel"),
        (of("subscribe", "shut:a"), 103, "permission_denied"),
        (of("subscribe", "members:a"), 103, "permission_denied"),
        (of("publish", "there"), 103, "permission_denied"),
        (of("publish", "mute:a"), 103, "permission_denied"),
        (of("publish", "shut:a"), 103, "permission_denied"),
        (of("presence", "there"), 103, "permission_denied"),
        (of("presence", "mute:a"), 103, "permission_denied"),
        (of("presence_stats", "there"), 103, "permission_denied"),
        (of("presence_stats", "mute:a"), 103, "permission_denied"),
        (of("subscribe", ""), 107, "bad_channel"),
        (of("publish", ""), 107, "bad_channel"),
        (of("presence", ""), 107, "bad_channel"),
        (of("unsubscribe", ""), 107, "bad_channel"),
        (of("subscribe", "twenty-one characters"), 107, "bad_channel"),
        (of("subscribe", "line\nbreak"), 107, "bad_channel"),
        (of("subscribe", "nul\0"), 107, "bad_channel"),
        (json!({"dance": {}}), 104, "unknown_command"),
        (json!({}), 104, "unknown_command"),
        (json!({"history": {"channel": "here"}}), 108, "not_available"),
        (json!({"rpc": {"method": "add", "data": [1, 2]}}), 108, "not_available"),
        (json!({"sub_refresh": {"channel": "here", "token": "t"}}), 103, "permission_denied"),
    ];
    let broker = Broker::start(&format!("{OPEN}{RULES}")).await;
    let mut client = broker.connect().await;
    client.subscribe("here").await;
    client.subscribe("mute:a").await;
    for (command, code, reason) in cases {
        let before = broker.rejected(reason).await;
        assert_eq!(client.error(command.clone()).await, code, "{command}");
        assert_eq!(broker.rejected(reason).await, before + 1, "{command}");
    }
    client.publish("here", json!("still at work")).await;
    assert_eq!(client.publication("here").await, "still at work");
}

#[tokio::test]
async fn what_the_rules_allow_goes_through() {
    let broker = Broker::start(&format!("{OPEN}{RULES}")).await;
    let (mut inside, mut outside) = (broker.connect().await, broker.connect().await);
    inside.subscribe("open:a").await;
    outside.publish("open:a", json!("from outside")).await;
    assert_eq!(inside.publication("open:a").await, "from outside");
    assert_eq!(
        outside.command(of("presence_stats", "open:a")).await,
        json!({"presence_stats": {"num_clients": 1, "num_users": 1}})
    );
    // The server API may publish where no client may, and a namespace's name alone is a channel of it.
    inside.subscribe("mute:").await;
    broker.api("publish", &json!({"channel": "mute:", "data": 1})).await;
    assert_eq!(inside.publication("mute:").await, 1);
}

#[tokio::test]
async fn an_error_says_what_it_is() {
    let broker = Broker::start(OPEN).await;
    let mut client = broker.connect().await;
    let reply = client.command(of("publish", "there")).await;
    assert_eq!(reply, json!({"error": {"code": 103, "message": "permission denied"}}));
}

struct NotToday;

impl Middleware for NotToday {
    fn process(&self, message: &mut Message) {
        message.reject("not_today", "not today");
    }
}

#[tokio::test]
async fn what_a_middleware_refuses_is_told_with_its_reason_and_counted_once() {
    let chain = Chain::new(vec![Arc::new(NotToday)]);
    let lab = Lab::of(OPEN, Arc::new(MemoryBackplane::default()), chain).await;
    let (mut client, _) = lab.open(1 << 20);
    client.connect("").await;
    client.subscribe("a").await;
    let reply = client.command(of("publish", "a")).await;
    assert_eq!(reply, json!({"error": {"code": 107, "message": "not today"}}));
    assert_eq!(lab.metric("rejected_total", &[("reason", "middleware")]), 1);
    assert_eq!(lab.metric("rejected_total", &[]), 1);
}
