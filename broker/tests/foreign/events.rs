//! The `eventsource` of the npm registry, which does what that of browsers does.

use std::net::SocketAddr;

use serde_json::json;

use super::{Service, node::Script, pair_with, publish};
use crate::support::{Broker, OPEN, within};

const ON: &str = "endpoints: {sse: {enabled: true}}\n";

fn url(address: SocketAddr, query: &str) -> String {
    format!("http://{address}/connection/uni_sse?{query}")
}

#[tokio::test]
async fn an_event_source_hears_what_it_asked_for() {
    let broker = Broker::start(&format!("{OPEN}{ON}")).await;
    let plain = url(broker.client_address, "channel=room&channel=lobby");
    let request = "cf_connect=%7B%22subs%22%3A%7B%22room%22%3A%7B%7D%2C%22lobby%22%3A%7B%7D%7D%7D";
    for url in [plain, url(broker.client_address, request)] {
        let mut script = Script::start("listen.mjs", &[&url]).await;
        let subscribed = script.line().await;
        assert!(["subscribed room lobby", "subscribed lobby room"].contains(&subscribed.as_str()));
        for number in 0..100 {
            broker.api("publish", &json!({"channel": "lobby", "data": {"n": number}})).await;
            script.says(&format!("received {{\"n\":{number}}}")).await;
        }
        publish(&broker, "end").await;
        script.says("received \"end\"").await;
        script.succeeds().await;
    }
}

#[tokio::test]
async fn an_event_source_of_a_drained_instance_comes_back_on_another() {
    let [a, b] = pair_with(ON).await;
    let service = Service::before(&a).await;
    let mut script = Script::start("listen.mjs", &[&url(service.address, "channel=room")]).await;
    script.says("subscribed room").await;
    publish(&b, "before").await;
    script.says("received \"before\"").await;

    service.goes_to(&b);
    let drained = within("the end of the drain", a.drain()).await;
    assert_eq!((drained.closed, drained.left), (1, 0));
    script.says("disconnect 3001").await;
    script.says("subscribed room").await;
    publish(&b, "end").await;
    script.says("received \"end\"").await;
    script.succeeds().await;
}

#[tokio::test]
async fn an_event_source_does_not_give_up_on_an_instance_that_takes_nobody_any_more() {
    let [a, b] = pair_with(&format!("{ON}drain: {{grace: 25s, pace: 1}}\n")).await;
    let service = Service::before(&a).await;
    let mut script = Script::start("listen.mjs", &[&url(service.address, "channel=room")]).await;
    script.says("subscribed room").await;
    // So many that the drain goes on for a while.
    let mut others = Vec::new();
    for _ in 0..40 {
        others.push(a.connect().await);
    }
    service.cut();
    let drain = tokio::spawn(a.drain());
    script.says("disconnect 3001").await;
    service.goes_to(&b);
    script.says("subscribed room").await;
    publish(&b, "end").await;
    script.says("received \"end\"").await;
    script.succeeds().await;
    drop(others);
    within("the end of the drain", drain).await.unwrap();
}
