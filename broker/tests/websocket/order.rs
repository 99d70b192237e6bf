//! Order and exactly-once delivery of a publisher's messages.

use serde_json::json;

use crate::support::{Broker, OPEN};

const MESSAGES: u64 = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_messages_arrive_once_and_in_order() {
    let yaml = format!("{OPEN}channels: {{namespaces: [{{name: \"\", publish: any}}]}}\n");
    let broker = Broker::start(&yaml).await;
    let mut readers = Vec::new();
    for _ in 0..4 {
        let mut subscriber = broker.connect().await;
        subscriber.subscribe("count").await;
        readers.push(tokio::spawn(async move {
            for expected in 0..MESSAGES {
                assert_eq!(subscriber.publication("count").await, expected);
            }
            assert!(subscriber.unasked().await.is_empty());
        }));
    }
    let mut publisher = broker.connect().await;
    // Batches of many sizes, several of them under way at a time.
    let (mut next, mut answered) = (0, 0);
    while next < MESSAGES {
        let end = (next + 1 + next % 173).min(MESSAGES);
        let commands: Vec<_> = (next..end)
            .map(|n| json!({"id": n + 1_000, "publish": {"channel": "count", "data": n}}).to_string())
            .collect();
        publisher.send(&commands.join("\n")).await;
        next = end;
        while answered + 500 < next {
            assert_eq!(publisher.line().await, json!({"id": answered + 1_000, "publish": {}}));
            answered += 1;
        }
    }
    for reader in readers {
        reader.await.unwrap();
    }
    assert_eq!(broker.metric("publishes_total", &[("source", "client")]).await, MESSAGES);
    assert_eq!(broker.metric("deliveries_total", &[("origin", "local")]).await, 4 * MESSAGES);
    assert_eq!(broker.metric("delivery_failures_total", &[]).await, 0);
}
