//! The TCP endpoint: the same commands as on a WebSocket, one a line.

mod broken;
mod timers;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::support::{
    Broker, Client, Frame, Lab, Lines, OPEN, eventually,
    token::{SECRET, in_seconds, token},
    within,
};

/// Anybody may connect, by WebSocket and by TCP.
fn open(more: &str) -> String {
    format!("{OPEN}endpoints: {{tcp: {{enabled: true}}}}\n{more}")
}

async fn connected(broker: &Broker) -> Client<TcpStream, Lines> {
    let mut client = broker.tcp().await;
    client.connect("").await;
    client
}

/// All that comes on a connection until the server ends it.
async fn all(stream: &mut TcpStream) -> Vec<Value> {
    let mut bytes = Vec::new();
    within("the end of the connection", stream.read_to_end(&mut bytes)).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn whoever_publishes_everybody_hears_it() {
    let broker = Broker::start(&open("")).await;
    let (mut line, mut frame) = (connected(&broker).await, broker.connect().await);
    line.subscribe("news").await;
    frame.subscribe("news").await;
    frame.publish("news", json!({"from": "a frame", "text": "grüße\n"})).await;
    line.publish("news", json!("from a line")).await;
    broker.api("publish", &json!({"channel": "news", "data": "from elsewhere"})).await;
    let expected =
        [json!({"from": "a frame", "text": "grüße\n"}), json!("from a line"), json!("from elsewhere")];
    for data in expected {
        assert_eq!(line.publication("news").await, data);
        assert_eq!(frame.publication("news").await, data);
    }
    let stats = line.command(json!({"presence_stats": {"channel": "news"}})).await;
    assert_eq!(stats["presence_stats"]["num_clients"], 2);
    assert_eq!(broker.metric("connections", &[("endpoint", "tcp")]).await, 1);
    assert_eq!(broker.metric("received_total", &[("endpoint", "tcp"), ("command", "publish")]).await, 1);
    drop(line);
    eventually("it has gone", async || broker.metric("subscriptions", &[]).await == 1).await;
    eventually("it is counted", async || broker.ended_on("tcp", "connection_closed").await == 1).await;
    assert_eq!(broker.metric("connections", &[("endpoint", "tcp")]).await, 0);
}

#[tokio::test]
async fn lines_may_end_as_they_do_elsewhere_and_come_in_any_pieces() {
    let broker = Broker::start(&open("")).await;
    let mut client = broker.tcp().await;
    let lines = b"\r\n\n{\"id\":1,\"connect\":{}}\r\n  \n{\"id\":2,\"ping\":{}} {\"id\":3,\"ping\":{}}\n";
    for byte in lines {
        client.send_bytes(&[*byte]).await;
    }
    assert!(client.reply(1).await["connect"].is_object());
    assert_eq!(client.line().await, json!({"id": 2, "ping": {}}));
    assert_eq!(client.line().await, json!({"id": 3, "ping": {}}));
}

#[tokio::test]
async fn who_has_sent_all_gets_the_answers() {
    let broker = Broker::start(&open("")).await;
    let mut stream = TcpStream::connect(broker.tcp_address()).await.unwrap();
    // The last line has no end, as when it comes from `printf`.
    let lines = "{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":\"a\"}}\n\
                 {\"id\":3,\"publish\":{\"channel\":\"a\",\"data\":1}}";
    stream.write_all(lines.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let answers = all(&mut stream).await;
    assert_eq!(answers.len(), 5, "{answers:?}");
    assert!(answers[0]["connect"].is_object());
    assert_eq!(answers[1], json!({"id": 2, "subscribe": {}}));
    assert!(answers[2..4].contains(&json!({"id": 3, "publish": {}})), "{answers:?}");
    assert!(answers[2..4].iter().any(|line| line["push"]["pub"]["data"] == 1), "{answers:?}");
    assert_eq!(answers[4], json!({"push": {"disconnect": {"code": 3000, "reason": "connection closed"}}}));
    assert_eq!(broker.ended_on("tcp", "connection_closed").await, 1);
}

#[tokio::test]
async fn a_slow_client_is_closed_and_the_others_get_everything() {
    let limits = "limits: {message_size: 16KiB, outbox_size: 64KiB}\n\
                  channels: {namespaces: [{name: \"\", publish: any}]}\n";
    let broker = Broker::start(&open(limits)).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = within("connecting", socket.connect(broker.tcp_address())).await.unwrap();
    let mut slow = Client::of_lines(stream);
    slow.connect("").await;
    slow.subscribe("flood").await;
    let (mut reader, mut publisher) = (connected(&broker).await, broker.connect().await);
    reader.subscribe("flood").await;
    let large = |number: u64| json!([number, "x".repeat(8 * 1024)]);
    let mut sent = 0;
    while broker.ended_on("tcp", "slow").await == 0 {
        publisher.publish("flood", large(sent)).await;
        assert_eq!(reader.publication("flood").await, large(sent));
        assert!(broker.metric("outbox_bytes", &[]).await <= 3 * 64 * 1024, "memory is bounded");
        sent += 1;
        assert!(sent < 10_000, "the slow client is never ended");
    }
    publisher.publish("flood", json!("afterwards")).await;
    assert_eq!(reader.publication("flood").await, "afterwards");
    assert_eq!(broker.metric("delivery_failures_total", &[("reason", "slow")]).await, 1);
    assert_eq!(broker.metric("connections", &[("endpoint", "tcp")]).await, 1);
    eventually("its bytes are given back", async || broker.metric("outbox_bytes", &[]).await == 0).await;
    let mut rest = Vec::new();
    let _ = within("the end of its connection", slow.stream.read_to_end(&mut rest)).await;
}

#[tokio::test]
async fn a_drain_tells_to_come_back_and_lets_nobody_in() {
    let broker = Broker::start(&format!("{}drain: {{grace: 25s, pace: 10}}\n", open(""))).await;
    let mut clients = Vec::new();
    for _ in 0..31 {
        let mut client = connected(&broker).await;
        client.subscribe("news").await;
        clients.push(client);
    }
    let mut silent = broker.tcp().await;
    broker.api("publish", &json!({"channel": "news", "data": "last"})).await;
    let drain = tokio::spawn(broker.drain());
    eventually("it drains", async || broker.admin("GET", "/readyz").await.status == 503).await;
    // The last of them are told three seconds later, and in between another one comes.
    assert_eq!(broker.tcp().await.end().await, 3001);
    assert_eq!(broker.rejected("draining").await, 1);
    for client in &mut clients {
        assert_eq!(client.publication("news").await, "last");
        assert_eq!(client.frame().await, Frame::Close(3001, "shutdown".into()));
    }
    assert_eq!(silent.end().await, 3001);
    drop((clients, silent));
    let drained = within("the end of the drain", drain).await.unwrap();
    assert_eq!((drained.closed, drained.left), (31, 0));
    assert!(TcpStream::connect(broker.tcp_address()).await.is_err(), "the port is closed");
}

#[tokio::test]
async fn connections_of_all_endpoints_count_together() {
    let broker = Broker::start(&open("limits: {connections: 2}\n")).await;
    let (first, mut second) = (broker.connect().await, connected(&broker).await);
    assert_eq!(broker.tcp().await.end().await, 3011);
    assert_eq!(broker.rejected("connection_limit").await, 1);
    let refused = crate::support::handshake(broker.client_address, "", b"").await.err().unwrap();
    assert_eq!(refused.status, 503);
    drop(first);
    eventually("there is room again", async || {
        let mut client = broker.tcp().await;
        client.send("{\"id\":1,\"connect\":{}}").await;
        matches!(client.frame().await, Frame::Text(_))
    })
    .await;
    assert!(second.unasked().await.is_empty());
}

#[tokio::test]
async fn an_address_has_so_many_connections() {
    let broker = Broker::start(&open("limits: {connections_per_address: 1}\n")).await;
    let mut first = connected(&broker).await;
    assert_eq!(broker.tcp().await.end().await, 3011);
    assert_eq!(broker.rejected("address_limit").await, 1);
    assert!(first.unasked().await.is_empty());
}

#[tokio::test]
async fn what_stands_behind_an_expired_token_is_passed_over() {
    let yaml =
        format!("auth: {{jwt: {{hmac_secret: \"{SECRET}\"}}}}\nendpoints: {{tcp: {{enabled: true}}}}\n");
    let broker = Broker::start(&yaml).await;
    let connect = |id, seconds| {
        let token = token(&json!({"sub": "ann", "exp": in_seconds(seconds)}));
        json!({"id": id, "connect": {"token": token}}).to_string()
    };
    let subscribe = |id| json!({"id": id, "subscribe": {"channel": "news"}}).to_string();
    let mut client = broker.tcp().await;
    client.send(&connect(1, -1)).await;
    assert_eq!(client.line().await["error"]["code"], 109);
    // What was sent together may come apart.
    client.send(&subscribe(2)).await;
    client.send(&[subscribe(3), connect(4, 60), subscribe(5)].join("\n")).await;
    assert_eq!(client.line().await["connect"]["expires"], true);
    assert_eq!(client.line().await, json!({"id": 5, "subscribe": {}}));
    assert_eq!(broker.rejected("not_connected").await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_lines_is_answered_while_it_is_read() {
    let lab = Lab::start(&format!("{OPEN}limits: {{message_size: 1KiB, outbox_size: 16KiB}}\n")).await;
    let (mut client, _) = lab.open_lines(16 << 20);
    client.connect("").await;
    // Each of these lines is answered with one three times as long.
    let lines: String = (1_000..6_000).map(|id| format!("{{\"id\":{id},\"dance\":{{}}}}\n")).collect();
    client.send_bytes(lines.as_bytes()).await;
    for id in 1_000..6_000 {
        assert_eq!(client.reply(id).await["error"]["code"], 104);
    }
}
