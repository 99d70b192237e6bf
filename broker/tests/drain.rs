//! Leaving in an orderly way.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::{Broker, Client, KEY, OPEN, eventually, handshake, request, within};

async fn clients(broker: &Broker, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = broker.connect().await;
        client.subscribe("news").await;
        clients.push(client);
    }
    clients
}

#[tokio::test]
async fn clients_are_told_to_come_back_at_a_pace_and_nobody_else_is_let_in() {
    let broker = Broker::start(&format!("{OPEN}drain: {{grace: 25s, pace: 20}}\n")).await;
    let clients = clients(&broker, 30).await;
    let drain = tokio::spawn(broker.drain());
    eventually("readiness fails", async || broker.admin("GET", "/readyz").await.status == 503).await;
    assert_eq!(broker.admin("GET", "/livez").await.status, 200, "it is alive");
    assert_eq!(broker.admin("GET", "/healthz").await.json()["status"], "draining");
    let refused = handshake(broker.client_address, "", b"").await.err().unwrap();
    assert_eq!(refused.status, 503);
    assert_eq!(broker.rejected("draining").await, 1);

    let mut told = tokio::task::JoinSet::new();
    for mut client in clients {
        told.spawn(async move {
            assert_eq!(client.end().await, 3001);
            Instant::now()
        });
    }
    let mut times = told.join_all().await;
    times.sort();
    let spread = times[times.len() - 1] - times[0];
    assert!(spread >= Duration::from_millis(800), "30 clients at 20 a second, told within {spread:?}");
    let drained = within("the end of the drain", drain).await.unwrap();
    assert_eq!((drained.closed, drained.left), (30, 0));
    assert!(TcpStream::connect(broker.client_address).await.is_err(), "the ports are closed");
    assert!(TcpStream::connect(broker.admin_address).await.is_err());
}

#[tokio::test]
async fn a_short_grace_goes_before_the_pace() {
    let broker = Broker::start(&format!("{OPEN}drain: {{grace: 3s, pace: 1}}\n")).await;
    let clients = clients(&broker, 40).await;
    let begun = Instant::now();
    let drain = tokio::spawn(broker.drain());
    let mut told = tokio::task::JoinSet::new();
    for mut client in clients {
        told.spawn(async move { client.end().await });
    }
    assert_eq!(told.join_all().await, [3001; 40]);
    let drained = within("the end of the drain", drain).await.unwrap();
    assert_eq!((drained.closed, drained.left), (40, 0));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn what_is_queued_is_delivered_first() {
    let broker = Broker::start(OPEN).await;
    let mut subscriber = broker.connect().await;
    subscriber.subscribe("news").await;
    for number in 0..200 {
        broker.api("publish", &json!({"channel": "news", "data": number})).await;
    }
    let drain = tokio::spawn(broker.drain());
    for number in 0..200 {
        assert_eq!(subscriber.publication("news").await, number);
    }
    assert_eq!(subscriber.end().await, 3001);
    within("the end of the drain", drain).await.unwrap();
}

#[tokio::test]
async fn messages_flow_while_clients_are_leaving() {
    let broker = Broker::start(&format!("{OPEN}drain: {{grace: 25s, pace: 10}}\n")).await;
    let mut clients = clients(&broker, 20).await;
    let drain = tokio::spawn(broker.drain());
    eventually("it drains", async || broker.admin("GET", "/readyz").await.status == 503).await;
    // The first ten are told at once, the others a second later.
    broker.api("publish", &json!({"channel": "news", "data": "last"})).await;
    let mut received = 0;
    for client in &mut clients {
        let end = client.end().await;
        assert_eq!(end, 3001);
        received += client.kept().iter().filter(|line| line["push"]["pub"]["data"] == "last").count();
    }
    assert!(received >= 10, "{received} of those who were still there");
    within("the end of the drain", drain).await.unwrap();
}

#[tokio::test]
async fn asking_twice_is_one_drain() {
    let broker = Broker::start(&format!("{OPEN}drain: {{grace: 25s, pace: 20}}\n")).await;
    let mut clients = clients(&broker, 20).await;
    let ask = || async { broker.admin("POST", "/drain").await };
    let close = async {
        for client in &mut clients {
            assert_eq!(client.end().await, 3001);
        }
        clients.clear();
    };
    let (first, second, ()) = tokio::join!(ask(), ask(), close);
    for answer in [first, second, ask().await] {
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json(), json!({"drained": 20, "left": 0}));
    }
    assert_eq!(broker.admin("GET", "/readyz").await.status, 503, "drained, and not ready");
    let drained = within("the end", broker.drain()).await;
    assert_eq!((drained.closed, drained.left), (20, 0));
}

#[tokio::test]
async fn it_goes_on_when_whoever_asked_has_gone() {
    let broker = Broker::start(&format!("{OPEN}drain: {{grace: 25s, pace: 20}}\n")).await;
    let clients = clients(&broker, 30).await;
    let mut asks = TcpStream::connect(broker.admin_address).await.unwrap();
    asks.write_all(b"POST /drain HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    eventually("it drains", async || broker.admin("GET", "/readyz").await.status == 503).await;
    drop(asks);
    for mut client in clients {
        assert_eq!(client.end().await, 3001);
    }
    let drained = within("the end", broker.drain()).await;
    assert_eq!((drained.closed, drained.left), (30, 0), "it is the same drain");
}

/// None of these may hold the process: it ends a little after the grace at the latest.
#[tokio::test]
async fn it_ends_whatever_the_others_do() {
    let broker = Broker::start(&format!("{OPEN}drain: {{grace: 2s}}\n")).await;
    // Says nothing after the handshake; does not read; stops within a request's head, and within its body.
    let _silent = broker.open().await;
    let _deaf = broker.connect().await;
    let mut half_head = TcpStream::connect(broker.client_address).await.unwrap();
    half_head.write_all(b"POST /api/publish HTTP/1.1\r\nHost:").await.unwrap();
    let mut half_body = TcpStream::connect(broker.client_address).await.unwrap();
    let head = format!("POST /api/publish HTTP/1.1\r\nHost: a\r\n{KEY}Content-Length: 100\r\n\r\n{{");
    half_body.write_all(head.as_bytes()).await.unwrap();
    let _idle = TcpStream::connect(broker.admin_address).await.unwrap();
    // They have arrived when a later connection has been served.
    request(broker.client_address, "GET", "/", "", b"").await;

    let begun = Instant::now();
    within("the end", broker.drain()).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn who_has_not_said_who_it_is_does_not_hold_the_drain() {
    let broker = Broker::start(OPEN).await;
    let mut silent = broker.open().await;
    let drain = tokio::spawn(broker.drain());
    assert_eq!(silent.end().await, 3001, "and not stale, after fifteen seconds");
    drop(silent);
    let drained = within("the end of the drain", drain).await.unwrap();
    assert_eq!(drained.left, 0);
}

#[tokio::test]
async fn an_empty_broker_drains_at_once() {
    let broker = Broker::start(OPEN).await;
    let begun = Instant::now();
    let drained = within("the end", broker.drain()).await;
    assert_eq!((drained.closed, drained.left), (0, 0));
    assert!(begun.elapsed() < Duration::from_secs(5), "not the whole grace");
}
