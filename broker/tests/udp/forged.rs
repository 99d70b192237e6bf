//! Datagrams of somebody who is not where they say: nothing larger than what came may go there.

use proptest::{prelude::*, strategy::ValueTree};
use serde_json::{Value, json};
use tokio::net::UdpSocket;

use super::{connected, cookie, open, padding, sessions};
use crate::support::{Broker, within};

/// A socket that asks, and sees how much it is answered.
struct Stranger {
    socket: UdpSocket,
    markers: u64,
}

impl Stranger {
    async fn before(broker: &Broker) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(broker.udp_address()).await.unwrap();
        Self { socket, markers: 1_000_000 }
    }

    /// What a datagram is answered with. A connect behind it, which is always answered, tells when all has come.
    async fn asks(&mut self, datagram: &[u8]) -> Vec<Vec<u8>> {
        self.markers += 1;
        let marker = json!({"id": self.markers, "connect": {"cookie": padding()}}).to_string();
        within("sending", self.socket.send(datagram)).await.unwrap();
        within("sending", self.socket.send(marker.as_bytes())).await.unwrap();
        let (mut answers, mut buffer) = (Vec::new(), vec![0; 65_536]);
        loop {
            let length = within("an answer", self.socket.recv(&mut buffer)).await.unwrap();
            let answer = &buffer[..length];
            let line: Value = serde_json::from_slice(answer).unwrap_or_default();
            if line["id"] == self.markers {
                return answers;
            }
            answers.push(answer.to_vec());
        }
    }
}

#[tokio::test]
async fn a_connect_is_answered_with_a_cookie_if_there_is_room_for_it() {
    let broker = Broker::start(&open("", "")).await;
    let mut stranger = Stranger::before(&broker).await;
    assert_eq!(stranger.asks(b"{\"id\":1,\"connect\":{}}\n").await, Vec::<Vec<u8>>::new());
    assert_eq!(broker.rejected("no_cookie").await, 2, "it was counted all the same, as was the marker");
    let padded = format!("{:<80}", "{\"id\":1,\"connect\":{}}");
    let answers = stranger.asks(padded.as_bytes()).await;
    assert_eq!(answers.len(), 1);
    assert!(answers[0].len() <= 80);
    let answer: Value = serde_json::from_slice(&answers[0]).unwrap();
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(1), &json!(400)));
    assert_eq!(answer["error"]["cookie"].as_str().unwrap().len(), 16);
    assert_eq!(sessions(&broker).await, 0);
    assert_eq!(broker.metric("connects_total", &[("endpoint", "udp")]).await, 0);
}

#[tokio::test]
async fn a_cookie_is_of_no_use_to_another_address() {
    let broker = Broker::start(&open("", "")).await;
    let cookie = cookie(&mut broker.udp().await).await;
    let mut stranger = Stranger::before(&broker).await;
    let stolen = json!({"id": 1, "connect": {"cookie": cookie, "more": padding()}}).to_string();
    let answers = stranger.asks(stolen.as_bytes()).await;
    let answer: Value = serde_json::from_slice(&answers[0]).unwrap();
    assert_eq!(answer["error"]["code"], 400, "{answer}");
    assert_eq!(sessions(&broker).await, 0);
}

#[tokio::test]
async fn without_a_session_nothing_else_is_answered_and_all_is_counted() {
    let broker = Broker::start(&open("", "limits: {message_size: 1KiB}\n")).await;
    let mut stranger = Stranger::before(&broker).await;
    let long = " ".repeat(2_000);
    for (datagram, rejection) in [
        (
            &b"{\"id\":1,\"publish\":{\"channel\":\"a\",\"data\":1}}                          "[..],
            "not_connected",
        ),
        (b"{}", "not_connected"),
        (b"rubbish, and more of it, so that an answer would have room enough", "malformed"),
        (b"{\"id\":1,\"connect\":{}", "malformed"),
        (b"\xff\xfe", "malformed"),
        (long.as_bytes(), "too_large"),
    ] {
        let before = broker.rejected(rejection).await;
        assert_eq!(stranger.asks(datagram).await, Vec::<Vec<u8>>::new());
        assert_eq!(broker.rejected(rejection).await, before + 1, "{}", String::from_utf8_lossy(datagram));
    }
    assert_eq!(stranger.asks(b"").await, Vec::<Vec<u8>>::new());
    assert_eq!(stranger.asks(b" \r\n\n").await, Vec::<Vec<u8>>::new());
}

/// Datagrams that are nearly right, and others.
fn datagram() -> impl Strategy<Value = Vec<u8>> {
    let connect = (any::<u32>(), "[ -~]{0,100}", 0usize..60).prop_map(|(id, text, padding)| {
        let connect = json!({"id": id, "connect": {"cookie": text, "token": text}});
        format!("{connect}{}", " ".repeat(padding)).into_bytes()
    });
    let several = (1usize..20).prop_map(|count| {
        let ping = "{\"id\":1,\"ping\":{}}\n".repeat(count);
        format!("{{\"id\":1,\"connect\":{{}}}}\n{ping}").into_bytes()
    });
    prop_oneof![
        connect,
        several,
        "[ -~\n]{0,200}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..200),
    ]
}

#[tokio::test]
async fn no_datagram_causes_more_than_it_is_itself() {
    let broker = Broker::start(&open("", "")).await;
    let mut bystander = connected(&broker).await;
    let mut stranger = Stranger::before(&broker).await;
    let mut runner = proptest::test_runner::TestRunner::default();
    for _ in 0..300 {
        let datagram = datagram().new_tree(&mut runner).unwrap().current();
        let answered: usize = stranger.asks(&datagram).await.iter().map(Vec::len).sum();
        assert!(
            answered <= datagram.len(),
            "{answered} bytes for {}: {:?}",
            datagram.len(),
            String::from_utf8_lossy(&datagram)
        );
    }
    assert_eq!(sessions(&broker).await, 1, "that of the bystander");
    assert!(bystander.unasked().await.is_empty());
}

#[tokio::test]
async fn where_cookies_are_off_a_connect_is_enough() {
    let broker = Broker::start(&open(", cookie: false", "")).await;
    let mut client = broker.udp().await;
    client.connect("").await;
    client.subscribe("news").await;
    assert_eq!(sessions(&broker).await, 1);
}
