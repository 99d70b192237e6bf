//! What is not the protocol: refused, bounded, counted, and nobody else is touched.

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{ON, Poller, with};
use crate::support::{Broker, eventually, within};

/// A connection that says this ends, which is counted so.
async fn ends_with(broker: &Broker, body: &str, rejection: &str, reason: &str) {
    let client = Poller::connect(broker).await;
    let (rejected, ended) = (broker.rejected(rejection).await, broker.ended_on("socketio", reason).await);
    let answer = client.post(body).await;
    assert_eq!((answer.status, answer.json()["code"].clone()), (400, json!(3)), "{body:?}");
    // What ends for good is told so in the namespace, and then of the connection.
    let told = [client.get().await.body, client.get().await.body];
    assert_eq!(told, ["41", "1"], "{body:?}");
    eventually("it is forgotten", async || client.is_gone().await).await;
    assert_eq!(broker.rejected(rejection).await, rejected + 1, "{body:?}");
    assert_eq!(broker.ended_on("socketio", reason).await, ended + 1, "{body:?}");
}

#[tokio::test]
async fn what_is_not_the_protocol_ends_its_connection_and_no_other() {
    let broker = Broker::start(ON).await;
    let other = Poller::connect(&broker).await;
    for body in [
        "",
        "x",
        "0{}",
        "2",
        "2probe",
        "5",
        "4",
        "4x",
        "44{}",
        "42",
        "42{}",
        "42[]",
        "42[1]",
        "42[\"a\"",
        "42[\"connect\"]",
        "42[\"disconnecting\"]",
        "43[1]",
        "430{}",
        "b?",
        "bAQI=",
        "450-[\"a\"]",
        "4565-[\"a\"]",
        "45[\"a\"]",
        "451-[\"a\"]\u{1e}420[\"join\",\"room\"]",
        "451-[\"a\"]\u{1e}bAQI=",
        "451-[\"a\",{\"_placeholder\":true,\"num\":1}]\u{1e}bAQI=",
        "451-[\"a\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":0}]\u{1e}bAQI=",
    ] {
        ends_with(&broker, body, "malformed", "bad_request").await;
    }
    ends_with(&broker, "42/nowhere,[\"a\"]", "not_connected", "bad_request").await;
    ends_with(&broker, "40", "already_connected", "bad_request").await;
    let nested = format!("42[\"publish\",{}", "[".repeat(100_000));
    ends_with(&broker, &nested, "malformed", "bad_request").await;
    other.posts("420[\"join\",\"room\"]").await;
    assert_eq!(other.hears().await, r#"430[{"status":"ok"}]"#);
}

#[tokio::test]
async fn a_namespace_that_there_is_not_is_refused_and_the_connection_goes_on() {
    let broker = Broker::start(ON).await;
    let client = Poller::connect(&broker).await;
    client.posts("40/nowhere,{\"token\":\"x\"}").await;
    let refused = r#"44/nowhere,{"message":"Invalid namespace","data":{"code":102}}"#;
    assert_eq!(client.hears().await, refused);
    client.posts("420[\"join\",\"room\"]").await;
    assert_eq!(client.hears().await, r#"430[{"status":"ok"}]"#);
}

#[tokio::test]
async fn nobody_is_anonymous_by_accident() {
    let yaml = "endpoints: {socketio: {enabled: true}}\n";
    let broker = Broker::start(yaml).await;
    let client = Poller::open(&broker).await;
    for (said, told) in [
        ("40", r#"44{"message":"permission denied","data":{"code":3507}}"#),
        ("40{\"token\":\"\"}", r#"44{"message":"permission denied","data":{"code":3507}}"#),
        ("40{\"token\":\"a.b.c\"}", r#"44{"message":"invalid token","data":{"code":3500}}"#),
    ] {
        client.posts(said).await;
        assert_eq!(client.hears().await, told);
    }
    assert_eq!((broker.rejected("no_token").await, broker.rejected("invalid_token").await), (2, 1));
    assert_eq!(broker.metric("connects_total", &[("endpoint", "socketio")]).await, 0);
}

#[tokio::test]
async fn bodies_and_attachments_are_bounded() {
    let broker = Broker::start(&with("max_payload: 10KiB")).await;
    let client = Poller::connect(&broker).await;
    let answer = client.post(&"x".repeat(10_241)).await;
    assert_eq!(answer.status, 413, "{answer:?}");
    assert_eq!(broker.rejected("too_large").await, 1);
    // One that does not say how long it is, and has no end.
    let mut stream = TcpStream::connect(broker.client_address).await.unwrap();
    let head = format!(
        "POST /socket.io/?EIO=4&transport=polling&sid={} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        client.sid
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(4096));
    let mut answer = Vec::new();
    within("an answer", async {
        for _ in 0..3 {
            let _ = stream.write_all(chunk.as_bytes()).await;
        }
        while !answer.starts_with(b"HTTP/1.1 413 ") {
            assert_ne!(
                stream.read_buf(&mut answer).await.unwrap(),
                0,
                "{:?}",
                String::from_utf8_lossy(&answer)
            );
        }
    })
    .await;
    assert_eq!(broker.rejected("too_large").await, 2);
    // The connection is as it was, until its attachments are too many bytes together.
    client.posts("420[\"join\",\"room\"]").await;
    assert_eq!(client.hears().await, r#"430[{"status":"ok"}]"#);
    client.posts("453-[\"a\",{\"_placeholder\":true,\"num\":0}]").await;
    let attachment = format!("b{}", "AAAA".repeat(2000));
    client.posts(&attachment).await;
    assert_eq!(client.post(&attachment).await.status, 400);
    eventually("it ends", async || broker.ended_on("socketio", "message_too_large").await == 1).await;
    assert_eq!(broker.rejected("too_large").await, 3);
}

#[tokio::test]
async fn answers_that_nobody_asked_for_are_counted_and_kept_nowhere() {
    let broker = Broker::start(ON).await;
    let client = Poller::connect(&broker).await;
    let flood: Vec<_> = (0..20_000).map(|id| format!("43{id}[]")).collect();
    client.posts(&flood.join("\u{1e}")).await;
    assert_eq!(broker.rejected("unknown_command").await, 20_000);
    client.posts("420[\"join\",\"room\"]").await;
    assert_eq!(client.hears().await, r#"430[{"status":"ok"}]"#);
}
