//! The PROXY protocol: whose word is taken for whom.

use std::net::SocketAddr;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    Broker, Client, OPEN, Response, eventually, shake_hands,
    tls::{Certificate, Speaks, settings, speak},
    within,
};

const TRUSTED: &str = "client: {proxy_protocol: {enabled: true, trusted: [127.0.0.0/8]}}\n";
const ONE_EACH: &str = "limits: {connections_per_address: 1}\n";

/// A connection that begins with these bytes.
async fn begin(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = within("connecting", TcpStream::connect(address)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

async fn open(broker: &Broker, header: &[u8]) -> Result<Client, Response> {
    let stream = begin(broker.client_address, header).await;
    shake_hands(stream, broker.client_address, "", b"").await
}

fn text_for(client: &str) -> Vec<u8> {
    format!("PROXY TCP4 {client} 10.0.0.1 5000 443\r\n").into_bytes()
}

/// A header of version 2 with this behind its signature.
fn binary(rest: &[u8]) -> Vec<u8> {
    [b"\r\n\r\n\0\r\nQUIT\n", rest].concat()
}

#[tokio::test]
async fn clients_behind_a_proxy_are_told_apart() {
    let broker = Broker::start(&format!("{OPEN}{TRUSTED}{ONE_EACH}")).await;
    let mut first = open(&broker, &text_for("192.0.2.1")).await.unwrap();
    let _second = open(&broker, &text_for("192.0.2.2")).await.unwrap();
    let refused = open(&broker, &text_for("192.0.2.1")).await.err().unwrap();
    assert_eq!(refused.status, 429);
    // The same client, through a proxy that speaks the other version.
    let header = [&[0x21, 0x11, 0, 12, 192, 0, 2, 1][..], &[10, 0, 0, 1, 0x13, 0x88, 1, 0xbb]].concat();
    assert_eq!(open(&broker, &binary(&header)).await.err().unwrap().status, 429);
    assert_eq!(broker.rejected("address_limit").await, 2);
    first.connect("").await;
}

#[tokio::test]
async fn a_header_may_come_in_pieces_and_what_follows_it_is_the_clients() {
    let broker = Broker::start(&format!("{OPEN}{TRUSTED}")).await;
    let header = text_for("192.0.2.1");
    let mut stream = begin(broker.client_address, &header[..3]).await;
    for piece in header[3..].chunks(7) {
        tokio::task::yield_now().await;
        stream.write_all(piece).await.unwrap();
    }
    let mut client = shake_hands(stream, broker.client_address, "", b"").await.unwrap();
    client.connect("").await;

    // Header, request and what is behind it in one packet.
    let request = "GET /connection/websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let behind = crate::support::text("{\"id\":1,\"connect\":{}}");
    let mut stream =
        begin(broker.client_address, &[header.as_slice(), request.as_bytes(), &behind].concat()).await;
    let mut answer = Vec::new();
    within("the reply", async {
        while !String::from_utf8_lossy(&answer).contains("\"connect\":{") {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0);
        }
    })
    .await;
}

#[tokio::test]
async fn a_proxy_that_speaks_for_itself_has_its_own_address() {
    let broker = Broker::start(&format!("{OPEN}{TRUSTED}{ONE_EACH}")).await;
    let local = binary(&[0x20, 0, 0, 0]);
    let _check = open(&broker, &local).await.unwrap();
    assert_eq!(open(&broker, b"PROXY UNKNOWN\r\n").await.err().unwrap().status, 429);
    assert!(open(&broker, &text_for("192.0.2.1")).await.is_ok());
}

#[tokio::test]
async fn a_trusted_proxy_that_says_nothing_is_refused() {
    let broker = Broker::start(&format!("{OPEN}{TRUSTED}")).await;
    let broken: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PROXY TCP4 somebody\r\n",
        &binary(&[0x21, 0x11, 0xff, 0xff]),
        b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2 and so on, without an end, for more than a header may ever have, which is 107",
    ];
    for (count, bytes) in broken.into_iter().enumerate() {
        let mut stream = begin(broker.client_address, bytes).await;
        let mut answer = Vec::new();
        let _ = within("the end of the connection", stream.read_to_end(&mut answer)).await;
        assert_eq!(answer, b"", "{bytes:?}");
        let counted = count as u64 + 1;
        eventually("it is counted", async || broker.rejected("proxy_header").await == counted).await;
    }
    // Who only looks whether somebody is there has done nothing wrong.
    drop(begin(broker.client_address, b"").await);
    drop(begin(broker.client_address, b"PROXY TC").await);
    open(&broker, &text_for("192.0.2.1")).await.unwrap();
    assert_eq!(broker.rejected("proxy_header").await, broken.len() as u64);
}

#[tokio::test]
async fn nobody_else_is_believed() {
    let elsewhere = "client: {proxy_protocol: {enabled: true, trusted: [10.0.0.0/8]}}\n";
    for yaml in [elsewhere, ""] {
        let broker = Broker::start(&format!("{OPEN}{yaml}{ONE_EACH}")).await;
        let mut client = open(&broker, b"").await.unwrap();
        client.connect("").await;
        assert_eq!(
            open(&broker, b"").await.err().unwrap().status,
            429,
            "it has the connection's own address"
        );
        // A header from somebody who is not trusted is a request that is none.
        let mut stream = begin(broker.client_address, &text_for("192.0.2.1")).await;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        let _ = within("the end of the connection", stream.read_to_string(&mut answer)).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert_eq!(broker.rejected("proxy_header").await, 0);
    }
}

#[tokio::test]
async fn the_header_comes_before_tls() {
    let certificate = Certificate::new();
    let folder = tempfile::tempdir().unwrap();
    certificate.write(folder.path());
    let client = TRUSTED.replace("client: {", &format!("client: {{{}, ", settings(folder.path())));
    let broker = Broker::start(&format!("{OPEN}{client}{ONE_EACH}")).await;
    let open = async |client: &str| {
        let stream = begin(broker.client_address, &text_for(client)).await;
        let stream = speak(stream, &certificate, Speaks::default()).await.unwrap();
        shake_hands(stream, broker.client_address, "", b"").await
    };
    let mut first = open("192.0.2.1").await.unwrap();
    assert_eq!(open("192.0.2.1").await.err().unwrap().status, 429);
    assert!(open("192.0.2.2").await.is_ok());
    first.connect("").await;
    assert_eq!(first.command(json!({"ping": {}})).await, json!({"ping": {}}));
}
