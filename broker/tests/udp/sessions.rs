//! Sessions: how they begin, how long they last, and how many there may be.

use serde_json::json;
use tokio::time::{Duration, Instant};

use super::{connect, connected, cookie, open, sessions};
use crate::support::{
    Broker, Frame, eventually,
    token::{SECRET, in_seconds, token},
    within,
};

#[tokio::test]
async fn a_silent_session_ends_and_one_that_says_anything_stays() {
    let broker = Broker::start(&open(", session_timeout: 5s", "")).await;
    let (mut silent, mut lively) = (connected(&broker).await, connected(&broker).await);
    silent.subscribe("news").await;
    lively.subscribe("news").await;
    let begun = Instant::now();
    let keep_alive = async {
        // An empty line, a pong and a command, each of them enough.
        for text in ["", "{}", "{\"send\":{\"data\":1}}"].iter().cycle() {
            lively.send(text).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let end = tokio::select! {
        end = silent.frame() => end,
        () = keep_alive => unreachable!("it goes on and on"),
    };
    assert_eq!(end, Frame::Close(3012, "no pong".into()));
    assert!(begun.elapsed() >= Duration::from_secs(5), "{:?}", begun.elapsed());
    eventually("it is gone", async || sessions(&broker).await == 1).await;
    assert_eq!(broker.ended_on("udp", "no_pong").await, 1);
    assert_eq!(broker.metric("subscriptions", &[]).await, 1);
    lively.publish("news", json!("still here")).await;
    assert_eq!(lively.publication("news").await, "still here");
}

#[tokio::test]
async fn a_silent_session_ends_also_when_much_is_sent_to_it() {
    let broker = Broker::start(&open(", session_timeout: 1s", "")).await;
    let mut silent = connected(&broker).await;
    silent.subscribe("news").await;
    let publish = async {
        loop {
            broker.api("publish", &json!({"channel": "news", "data": 1})).await;
        }
    };
    let end = tokio::select! {
        end = within("the end of the session", silent.end()) => end,
        () = publish => unreachable!("it goes on and on"),
    };
    assert_eq!(end, 3012);
}

#[tokio::test]
async fn whoever_connects_again_begins_anew() {
    let broker = Broker::start(&open("", "")).await;
    let mut client = broker.udp().await;
    let first = connect(&mut client, "").await;
    client.subscribe("news").await;
    // Also when the reply was lost: the same connect, with the same cookie.
    let second = connect(&mut client, "").await;
    assert_ne!(first["client"], second["client"]);
    eventually("what there was is gone", async || broker.metric("subscriptions", &[]).await == 0).await;
    client.subscribe("news").await;
    client.publish("news", json!(1)).await;
    assert_eq!(client.publication("news").await, 1);
    assert_eq!(sessions(&broker).await, 1);
    assert_eq!(broker.ended_on("udp", "connection_closed").await, 1);
}

#[tokio::test]
async fn there_are_so_many_sessions_and_no_more() {
    let broker = Broker::start(&open(", sessions: 2", "")).await;
    let (mut first, mut second) = (connected(&broker).await, connected(&broker).await);
    let mut third = broker.udp().await;
    let cookie = cookie(&mut third).await;
    let again = json!({"id": 9, "connect": {"cookie": cookie}}).to_string();
    third.send(&again).await;
    assert_eq!(third.end().await, 3011);
    assert_eq!(broker.rejected("connection_limit").await, 1);
    // Who has a session may begin it anew.
    connect(&mut second, "").await;
    first.send("rubbish").await;
    assert_eq!(first.end().await, 3501);
    eventually("there is room again", async || {
        third.send(&again).await;
        matches!(third.frame().await, Frame::Text(_))
    })
    .await;
    assert_eq!(sessions(&broker).await, 2);
}

#[tokio::test]
async fn sessions_count_as_connections() {
    let broker = Broker::start(&open("", "limits: {connections: 2}\n")).await;
    let _others = (connected(&broker).await, broker.connect().await);
    let mut third = broker.udp().await;
    let cookie = cookie(&mut third).await;
    third.send(&json!({"id": 9, "connect": {"cookie": cookie}}).to_string()).await;
    assert_eq!(third.end().await, 3011);
    let refused = crate::support::handshake(broker.client_address, "", b"").await.err().unwrap();
    assert_eq!(refused.status, 503);
}

#[tokio::test]
async fn a_bad_datagram_ends_its_session_and_no_other() {
    let broker = Broker::start(&open("", "limits: {message_size: 1KiB}\n")).await;
    let mut bystander = connected(&broker).await;
    bystander.subscribe("news").await;
    let long = " ".repeat(1025).into_bytes();
    let cases: [(_, &[u8], u16, _, _); 5] = [
        ("no JSON", b"hello", 3501, "bad_request", "malformed"),
        ("half a command", b"{\"id\":1,\"ping\"", 3501, "bad_request", "malformed"),
        ("no number", b"{\"ping\":{}}", 3501, "bad_request", "malformed"),
        ("too long", &long, 1009, "message_too_large", "too_large"),
        ("no UTF-8", b"\"\xff\"", 1007, "invalid_data", "malformed"),
    ];
    for (name, bytes, code, reason, rejection) in cases {
        let (ended, rejected) = (broker.ended_on("udp", reason).await, broker.rejected(rejection).await);
        let mut client = connected(&broker).await;
        client.send_bytes(bytes).await;
        assert_eq!(client.end().await, code, "{name}");
        eventually("it is gone", async || sessions(&broker).await == 1).await;
        assert_eq!(broker.ended_on("udp", reason).await, ended + 1, "{name}");
        assert_eq!(broker.rejected(rejection).await, rejected + 1, "{name}");
    }
    bystander.publish("news", json!("all is well")).await;
    assert_eq!(bystander.publication("news").await, "all is well");
}

#[tokio::test]
async fn an_expired_token_asks_for_a_new_one() {
    let yaml = format!(
        "auth: {{jwt: {{hmac_secret: \"{SECRET}\"}}}}\nendpoints: {{udp: {{enabled: true}}}}\nlimits: {{token_grace: 0s}}\n"
    );
    let broker = Broker::start(&yaml).await;
    let mut client = broker.udp().await;
    let cookie = cookie(&mut client).await;
    let with = |seconds| {
        let token = token(&json!({"sub": "ann", "exp": in_seconds(seconds)}));
        json!({"connect": {"cookie": cookie, "token": token}})
    };
    assert_eq!(client.error(with(-1)).await, 109);
    let reply = client.command(with(2)).await;
    assert_eq!(reply["connect"]["expires"], true, "{reply}");
    assert_eq!(client.end().await, 3005, "though nobody is silent for long");
    assert_eq!(broker.ended_on("udp", "expired").await, 1);
}

#[tokio::test]
async fn whoever_does_not_come_with_a_new_token_is_forgotten() {
    let yaml = format!(
        "auth: {{jwt: {{hmac_secret: \"{SECRET}\"}}}}\nendpoints: {{udp: {{enabled: true, session_timeout: 1s}}}}\n"
    );
    let broker = Broker::start(&yaml).await;
    let mut client = broker.udp().await;
    let cookie = cookie(&mut client).await;
    let expired = token(&json!({"sub": "ann", "exp": in_seconds(-1)}));
    assert_eq!(client.error(json!({"connect": {"cookie": cookie, "token": expired}})).await, 109);
    // It is nobody yet, so that this is no sign of life.
    client.send("").await;
    assert_eq!(client.end().await, 3502);
    assert_eq!(broker.ended_on("udp", "stale").await, 1);
}

#[tokio::test]
async fn an_answer_that_no_datagram_holds_is_an_error() {
    let yaml = format!(
        "auth: {{anonymous: true, jwt: {{hmac_secret: \"{SECRET}\"}}}}\nendpoints: {{udp: {{enabled: true}}}}\n"
    );
    let broker = Broker::start(&yaml).await;
    let mut members = Vec::new();
    for _ in 0..2 {
        let mut member = broker.open().await;
        member.connect(&token(&json!({"sub": "ann", "info": "x".repeat(40_000)}))).await;
        member.subscribe("news").await;
        members.push(member);
    }
    let mut client = connected(&broker).await;
    client.subscribe("news").await;
    assert_eq!(client.error(json!({"presence": {"channel": "news"}})).await, 106);
    let stats = client.command(json!({"presence_stats": {"channel": "news"}})).await;
    assert_eq!(stats["presence_stats"]["num_clients"], 3);
}
