//! What happens when a client says nothing, on a clock that the tests hold.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::support::{Frame, Lab, OPEN, within};

#[tokio::test(start_paused = true)]
async fn who_does_not_say_who_it_is_has_fifteen_seconds() {
    let lab = Lab::start(OPEN).await;
    let begun = Instant::now();
    let (mut silent, served) = lab.open_lines(4096);
    // The beginning of a line is not a line, and an empty one says nothing.
    silent.send_bytes(b"\n\n{\"id\":1,\"connect\":{}}").await;
    assert_eq!(silent.end().await, 3502);
    assert_eq!(begun.elapsed().as_secs(), 15);
    drop(silent);
    within("the end of the connection", served).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_answers_pings_stays_and_who_does_not_goes() {
    let lab = Lab::start(OPEN).await;
    let (mut client, _) = lab.open_lines(4096);
    let connect = client.connect("").await;
    assert_eq!((&connect["ping"], &connect["pong"]), (&json!(25), &json!(true)));
    let begun = Instant::now();
    for round in 1..=3 {
        assert_eq!(client.frame().await, Frame::Text("{}".into()));
        assert_eq!(begun.elapsed().as_secs(), 25 * round);
        client.send("{}").await;
    }
    assert_eq!(client.frame().await, Frame::Text("{}".into()));
    // An empty line is no answer.
    client.send("").await;
    assert_eq!(client.end().await, 3012);
    assert_eq!(begun.elapsed().as_secs(), 100 + 8);
}

#[tokio::test(start_paused = true)]
async fn where_pings_are_off_nobody_is_pinged() {
    let lab = Lab::start(&format!("{OPEN}endpoints: {{tcp: {{ping_interval: 0s}}}}\n")).await;
    let (mut client, _) = lab.open_lines(4096);
    let connect = client.connect("").await;
    assert_eq!((connect.get("ping"), connect.get("pong")), (None, None));
    tokio::time::sleep(Duration::from_secs(3 * 24 * 60 * 60)).await;
    assert!(client.unasked().await.is_empty());
    assert!(client.kept().is_empty());
    assert_eq!(lab.gateway.hub.registry.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_is_told_of_the_end_and_does_not_go_is_cut_off() {
    let lab = Lab::start(OPEN).await;
    let (mut client, served) = lab.open_lines(4096);
    client.connect("").await;
    client.send("rubbish").await;
    assert_eq!(client.end().await, 3501);
    let begun = Instant::now();
    within("the end of the connection", served).await.unwrap();
    assert!(begun.elapsed() <= Duration::from_secs(2), "{:?}", begun.elapsed());
}
