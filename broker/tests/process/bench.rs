//! `broker bench`: counts that are right, whatever the times are.

use serde_json::Value;

use crate::support::{Broker, OPEN, program::run};

async fn bench(broker: &Broker, arguments: &[&str]) -> (Option<i32>, String, String) {
    let url = format!("http://{}", broker.client_address);
    let output = run(&[&["bench", "--url", &url], arguments].concat(), &[]).await;
    let [out, error] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code(), out, error)
}

#[tokio::test]
async fn every_message_is_counted_for_every_subscriber() {
    let broker = Broker::start(OPEN).await;
    let load =
        ["--connections", "7", "--channels", "3", "--rate", "42", "--seconds", "1", "--output", "json"];
    let (code, out, error) = bench(&broker, &load).await;
    assert_eq!((code, error.as_str()), (Some(0), ""));
    let report: Value = serde_json::from_str(&out).unwrap();
    // 42 messages of seven clients in turn: 3 × 6 in a channel of three, 4 × 6 in two channels of two.
    for (figure, count) in [
        ("published", 42),
        ("delivered", 102),
        ("refused", 0),
        ("skipped", 0),
        ("lost", 0),
        ("connections", 7),
    ] {
        assert_eq!(report[figure], count, "{figure}: {report}");
    }
    let times = ["p50", "p99", "max"].map(|time| report["latency_ms"][time].as_f64().unwrap());
    assert!(times.is_sorted() && times[0] > 0.0, "{report}");
    assert_eq!(broker.metric("publishes_total", &[("source", "client")]).await, 42);
}

#[tokio::test]
async fn what_the_broker_refuses_is_told_from_what_is_lost() {
    let namespaces = "channels: {namespaces: [{name: \"\", publish: nobody}]}\n";
    let broker = Broker::start(&format!("{OPEN}{namespaces}")).await;
    let load = ["--connections", "2", "--channels", "1", "--rate", "20", "--seconds", "1"];
    let (code, out, error) = bench(&broker, &load).await;
    assert_eq!((code, error.as_str()), (Some(0), ""));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(
        lines,
        [
            "connections  2, channels 1",
            "published    20 (20 refused, 0 not sent in time)",
            "delivered    0 (0 lost), 0 a second",
            "latency      p50 0.00 ms, p99 0.00 ms, max 0.00 ms, this command included",
        ]
    );
}

#[tokio::test]
async fn a_load_that_cannot_be_is_refused() {
    let broker = Broker::start("auth: {anonymous: false, api_keys: [k]}\n").await;
    let (code, _, error) = bench(&broker, &["--connections", "1", "--channels", "2"]).await;
    assert_eq!(code, Some(1));
    assert!(error.starts_with("cannot measure: --channels is more than --connections"), "{error}");
    let (code, _, error) = bench(&broker, &["--connections", "1", "--channels", "1"]).await;
    assert_eq!(code, Some(1));
    assert!(error.contains("after 0 connections: the connection was closed with 3507"), "{error}");
    assert!(error.ends_with("give a token with --token-file\n"), "{error}");
    for bad in [["--rate", "0"], ["--connections", "0"], ["--seconds", "0"]] {
        assert_eq!(bench(&broker, &bad).await.0, Some(2), "{bad:?}");
    }
}
