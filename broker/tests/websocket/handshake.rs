//! The opening handshake, and who is turned away at it.

use serde_json::json;

use crate::support::{Broker, OPEN, handshake, request, text};

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n";

#[tokio::test]
async fn commands_may_come_in_one_packet_with_the_handshake() {
    let broker = Broker::start(OPEN).await;
    let behind = [
        text("{\"id\":1,\"connect\":{}}"),
        text("{\"id\":2,\"subscribe\":{\"channel\":\"news\"}}\n{\"id\":3,\"ping\":{}}"),
    ];
    let mut client = handshake(broker.client_address, "", &behind.concat()).await.unwrap();
    assert!(client.reply(1).await["connect"].is_object());
    assert_eq!(client.reply(2).await, json!({"id": 2, "subscribe": {}}));
    assert_eq!(client.reply(3).await, json!({"id": 3, "ping": {}}));
}

#[tokio::test]
async fn rubbish_behind_the_handshake_is_rubbish() {
    let broker = Broker::start(OPEN).await;
    let mut client = handshake(broker.client_address, "", b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(client.end().await, 1002);
}

#[tokio::test]
async fn what_is_no_handshake_is_told_so() {
    let broker = Broker::start(OPEN).await;
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let version = "Sec-WebSocket-Version: 13\r\n";
    let cases = [
        ("GET", String::new(), 426, "WebSocket client"),
        ("GET", format!("{UPGRADE}{version}"), 400, "Sec-WebSocket-Key"),
        ("GET", format!("{UPGRADE}{key}"), 400, "version"),
        ("GET", format!("{UPGRADE}{key}Sec-WebSocket-Version: 8\r\n"), 400, "version"),
        ("POST", format!("{UPGRADE}{key}{version}"), 405, ""),
    ];
    for (method, headers, status, says) in cases {
        // The request's own header says `close`, which makes it no upgrade unless another one says so.
        let answer = request(broker.client_address, method, "/connection/websocket", &headers, b"").await;
        assert_eq!(answer.status, status, "{method} {headers:?}: {answer:?}");
        assert!(answer.body.contains(says), "{answer:?}");
    }
    let answer = request(broker.client_address, "GET", "/elsewhere", "", b"").await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn pages_of_other_origins_are_refused() {
    let broker = Broker::start(OPEN).await;
    let address = broker.client_address;
    let refused = handshake(address, "Origin: https://evil.example\r\n", b"").await.err().unwrap();
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("client.allowed_origins"), "{refused:?}");
    assert_eq!(broker.rejected("origin").await, 1);
    handshake(address, &format!("Origin: http://{address}\r\n"), b"").await.unwrap();

    let listed =
        Broker::start(&format!("{OPEN}client: {{allowed_origins: [\"https://app.example\"]}}\n")).await;
    let address = listed.client_address;
    handshake(address, "Origin: https://app.example\r\n", b"").await.unwrap();
    let own = handshake(address, &format!("Origin: http://{address}\r\n"), b"").await;
    assert_eq!(own.err().unwrap().status, 403, "a list stands for itself");
}

#[tokio::test]
async fn the_path_is_a_setting() {
    let yaml = format!("{OPEN}endpoints: {{websocket: {{path: /connection/websocket/v2}}}}\n");
    let broker = Broker::start(&yaml).await;
    assert_eq!(handshake(broker.client_address, "", b"").await.err().unwrap().status, 404);
    let off = Broker::start(&format!("{OPEN}endpoints: {{websocket: {{enabled: false}}}}\n")).await;
    assert_eq!(handshake(off.client_address, "", b"").await.err().unwrap().status, 404);
}
