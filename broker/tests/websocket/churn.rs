//! Many clients that come, do something and go, in every way there is, and what is left of them.

use serde_json::json;
use tokio::task::JoinSet;
use tungstenite::protocol::frame::coding::{Control, OpCode};

use crate::support::{Broker, Client, OPEN, eventually, frame};

const CLIENTS: u64 = 200;
const CHANNELS: u64 = 12;

/// Numbers that look random and are the same in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

async fn come_and_go(mut client: Client, mut dice: Dice) {
    client.connect("").await;
    for _ in 0..dice.below(12) {
        let channel = format!("c{}", dice.below(CHANNELS));
        let command = match dice.below(5) {
            0 | 1 => json!({"subscribe": {"channel": channel}}),
            2 => json!({"unsubscribe": {"channel": channel}}),
            3 => json!({"publish": {"channel": channel, "data": dice.below(1_000)}}),
            _ => json!({"presence_stats": {"channel": channel}}),
        };
        client.command(command).await;
    }
    match dice.below(4) {
        // In the middle of a subscribe.
        0 => client.send(r#"{"id":99999,"subscribe":{"channel":"c0"}}"#).await,
        1 => client.send_bytes(&frame(OpCode::Control(Control::Close), true, &[])).await,
        2 => client.send("rubbish").await,
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_clients_leave_nothing_behind() {
    let rules = "channels: {namespaces: [{name: \"\", publish: any, presence: any, join_leave: true}]}\n";
    let broker = Broker::start(&format!("{OPEN}{rules}")).await;
    let mut clients = JoinSet::new();
    for number in 1..=CLIENTS {
        let address = broker.client_address;
        clients.spawn(async move {
            come_and_go(Client::open(address).await, Dice(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))).await;
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    eventually("all are gone", async || {
        broker.metric("disconnects_total", &[("endpoint", "websocket")]).await == CLIENTS
    })
    .await;
    assert_eq!(broker.metric("connects_total", &[("endpoint", "websocket")]).await, CLIENTS);
    for gauge in ["connections", "channels", "subscriptions", "outbox_bytes"] {
        assert_eq!(broker.metric(gauge, &[]).await, 0, "{gauge}");
    }
    assert_eq!(broker.api("channels", &json!({})).await, json!({"result": {"channels": {}}}));
    let mut late = broker.connect().await;
    for channel in 0..CHANNELS {
        let reply = late.command(json!({"presence": {"channel": format!("c{channel}")}})).await;
        assert_eq!(reply, json!({"presence": {"presence": {}}}), "c{channel}");
    }
}
