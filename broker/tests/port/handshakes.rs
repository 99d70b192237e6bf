//! Connections that do not say what they want.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    Broker, OPEN, eventually, shake_hands,
    sse::Listener,
    tls::{Certificate, connect, settings},
    within,
};

/// So many connections that send this and nothing more.
async fn begin(address: SocketAddr, count: usize, bytes: &[u8]) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..count {
        let mut stream = within("connecting", TcpStream::connect(address)).await.unwrap();
        // One that is refused may be closed before this.
        let _ = stream.write_all(bytes).await;
        streams.push(stream);
    }
    streams
}

/// How many of them the other end has closed.
fn closed(streams: &[TcpStream]) -> usize {
    let is_closed = |stream: &&TcpStream| match stream.try_read(&mut [0; 64]) {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    };
    streams.iter().filter(is_closed).count()
}

/// Whether a request on a new connection is answered, and not refused in the doorway.
async fn is_served(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> bool {
    let request = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let mut answer = String::new();
    stream.write_all(request).await.is_ok()
        && stream.read_to_string(&mut answer).await.is_ok()
        && answer.starts_with("HTTP/1.1 404 ")
}

#[tokio::test]
async fn so_many_may_be_under_way_and_the_newest_are_refused() {
    let broker = Broker::start(&format!("{OPEN}limits: {{handshakes: 100}}\n")).await;
    let streams = begin(broker.client_address, 300, b"GET /connection/websocket HTTP/1.1\r\n").await;
    eventually("the others are refused", async || broker.rejected("handshake_limit").await == 200).await;
    eventually("they are closed", async || closed(&streams) == 200).await;
    assert_eq!(closed(&streams[..100]), 0, "those who were there first stay");

    drop(streams);
    eventually("there is room again", async || {
        is_served(TcpStream::connect(broker.client_address).await.unwrap()).await
    })
    .await;
    broker.connect().await;
}

#[tokio::test]
async fn a_connection_that_is_served_does_not_count() {
    let yaml = "limits: {handshakes: 1}\nendpoints: {sse: {enabled: true}}\n";
    let broker = Broker::start(&format!("{OPEN}{yaml}")).await;
    let (mut clients, mut listeners) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        // Each waits until the one before it is through.
        clients.push(broker.connect().await);
        listeners.push(Listener::to(broker.client_address, &["news"]).await);
    }
    assert_eq!(broker.metric("connections", &[]).await, 20);
    assert_eq!(broker.rejected("handshake_limit").await, 0);
}

#[tokio::test]
async fn who_takes_too_long_makes_room_and_is_counted() {
    let certificate = Certificate::new();
    let folder = tempfile::tempdir().unwrap();
    certificate.write(folder.path());
    let tls = format!("client: {{{}}}\n", settings(folder.path()));
    let plain = Broker::start(&format!("{OPEN}limits: {{handshakes: 100}}\n")).await;
    let with_tls = Broker::start(&format!("{OPEN}{tls}limits: {{handshakes: 100}}\n")).await;
    let _half_heads = begin(plain.client_address, 100, b"GET /").await;
    // The beginning of a record that TLS begins with.
    let _half_records = begin(with_tls.client_address, 100, &[0x16, 3, 1, 2, 0]).await;
    for broker in [&plain, &with_tls] {
        eventually("nobody else comes in", async || {
            begin(broker.client_address, 1, b"").await;
            broker.rejected("handshake_limit").await > 0
        })
        .await;
    }
    eventually("somebody comes in again", async || {
        is_served(TcpStream::connect(plain.client_address).await.unwrap()).await
    })
    .await;
    eventually("somebody comes in with TLS", async || {
        let Ok(stream) = connect(with_tls.client_address, &certificate).await else { return false };
        is_served(stream).await
    })
    .await;
    for broker in [&plain, &with_tls] {
        eventually("they are counted", async || broker.rejected("handshake_timeout").await == 100).await;
    }
}

#[tokio::test]
async fn an_address_alone_does_not_take_all() {
    let yaml = "limits: {handshakes: 100, connections_per_address: 10}
client: {proxy_protocol: {enabled: true, trusted: [127.0.0.1]}}\n";
    let broker = Broker::start(&format!("{OPEN}{yaml}")).await;
    let header = |client: &str| format!("PROXY TCP4 {client} 10.0.0.1 5 443\r\n").into_bytes();
    let streams = begin(broker.client_address, 50, &header("192.0.2.1")).await;
    // An eighth of all, as that is more than it may have clients.
    eventually("most are refused", async || broker.rejected("address_limit").await == 38).await;
    eventually("they are closed", async || closed(&streams) == 38).await;
    let stream = begin(broker.client_address, 1, &header("192.0.2.2")).await.remove(0);
    let mut client = shake_hands(stream, broker.client_address, "", b"").await.unwrap();
    client.connect("").await;
}
