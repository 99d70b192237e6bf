//! Tokens of clients and of their subscriptions.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::ON;
use crate::support::{
    Broker,
    program::Program,
    request,
    sse::{Event, Listener, PATH},
    token::{SECRET, in_seconds, signed_with, token},
};

async fn strict() -> Broker {
    let rules = "channels: {namespaces: [{name: \"\"}, {name: members, subscribe: token}]}\n";
    Broker::start(&format!("auth: {{jwt: {{hmac_secret: \"{SECRET}\"}}}}\n{ON}{rules}")).await
}

/// Listens with the protocol's request.
async fn listen(broker: &Broker, request: &Value) -> Listener {
    let encoded: String = request.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
    Listener::open(broker.client_address, &format!("cf_connect={encoded}"), "").await
}

#[tokio::test]
async fn a_token_says_who_listens() {
    let broker = strict().await;
    let ann = token(&json!({"sub": "ann", "info": {"name": "Ann"}, "exp": in_seconds(60)}));
    let mut listener = Listener::open(broker.client_address, &format!("channel=news&token={ann}"), "").await;
    assert_eq!(listener.event().await.data["connect"]["subs"], json!({"news": {}}));
    let mut other = broker.open().await;
    other.connect(&ann).await;
    other.subscribe("news").await;
    let reply = other.command(json!({"presence": {"channel": "news"}})).await;
    let members = reply["presence"]["presence"].as_object().unwrap();
    assert_eq!(members.len(), 2);
    assert!(members.values().all(|member| member["conn_info"] == json!({"name": "Ann"})), "{members:?}");
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let broker = strict().await;
    let (start, end) = (in_seconds(0), in_seconds(2));
    let ann = token(&json!({"sub": "ann", "exp": end}));
    let mut listener = Listener::open(broker.client_address, &format!("channel=news&token={ann}"), "").await;
    assert!(listener.event().await.data["connect"].is_object());
    assert_eq!(listener.end().await, (3005, 60_000), "with the same token there is no use in coming back");
    assert!(in_seconds(0) >= end && in_seconds(0) - start < 20, "and not with the next ping");
    let ended = [("endpoint", "sse"), ("reason", "expired")];
    assert_eq!(broker.metric("disconnects_total", &ended).await, 1);
    // Who comes back with it hears the same.
    let mut again = Listener::open(broker.client_address, &format!("channel=news&token={ann}"), "").await;
    assert_eq!(again.end().await, (3005, 60_000));
    assert_eq!(broker.rejected("expired_token").await, 1);
}

#[tokio::test]
async fn a_channel_may_want_a_token_of_its_own() {
    let broker = strict().await;
    let ann = token(&json!({"sub": "ann"}));
    let seat = |seconds| token(&json!({"sub": "ann", "channel": "members:a", "exp": in_seconds(seconds)}));
    let mut listener = listen(&broker, &json!({"token": ann, "subs": {"members:a": {}}})).await;
    let refused = listener.event().await.data["connect"]["refused"].take();
    assert_eq!(refused["members:a"]["code"], 103);
    let request = json!({"token": ann, "subs": {"members:a": {"token": seat(-5)}}});
    let refused = listen(&broker, &request).await.event().await.data["connect"]["refused"].take();
    assert_eq!(refused["members:a"]["code"], 109);

    let end = in_seconds(2);
    let request = json!({"token": ann, "subs": {"members:a": {"token": seat(2)}, "news": {}}});
    let mut listener = listen(&broker, &request).await;
    let Event { data, .. } = listener.event().await;
    assert_eq!(data["connect"]["subs"], json!({"members:a": {}, "news": {}}));
    assert_eq!(listener.end().await.0, 3005, "a stream does not outlive a token of its subscriptions");
    assert!(in_seconds(0) >= end);
}

#[tokio::test]
async fn no_token_is_in_the_log() {
    let variables = [
        ("SWITCHBOARD_AUTH__JWT__HMAC_SECRET", SECRET),
        ("SWITCHBOARD_ENDPOINTS__SSE__ENABLED", "true"),
        ("LOG_LEVEL", "trace"),
    ];
    let program = Program::start(&[], &variables);
    let (address, _) = program.addresses().await;
    let (good, bad) = (token(&json!({"sub": "ann"})), signed_with("guessed", &json!({"sub": "eve"})));
    for token in [&good, &bad] {
        let mut listener = Listener::open(address, &format!("channel=a&token={token}"), "").await;
        listener.event().await;
        let asked = json!({"token": token, "subs": 1}).to_string();
        assert_eq!(request(address, "POST", PATH, "", asked.as_bytes()).await.status, 400);
    }
    program.signal(Signal::TERM);
    let (status, log) = program.end().await;
    assert_eq!(status.code(), Some(0));
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "there is much to look at: {log}");
    for token in [good, bad] {
        assert!(!log.contains(&token), "{token} in {log}");
    }
}
