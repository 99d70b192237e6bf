//! What happens when a client says nothing, on a clock that the tests hold.

use std::time::Duration;

use tokio::time::Instant;

use crate::support::{Frame, Lab, OPEN, within};

#[tokio::test(start_paused = true)]
async fn who_does_not_say_who_it_is_has_fifteen_seconds() {
    let lab = Lab::start(OPEN).await;
    let begun = Instant::now();
    let (mut silent, served) = lab.open(4096);
    // The beginning of a message is not a message.
    silent.send_bytes(&crate::support::text("{\"id\":1,\"connect\":{}}")[..10]).await;
    assert_eq!(silent.end().await, 3502);
    assert_eq!(begun.elapsed().as_secs(), 15);
    drop(silent);
    within("the end of the connection", served).await.unwrap();
    assert_eq!(lab.ended("stale"), 1);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_answer_a_ping_is_told_to_come_back() {
    let lab = Lab::start(OPEN).await;
    let (mut deaf, _) = lab.open(4096);
    deaf.answers_pings = false;
    deaf.connect("").await;
    let begun = Instant::now();
    assert_eq!(deaf.frame().await, Frame::Text("{}".into()));
    assert_eq!(begun.elapsed().as_secs(), 25);
    assert_eq!(deaf.end().await, 3012);
    assert_eq!(begun.elapsed().as_secs(), 25 + 8);
    assert_eq!(lab.ended("no_pong"), 1);
}

#[tokio::test(start_paused = true)]
async fn who_answers_every_ping_stays() {
    let yaml = format!("{OPEN}endpoints: {{websocket: {{ping_interval: 10s, pong_timeout: 3s}}}}\n");
    let lab = Lab::start(&yaml).await;
    let (mut client, _) = lab.open(4096);
    assert_eq!(client.connect("").await["ping"], 10);
    let begun = Instant::now();
    for round in 1..=20 {
        assert_eq!(client.frame().await, Frame::Text("{}".into()));
        assert_eq!(begun.elapsed().as_secs(), 10 * round);
        // As late as it may be.
        tokio::time::sleep(Duration::from_millis(2_900)).await;
        client.send("{}").await;
    }
    assert!(client.unasked().await.is_empty());
    assert_eq!(lab.gateway.hub.registry.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn other_messages_are_no_answer_to_a_ping() {
    let lab = Lab::start(OPEN).await;
    let (mut client, _) = lab.open(4096);
    client.answers_pings = false;
    client.connect("").await;
    assert_eq!(client.frame().await, Frame::Text("{}".into()));
    assert!(client.unasked().await.is_empty());
    assert_eq!(client.end().await, 3012);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_answer_the_closing_frame_is_cut_off() {
    let lab = Lab::start(OPEN).await;
    let (mut client, served) = lab.open(4096);
    client.connect("").await;
    client.send("rubbish").await;
    assert_eq!(client.end().await, 3501);
    let begun = Instant::now();
    within("the end of the connection", served).await.unwrap();
    assert!(begun.elapsed() <= Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(lab.ended("bad_request"), 1);
}
