//! Connections by WebSocket, and those that move to one.

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_tungstenite::{WebSocketStream, client_async};
use tungstenite::{Bytes, Message};

use super::{ON, Poller, with};
use crate::support::{
    Broker, eventually,
    tls::{Certificate, connect, settings},
    within,
};

/// A WebSocket, of this connection or of a new one.
struct Socket<S = TcpStream>(WebSocketStream<S>);

impl Socket {
    async fn open(broker: &Broker, sid: &str) -> Result<Self, tungstenite::Error> {
        let address = broker.client_address;
        let sid = if sid.is_empty() { String::new() } else { format!("&sid={sid}") };
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket{sid}");
        let stream = TcpStream::connect(address).await.unwrap();
        within("a handshake", client_async(url, stream)).await.map(|(stream, _)| Self(stream))
    }

    /// A client of the main namespace.
    async fn connect(broker: &Broker) -> Self {
        let mut socket = Self::open(broker, "").await.unwrap();
        assert!(socket.hears().await.starts_with("0{"));
        socket.says("40").await;
        assert!(socket.hears().await.starts_with("40{"));
        socket
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    async fn says(&mut self, text: &str) {
        within("saying", self.0.send(Message::text(text))).await.unwrap();
    }

    async fn gives(&mut self, bytes: &[u8]) {
        within("giving", self.0.send(Message::binary(Bytes::copy_from_slice(bytes)))).await.unwrap();
    }

    /// The next text; or the code with which it was closed, or nothing when it was cut off.
    async fn hears(&mut self) -> String {
        match within("a message", self.0.next()).await {
            Some(Ok(Message::Text(text))) => text.to_string(),
            Some(Ok(Message::Binary(bytes))) => format!("{:?}", &*bytes),
            Some(Ok(Message::Close(Some(frame)))) => u16::from(frame.code).to_string(),
            _ => String::new(),
        }
    }
}

#[tokio::test]
async fn a_broken_frame_ends_its_connection() {
    let broker = Broker::start(&with("max_payload: 10KiB")).await;
    for (message, told, reason) in [
        (Message::text("x"), ["41", "3501"], "bad_request"),
        (Message::text("42{}"), ["41", "3501"], "bad_request"),
        (Message::binary(&b"bytes"[..]), ["41", "3501"], "bad_request"),
        (Message::text("x".repeat(20_000)), ["41", "1009"], "message_too_large"),
    ] {
        let mut socket = Socket::connect(&broker).await;
        let ended = broker.ended_on("socketio", reason).await;
        within("sending", socket.0.send(message)).await.unwrap();
        let heard = [socket.hears().await, socket.hears().await];
        // A code that does not keep clients away is told by the closing frame alone.
        assert!(heard == told || heard[0] == told[1], "{heard:?}");
        eventually("it is counted", async || broker.ended_on("socketio", reason).await == ended + 1).await;
    }
    assert_eq!(broker.metric("connections", &[("endpoint", "socketio")]).await, 0);
}

#[tokio::test]
async fn bytes_come_and_go_as_messages_of_their_own() {
    let broker = Broker::start(ON).await;
    let (mut ann, mut bob) = (Socket::connect(&broker).await, Socket::connect(&broker).await);
    for client in [&mut ann, &mut bob] {
        client.says("420[\"join\",\"room\"]").await;
        assert_eq!(client.hears().await, r#"430[{"status":"ok"}]"#);
    }
    let place = |number| format!(r#"{{"_placeholder":true,"num":{number}}}"#);
    let event = format!(r#"["publish","room","e",{},{}]"#, place(1), place(0));
    ann.says(&format!("452-1{event}")).await;
    ann.gives(b"a").await;
    ann.gives(b"b").await;
    assert_eq!(ann.hears().await, r#"431[{"status":"ok"}]"#);
    // In the order of their places.
    assert_eq!(bob.hears().await, format!(r#"452-["e",{},{}]"#, place(0), place(1)));
    assert_eq!([bob.hears().await, bob.hears().await], ["[98]", "[97]"]);
}

#[tokio::test]
async fn a_connection_moves_when_its_client_says_so_and_not_before() {
    let broker = Broker::start(ON).await;
    let client = Poller::connect(&broker).await;
    // One that says something else stays where it is.
    let mut wrong = Socket::open(&broker, &client.sid).await.unwrap();
    wrong.says("42[\"join\",\"room\"]").await;
    assert_eq!(wrong.hears().await, "");
    let mut socket = Socket::open(&broker, &client.sid).await.unwrap();
    assert!(Socket::open(&broker, &client.sid).await.is_err(), "one at a time");
    socket.says("2probe").await;
    assert_eq!(socket.hears().await, "3probe");
    assert_eq!(client.hears().await, "6", "a request that waits is let go");
    assert_eq!(client.hears().await, "6", "and the next one too");
    client.posts("420[\"join\",\"room\"]").await;
    socket.says("5").await;
    assert_eq!(socket.hears().await, r#"430[{"status":"ok"}]"#, "what waits goes over the WebSocket");
    broker.api("publish", &json!({"channel": "room", "data": ["a"]})).await;
    assert_eq!(socket.hears().await, r#"42["a"]"#);
    assert_eq!(client.get().await.json()["code"], 3);
    assert_eq!(client.post("3").await.json()["code"], 3);
    drop(socket);
    eventually("it is gone", async || client.is_gone().await).await;
}

#[tokio::test]
async fn a_connection_moves_to_a_websocket_on_another_instance() {
    let [a, b] = super::elsewhere::pair().await;
    let client = Poller::connect(&a).await;
    let mut socket = Socket::open(&b, &client.sid).await.unwrap();
    assert!(Socket::open(&a, &client.sid).await.is_err(), "one at a time");
    socket.says("2probe").await;
    assert_eq!(socket.hears().await, "3probe");
    assert_eq!(client.hears().await, "6");
    socket.says("5").await;
    socket.says("420[\"join\",\"room\"]").await;
    assert_eq!(socket.hears().await, r#"430[{"status":"ok"}]"#);
    a.api("publish", &json!({"channel": "room", "data": ["a", {"$binary": "AQI="}]})).await;
    assert_eq!(socket.hears().await, r#"451-["a",{"_placeholder":true,"num":0}]"#);
    assert_eq!(socket.hears().await, "[1, 2]");
    socket.says("451-[\"publish\",\"room\",\"b\",{\"_placeholder\":true,\"num\":0}]").await;
    socket.gives(b"b").await;
    assert_eq!(client.get().await.json()["code"], 3, "it is not there any more");
    // Its own instance ends it, and the other passes that on.
    socket.says("42{}").await;
    assert_eq!([socket.hears().await, socket.hears().await], ["41", "3501"]);
    eventually("it is gone", async || client.is_gone().await).await;
    assert_eq!(a.ended_on("socketio", "bad_request").await, 1);
}

#[tokio::test]
async fn a_websocket_that_is_relayed_ends_with_either_instance() {
    for which in [0, 1] {
        let pair = super::elsewhere::pair().await;
        let client = Poller::connect(&pair[0]).await;
        let mut socket = Socket::open(&pair[1], &client.sid).await.unwrap();
        socket.says("2probe").await;
        assert_eq!(socket.hears().await, "3probe");
        socket.says("5").await;
        socket.says("420[\"join\",\"room\"]").await;
        assert!(["6", r#"430[{"status":"ok"}]"#].contains(&&*socket.hears().await));
        let drained = within("the end of the drain", pair[which].drain()).await;
        assert_eq!(drained.left, 0);
        while !matches!(&*socket.hears().await, "3001" | "") {}
        let is_empty = async || pair[1 - which].metric("connections", &[("endpoint", "socketio")]).await == 0;
        eventually("nothing is left", is_empty).await;
    }
}

#[tokio::test]
async fn who_never_reads_is_ended_and_the_others_get_everything() {
    let broker = Broker::start(&format!("{ON}limits: {{outbox_size: 256KiB}}\n")).await;
    let (mut reads, mut never) = (Socket::connect(&broker).await, Socket::connect(&broker).await);
    for client in [&mut reads, &mut never] {
        client.says("420[\"join\",\"room\"]").await;
        assert_eq!(client.hears().await, r#"430[{"status":"ok"}]"#);
    }
    let data = "x".repeat(50_000);
    let mut number = 0;
    while broker.ended_on("socketio", "slow").await == 0 {
        broker.api("publish", &json!({"channel": "room", "data": ["n", number, data]})).await;
        let heard = reads.hears().await;
        assert!(heard.starts_with(&format!("42[\"n\",{number},")), "{}", &heard[..20]);
        number += 1;
        assert!(number < 2000, "the system's own buffers are not that large");
    }
    let left = async || broker.metric("connections", &[("endpoint", "socketio")]).await == 1;
    eventually("it is gone", left).await;
    assert!(broker.metric("delivery_failures_total", &[("reason", "slow")]).await >= 1);
}

#[tokio::test]
async fn a_websocket_of_nobody_is_refused() {
    let broker = Broker::start(ON).await;
    for sid in ["x", &format!("{}1abc-nobody", "A".repeat(22))] {
        match Socket::open(&broker, sid).await {
            Err(tungstenite::Error::Http(answer)) => assert_eq!(answer.status(), 400),
            other => panic!("{:?}", other.err()),
        }
    }
    let websocket_only = Broker::start(&with("transports: [websocket]")).await;
    let refused = super::ask(websocket_only.client_address, "GET", "", "").await;
    assert_eq!(refused.json()["code"], 0);
    let _client = Socket::connect(&websocket_only).await;
}

#[tokio::test]
async fn everything_goes_through_tls_too() {
    let (certificate, folder) = (Certificate::new(), tempfile::tempdir().unwrap());
    certificate.write(folder.path());
    let broker = Broker::start(&format!("{ON}client: {{{}}}\n", settings(folder.path()))).await;
    let stream = connect(broker.client_address, &certificate).await.unwrap();
    let url = "ws://a/socket.io/?EIO=4&transport=websocket";
    let (stream, _) = within("a handshake", client_async(url, stream)).await.unwrap();
    let mut socket = Socket(stream);
    assert!(socket.hears().await.starts_with("0{"));
    socket.says("40").await;
    assert!(socket.hears().await.starts_with("40{"));
    socket.says("420[\"join\",\"room\"]").await;
    assert_eq!(socket.hears().await, r#"430[{"status":"ok"}]"#);
    drop(socket);
    let is_empty = async || broker.metric("connections", &[("endpoint", "socketio")]).await == 0;
    eventually("it is gone", is_empty).await;
}
