//! Compressed streams say the same in fewer bytes.

use serde_json::json;

use super::ON;
use crate::support::{
    Broker, OPEN,
    sse::{Event, Listener},
    within,
};

const GZIP: &str = "Accept-Encoding: gzip, deflate, br\r\n";

/// The data of a message as applications send them: always the same keys.
fn price(number: u64) -> serde_json::Value {
    json!({"instrument": "EURUSD", "bid": 108_000 + number, "ask": 108_001 + number, "venue": "primary"})
}

#[tokio::test]
async fn the_same_events_come_in_fewer_bytes_each_at_once() {
    let broker = Broker::start(&format!("{OPEN}{ON}")).await;
    let mut plain = Listener::open(broker.client_address, "channel=prices", "").await;
    let mut packed = Listener::open(broker.client_address, "channel=prices", GZIP).await;
    assert_eq!(plain.header("content-encoding"), None);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    for listener in [&mut plain, &mut packed] {
        assert_eq!(listener.event().await.data["connect"]["subs"], json!({"prices": {}}));
    }
    for number in 0..200 {
        broker.api("publish", &json!({"channel": "prices", "data": price(number)})).await;
        // Nothing waits for more to compress.
        let events: [Event; 2] = [plain.event().await, packed.event().await];
        assert_eq!(events[0], events[1]);
        assert_eq!(events[0].data["pub"]["data"], price(number));
    }
    let (plain_size, packed_size) = (plain.body_size(), packed.body_size());
    assert!(packed_size * 2 < plain_size, "{packed_size} of {plain_size} bytes");

    // To the end, with its checksum.
    let drain = tokio::spawn(broker.drain());
    assert_eq!(packed.end().await.0, 3001);
    assert_eq!(plain.end().await.0, 3001);
    within("the end of the drain", drain).await.unwrap();
}

#[tokio::test]
async fn it_can_be_switched_off() {
    let yaml = format!("{OPEN}endpoints: {{sse: {{enabled: true, compression: false}}}}\n");
    let broker = Broker::start(&yaml).await;
    let mut listener = Listener::open(broker.client_address, "", GZIP).await;
    assert_eq!(listener.header("content-encoding"), None);
    assert!(listener.event().await.data["connect"].is_object());
}
