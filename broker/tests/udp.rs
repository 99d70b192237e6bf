//! The UDP endpoint: the same commands as on a WebSocket, in datagrams.

mod forged;
mod sessions;

use serde_json::{Value, json};

use crate::support::{Broker, Client, Datagrams, Frame, Lines, OPEN, eventually, within};

/// Anybody may connect, by WebSocket and by UDP.
fn open(udp: &str, more: &str) -> String {
    format!("{OPEN}endpoints: {{tcp: {{enabled: true}}, udp: {{enabled: true{udp}}}}}\n{more}")
}

/// What makes a connect long enough to be answered.
fn padding() -> String {
    ".".repeat(64)
}

/// Asks for a cookie.
async fn cookie(client: &mut Client<Datagrams, Lines>) -> String {
    let reply = client.command(json!({"connect": {"cookie": padding()}})).await;
    assert_eq!(reply["error"]["code"], 400, "{reply}");
    reply["error"]["cookie"].as_str().unwrap().to_owned()
}

/// Connects with a cookie and a token; the reply's `connect`.
async fn connect(client: &mut Client<Datagrams, Lines>, token: &str) -> Value {
    let cookie = cookie(client).await;
    let mut reply = client.command(json!({"connect": {"cookie": cookie, "token": token}})).await;
    assert!(reply["connect"]["client"].is_string(), "{reply}");
    reply["connect"].take()
}

async fn connected(broker: &Broker) -> Client<Datagrams, Lines> {
    let mut client = broker.udp().await;
    connect(&mut client, "").await;
    client
}

async fn sessions(broker: &Broker) -> u64 {
    broker.metric("connections", &[("endpoint", "udp")]).await
}

#[tokio::test]
async fn whoever_publishes_everybody_hears_it() {
    let broker = Broker::start(&open("", "")).await;
    let (mut datagram, mut frame) = (connected(&broker).await, broker.connect().await);
    let mut line = broker.tcp().await;
    line.connect("").await;
    datagram.subscribe("news").await;
    frame.subscribe("news").await;
    line.subscribe("news").await;
    frame.publish("news", json!({"from": "a frame"})).await;
    datagram.publish("news", json!({"from": "a datagram"})).await;
    line.publish("news", json!({"from": "a line"})).await;
    for from in ["a frame", "a datagram", "a line"] {
        for data in [
            frame.publication("news").await,
            datagram.publication("news").await,
            line.publication("news").await,
        ] {
            assert_eq!(data, json!({"from": from}));
        }
    }
    assert_eq!(sessions(&broker).await, 1);
    assert_eq!(broker.metric("received_total", &[("endpoint", "udp"), ("command", "publish")]).await, 1);
    let stats = datagram.command(json!({"presence_stats": {"channel": "news"}})).await;
    assert_eq!(stats["presence_stats"]["num_clients"], 3);
}

#[tokio::test]
async fn the_reply_to_connect_tells_of_no_pings() {
    let broker = Broker::start(&open("", "")).await;
    let mut client = broker.udp().await;
    let reply = connect(&mut client, "").await;
    assert_eq!((reply.get("ping"), reply.get("pong")), (None, None), "{reply}");
    assert_eq!(client.command(json!({"ping": {}})).await, json!({"ping": {}}));
}

#[tokio::test]
async fn several_commands_stand_in_one_datagram_and_several_answers_too() {
    let broker = Broker::start(&open("", "")).await;
    let mut client = broker.udp().await;
    let cookie = cookie(&mut client).await;
    let connect = json!({"id": 7, "connect": {"cookie": cookie}});
    client.send(&format!("{connect}\n{{\"id\":8,\"ping\":{{}}}}\r\n\n{{\"id\":9,\"ping\":{{}}}}")).await;
    let socket = client.stream.socket();
    let mut datagram = vec![0; 2_000];
    let length = within("the answers", socket.recv(&mut datagram)).await.unwrap();
    let text = std::str::from_utf8(&datagram[..length]).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert_eq!(lines[1..], [json!({"id": 8, "ping": {}}), json!({"id": 9, "ping": {}})]);
}

#[tokio::test]
async fn answers_are_joined_up_to_the_size_and_longer_ones_go_alone() {
    let broker = Broker::start(&open(", datagram_size: 600B", "")).await;
    let mut client = connected(&broker).await;
    client.subscribe("news").await;
    let pings = "{\"id\":1,\"ping\":{}}\n".repeat(200);
    client.send(&pings).await;
    let socket = client.stream.socket();
    let (mut datagram, mut answers, mut datagrams) = (vec![0; 65_536], 0, 0);
    while answers < 200 {
        let length = within("an answer", socket.recv(&mut datagram)).await.unwrap();
        assert!(length <= 600, "{length} bytes");
        answers += datagram[..length].iter().filter(|byte| **byte == b'\n').count();
        datagrams += 1;
    }
    assert!(datagrams < 100, "{datagrams} datagrams for 200 answers");
    let data = json!("x".repeat(5_000));
    broker.api("publish", &json!({"channel": "news", "data": data})).await;
    assert_eq!(client.publication("news").await, data);
}

#[tokio::test]
async fn what_no_datagram_holds_is_dropped_and_counted() {
    let limits = "limits: {message_size: 256KiB}\n";
    let broker = Broker::start(&open("", limits)).await;
    let (mut client, mut other) = (connected(&broker).await, broker.connect().await);
    client.subscribe("news").await;
    other.subscribe("news").await;
    let large = json!("x".repeat(66_000));
    broker.api("publish", &json!({"channel": "news", "data": large})).await;
    broker.api("publish", &json!({"channel": "news", "data": "small"})).await;
    assert_eq!(client.publication("news").await, "small");
    assert_eq!(other.publication("news").await, large, "it is no loss for others");
    assert_eq!(broker.metric("delivery_failures_total", &[("reason", "too_large")]).await, 1);
}

#[tokio::test]
async fn a_drain_tells_to_come_back_and_lets_nobody_in() {
    let broker = Broker::start(&open("", "drain: {grace: 25s, pace: 10}\n")).await;
    let mut clients = Vec::new();
    for _ in 0..31 {
        let mut client = connected(&broker).await;
        client.subscribe("news").await;
        clients.push(client);
    }
    let mut late = broker.udp().await;
    let cookie = cookie(&mut late).await;
    broker.api("publish", &json!({"channel": "news", "data": "last"})).await;
    let drain = tokio::spawn(broker.drain());
    eventually("it drains", async || broker.admin("GET", "/readyz").await.status == 503).await;
    // The last of them are told three seconds later, and in between another one comes.
    late.send(&json!({"id": 9, "connect": {"cookie": cookie}}).to_string()).await;
    assert_eq!(late.end().await, 3001);
    assert_eq!(broker.rejected("draining").await, 1);
    for client in &mut clients {
        assert_eq!(client.publication("news").await, "last");
        assert_eq!(client.frame().await, Frame::Close(3001, "shutdown".into()));
    }
    let drained = within("the end of the drain", drain).await.unwrap();
    assert_eq!((drained.closed, drained.left), (31, 0));
}
