//! What the configuration says of middleware: rules for metadata and tags, for all endpoints and for some.

use serde_json::json;

use crate::support::{Broker, OPEN};

const RULES: &str = "
endpoints: {tcp: {enabled: true}}
channels: {namespaces: [{name: '', publish: any}]}
middleware:
  receive:
    - {endpoints: [http], require: {metadata: [trace]}, set: {metadata: {via: backend}}}
    - {endpoints: [http], forbid: {metadata: [role]}, message: roles are not for the backend}
    - {endpoints: [websocket], set: {metadata: {via: web}, tags: {outside: 'yes'}}}
    - {endpoints: [tcp], forbid: {metadata: [via]}, require: {tags: [never]}, message: this endpoint only listens}
  send:
    - {strip: {metadata: [trace]}}
    - {endpoints: [websocket], require: {tags: [outside]}}
";

#[tokio::test]
async fn rules_hold_for_the_endpoints_that_they_name_and_who_is_refused_is_told_why() {
    let broker = Broker::start(&format!("{OPEN}{RULES}")).await;
    let (mut web, mut tcp) = (broker.connect().await, broker.tcp().await);
    tcp.connect("").await;
    web.subscribe("room").await;
    tcp.subscribe("room").await;

    web.publish("room", json!(1)).await;
    for push in [web.push().await, tcp.push().await] {
        assert_eq!((&push["pub"]["data"], &push["pub"]["tags"]), (&json!(1), &json!({"via": "web"})));
    }

    let reply = tcp.command(json!({"publish": {"channel": "room", "data": 2}})).await;
    assert_eq!(reply, json!({"error": {"code": 107, "message": "this endpoint only listens"}}));

    let publish = |tags| json!({"channel": "room", "data": 3, "tags": tags});
    let answer = broker.api("publish", &publish(json!({}))).await;
    let sentence = "bad request: the metadata \"trace\" is missing; send it along";
    assert_eq!(answer, json!({"error": {"code": 107, "message": sentence}}));
    let answer = broker.api("publish", &publish(json!({"trace": "a", "role": "b"}))).await;
    assert_eq!(answer["error"]["message"], "bad request: roles are not for the backend");
    let answer = broker.api("publish", &publish(json!({"trace": "a", "more": "b"}))).await;
    assert_eq!(answer, json!({"result": {}}));
    let push = web.push().await;
    assert_eq!(push["pub"]["tags"], json!({"via": "backend", "more": "b"}), "the trace has been taken away");

    assert_eq!(broker.rejected("middleware").await, 3, "each is counted once");
    assert_eq!(broker.metric("rejected_total", &[]).await, 3);
}

#[tokio::test]
async fn a_rule_for_an_endpoint_that_is_not_there_keeps_the_broker_from_starting() {
    let yaml = format!("{OPEN}middleware: {{send: [{{endpoints: [websockets], strip: {{tags: [a]}}}}]}}\n");
    let error = switchboard::Broker::start(crate::support::config(&yaml)).await.err().unwrap();
    assert_eq!(
        error.to_string(),
        "a middleware is for the endpoint \"websockets\", which there is none of; write one of websocket, socketio, sse, presence, tcp, udp, http"
    );
}
