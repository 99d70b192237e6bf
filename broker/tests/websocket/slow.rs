//! Clients that do not read what they are sent.

use serde_json::{Value, json};
use tokio::{io::AsyncReadExt, net::TcpSocket};

use crate::support::{Broker, Client, Lab, OPEN, eventually, within};

const SMALL: &str = "limits: {message_size: 16KiB, outbox_size: 64KiB}
channels: {namespaces: [{name: \"\", publish: any}]}
";

fn large(number: u64) -> Value {
    json!([number, "x".repeat(8 * 1024)])
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_ended_and_the_others_get_everything() {
    let broker = Broker::start(&format!("{OPEN}{SMALL}")).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut slow = crate::support::handshake_on(socket, broker.client_address).await;
    slow.connect("").await;
    slow.subscribe("flood").await;
    let (mut reader, mut publisher) = (broker.connect().await, broker.connect().await);
    reader.subscribe("flood").await;

    let mut sent = 0;
    while broker.ended("slow").await == 0 {
        publisher.publish("flood", large(sent)).await;
        assert_eq!(reader.publication("flood").await, large(sent));
        sent += 1;
        assert!(broker.metric("outbox_bytes", &[]).await <= 3 * 64 * 1024, "memory is bounded");
        assert!(sent < 10_000, "the slow client is never ended");
    }
    publisher.publish("flood", json!("afterwards")).await;
    assert_eq!(reader.publication("flood").await, "afterwards");
    assert_eq!(broker.metric("delivery_failures_total", &[("reason", "slow")]).await, 1);
    assert_eq!(broker.metric("connections", &[("endpoint", "websocket")]).await, 2);
    assert_eq!(broker.metric("subscriptions", &[]).await, 1);
    eventually("its bytes are given back", async || broker.metric("outbox_bytes", &[]).await == 0).await;
    // The socket is closed at the other end, though it was full.
    let mut rest = Vec::new();
    let _ = within("the end of the slow client's connection", slow.stream.read_to_end(&mut rest)).await;
}

/// A client on a pipe of 4 KiB, subscribed and sent more than its outbox holds, and the task that serves it.
async fn overfull(lab: &Lab) -> (Client<tokio::io::DuplexStream>, tokio::task::JoinHandle<()>) {
    let (mut slow, served) = lab.open(4096);
    slow.connect("").await;
    slow.subscribe("flood").await;
    let (mut publisher, _) = lab.open(1 << 20);
    publisher.connect("").await;
    for number in 0..16 {
        publisher.publish("flood", large(number)).await;
    }
    (slow, served)
}

#[tokio::test(start_paused = true)]
async fn a_slow_client_that_reads_on_is_told_why_and_to_come_back() {
    let lab = Lab::start(&format!("{OPEN}{SMALL}")).await;
    let (mut slow, _) = overfull(&lab).await;
    assert_eq!(slow.end().await, 3008);
    assert_eq!(lab.ended("slow"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_client_that_never_reads_again_is_ended_without_being_told() {
    let lab = Lab::start(&format!("{OPEN}{SMALL}")).await;
    let (slow, served) = overfull(&lab).await;
    within("the end of the connection", served).await.unwrap();
    assert_eq!(lab.ended("slow"), 1, "not as one who went by itself");
    assert!(lab.gateway.hub.registry.len() <= 1);
    drop(slow);
}

#[tokio::test]
async fn a_client_that_asks_and_never_reads_the_answers_is_ended() {
    let lab = Lab::start(&format!("{OPEN}{SMALL}")).await;
    let (mut client, served) = lab.open(4096);
    client.connect("").await;
    let pings = "{\"id\":1,\"ping\":{}}\n".repeat(800);
    let frame = crate::support::text(&pings);
    let asking = async {
        use tokio::io::AsyncWriteExt;
        while client.stream.write_all(&frame).await.is_ok() {}
    };
    within("the end of a client that only asks", asking).await;
    within("the end of its connection", served).await.unwrap();
    assert_eq!(lab.ended("slow"), 1);
}

/// What a client publishes to itself, and asks, in one go.
const BURST: u64 = 20_000;

/// A client on a pipe that holds a whole burst, subscribed to `own`, and another subscriber.
async fn bursting(lab: &Lab) -> (Client<tokio::io::DuplexStream>, Client<tokio::io::DuplexStream>) {
    let (mut client, _) = lab.open(16 << 20);
    let (mut other, _) = lab.open(16 << 20);
    for client in [&mut client, &mut other] {
        client.connect("").await;
        client.subscribe("own").await;
    }
    (client, other)
}

#[tokio::test(start_paused = true)]
async fn a_burst_to_oneself_is_written_while_it_is_read() {
    let lab = Lab::start(&format!("{OPEN}limits: {{message_size: 64KiB, outbox_size: 256KiB}}\n")).await;
    let (mut client, mut other) = bursting(&lab).await;
    let data = "x".repeat(100);
    let frames: Vec<_> = (0..BURST)
        .map(|n| json!({"id": n + 1_000, "publish": {"channel": "own", "data": [n, data]}}).to_string())
        .flat_map(|command| crate::support::text(&command))
        .collect();
    assert!(frames.len() > 2 << 20);
    client.send_bytes(&frames).await;
    for subscriber in [&mut client, &mut other] {
        let mut next = 0;
        while next < BURST {
            let line = subscriber.line().await;
            if line["push"].is_object() {
                assert_eq!(line["push"]["pub"]["data"][0], next);
                next += 1;
            }
        }
    }
    assert_eq!(lab.ended("slow"), 0);
}

#[tokio::test(start_paused = true)]
async fn one_read_that_causes_more_than_the_outbox_holds_is_written_in_between() {
    let lab = Lab::start(&format!("{OPEN}limits: {{message_size: 1KiB, outbox_size: 16KiB}}\n")).await;
    let (mut client, mut other) = bursting(&lab).await;
    // Each of these short frames is answered with a frame three times as long.
    let frames: Vec<_> = (1..=2_000)
        .flat_map(|id| crate::support::text(&json!({"id": id, "dance": {}}).to_string()))
        .collect();
    client.send_bytes(&frames).await;
    for id in 1..=2_000 {
        assert_eq!(client.reply(id).await["error"]["code"], 104);
    }
    assert!(other.unasked().await.is_empty());
    assert_eq!(lab.ended("slow"), 0);
}

#[tokio::test(start_paused = true)]
async fn forty_thousand_pings_at_once_are_answered() {
    let lab = Lab::start(OPEN).await;
    let (mut client, mut other) = bursting(&lab).await;
    let pings = "{\"id\":1,\"ping\":{}}\n".repeat(1_000);
    let frames = crate::support::text(&pings).repeat(80);
    client.send_bytes(&frames).await;
    for _ in 0..80_000 {
        assert_eq!(client.line().await, json!({"id": 1, "ping": {}}));
    }
    assert!(other.unasked().await.is_empty());
}
