//! What is in Redis, or answers in its place, and is not of this broker.

use switchboard::metrics::EnvelopeDrop;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{Node, Server, within};

#[tokio::test]
async fn rubbish_between_messages_is_dropped_and_counted() {
    let server = Server::start().await;
    let (one, two) = (Node::start("one", &server).await, Node::start("two", &server).await);
    let subscriber = one.subscribe("chat").await;
    let prefix = server.config().prefix;
    // Of another version, and of this one and too short.
    for rubbish in ["rubbish", "\u{1}short"] {
        let heard: u64 = server.ask(&format!("PUBLISH {prefix}:{{channel:chat}} {rubbish}")).await;
        assert_eq!(heard, 1);
    }
    two.publish("chat", "hello").await.unwrap();
    subscriber.gets(&["hello"]).await;
    for reason in [EnvelopeDrop::Version, EnvelopeDrop::Malformed] {
        assert_eq!(one.hub.metrics.envelopes_dropped.get(reason), 1, "{reason:?}");
    }
}

#[tokio::test]
async fn who_does_not_speak_redis_is_left_and_asked_again() {
    let mut server = Server::absent();
    let listener = TcpListener::bind(("127.0.0.1", server.port)).await.unwrap();
    let one = Node::configured("one", server.config()).await.unwrap();
    let subscriber = one.subscribe("chat").await;
    for _ in 0..4 {
        let (mut stream, _) = within("a connection", listener.accept()).await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let _ = within("the end of the connection", stream.read_to_end(&mut Vec::new())).await;
    }
    // Alone it has nobody to reach, and fails nobody.
    one.publish("chat", "to nobody").await.unwrap();
    drop(listener);
    server.run().await;
    one.is_joined().await;
    let two = Node::start("two", &server).await;
    two.publish("chat", "hello").await.unwrap();
    subscriber.gets(&["hello"]).await;
}
