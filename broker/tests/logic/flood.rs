//! A module that sends more than anybody can take.

use futures_util::future::join_all;
use switchboard::message::{Channel, LogicName};
use tokio::net::TcpSocket;

use super::*;
use crate::support::handshake_on;

/// How often it sends to another module at once.
const AT_ONCE: usize = 100;

/// Whatever it gets, it fills a channel and the queue of another module.
struct Flood;

impl Logic for Flood {
    fn receive<'a>(&'a self, _: Message, context: &'a Context) -> BoxFuture<'a, Outcome> {
        async move {
            let text = json!("x".repeat(8 * 1024)).to_string();
            for _ in 0..2_000 {
                let channel = Target::Channel(Channel::parse("flood", 255).expect("a good name"));
                context
                    .send(channel, text.clone())
                    .await
                    .map_err(|error| LogicError::Failed(error.to_string()))?;
            }
            let odd = || Target::Logic(LogicName::new("odd"));
            join_all((0..AT_ONCE).map(|_| context.send(odd(), "1"))).await;
            Ok(None)
        }
        .boxed()
    }
}

#[tokio::test]
async fn a_module_that_floods_fills_bounded_queues_and_the_others_go_on() {
    const SMALL: &str = "limits: {message_size: 16KiB, outbox_size: 64KiB}\n";
    let odd = Settings { queue: 2, ..open_to_clients(Kind::Worker) };
    let flood = Settings::new(Kind::Dispatched(1));
    let builder = builder(&format!("{OPEN}{SMALL}")).logic("odd", odd, Arc::new(Odd::default()));
    let broker = Broker::built(builder.logic("flood", flood, Arc::new(Flood))).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut slow = handshake_on(socket, broker.client_address).await;
    slow.connect("").await;
    slow.subscribe("flood").await;
    let mut other = broker.connect().await;
    other.subscribe("room").await;

    let answer = broker.api("send", &json!({"logic": ["flood"], "data": 1})).await;
    assert_eq!(answer["result"]["logic"]["flood"], json!({}));
    assert!(broker.metric("outbox_bytes", &[]).await <= 64 * 1024, "memory is bounded");
    eventually("who does not keep up is ended", async || broker.ended("slow").await == 1).await;
    assert_eq!(broker.metric("outbox_bytes", &[]).await, 0);
    let (refused, handled) = (runs(&broker, "queue_full").await, runs(&broker, "ok").await);
    assert_eq!(refused + handled, AT_ONCE as u64);
    assert!(refused > 0, "its queue holds two");
    other.publish("room", json!("still here")).await;
    assert_eq!(other.publication("room").await, "still here");
    assert_eq!(other.command(rpc(&json!("fine"))).await, json!({"rpc": {"data": "fine"}}));
}
