//! What the API server refuses in `spec.hooks` and `spec.middleware`, and takes.

use super::{super::fixture::Fixture, with};
use serde_json::{Value, json};

fn hooks(settings: Value) -> Value {
    with("hooks", settings)
}

/// A hook with these settings beside its webhook.
fn hook(name: &str, mut settings: Value) -> Value {
    settings["webhook"] = json!({"url": "http://h"});
    hooks(json!({name: settings}))
}

fn webhook(name: &str, settings: Value) -> Value {
    hooks(json!({name: {"webhook": settings}}))
}

fn receive(rule: Value) -> Value {
    with("middleware", json!({"receive": [rule]}))
}

pub(super) fn wrong_fields() -> Vec<(Value, &'static str)> {
    let mut unlisted = hook("publish", json!({"namespaces": [""]}));
    unlisted["channels"] = json!({"namespaces": [{"name": "room"}]});
    vec![
        (hooks(json!({"connect": {}})), "for example webhook: {url: 'http://127.0.0.1:7000/hooks'}"),
        (hooks(json!({"refresh": {}})), "spec.hooks.refresh: field not declared in schema"),
        (
            webhook("connect", json!({})),
            "url is missing: write it too, for example url: http://127.0.0.1:7000",
        ),
        (webhook("publish", json!({"url": "http://u:hunter2@h"})), "name a secret in secretRef"),
        (webhook("publish", json!({"url": "ftp://h"})), "url must begin with http:// or https://"),
        (
            webhook("publish", json!({"url": "http://h", "secretRef": {"name": "a"}})),
            "key is missing: write it too, for example key: secret",
        ),
        (webhook("publish", json!({"url": "http://h", "batch": 2})), "leave batch out of the other hooks"),
        (
            webhook("disconnect", json!({"url": "http://h", "batch": 2, "batchWait": "3s"})),
            "webhook.batchWait must be less than timeLimit",
        ),
        (hook("connect", json!({"timeLimit": "3"})), "'3' is not a duration: write a whole number"),
        (hook("connect", json!({"timeLimit": "0s"})), "'0s' is not a duration"),
        (hook("connect", json!({"concurrency": 0})), "should be greater than or equal to 1"),
        (hook("connect", json!({"pending": 0})), "should be greater than or equal to 1"),
        (hook("connect", json!({"onFailure": "ignore"})), "supported values: \"refuse\", \"allow\""),
        (
            hook("connect", json!({"insteadOfToken": true, "onFailure": "allow"})),
            "write onFailure: refuse in hooks.connect",
        ),
        (hook("publish", json!({"insteadOfToken": true})), "insteadOfToken is for hooks.connect only"),
        (hook("disconnect", json!({"onFailure": "allow"})), "leave onFailure out of hooks.disconnect"),
        (hook("connect", json!({"namespaces": [""]})), "for hooks.subscribe and hooks.publish only"),
        (hook("subscribe", json!({"namespaces": []})), "leave it out to be asked about all channels"),
        (
            hook("subscribe", json!({"namespaces": ["", "room"]})),
            "hooks.subscribe.namespaces has a name that is not in channels.namespaces",
        ),
        (unlisted, "hooks.publish.namespaces has a name that is not in channels.namespaces"),
        (
            receive(json!({})),
            "a rule of middleware does nothing: write one of require, forbid, strip and set",
        ),
        (receive(json!({"endpoints": ["tcp"], "strip": {"tags": []}})), "a rule of middleware does nothing"),
        (
            receive(json!({"strip": {"tags": ["a"]}, "message": "no"})),
            "write require or forbid too, or leave message out",
        ),
        (receive(json!({"forbid": {"tags": ["a"]}, "message": ""})), "message"),
        (
            receive(json!({"require": {"metadata": ["a"]}, "forbid": {"metadata": ["b", "a"]}})),
            "a key is in require.metadata and in forbid.metadata",
        ),
        (
            receive(json!({"require": {"tags": ["a"]}, "forbid": {"tags": ["a"], "metadata": ["a"]}})),
            "a key is in require.tags and in forbid.tags",
        ),
        (receive(json!({"set": {"metadata": {"": "a"}}})), "write the key that is meant"),
        (receive(json!({"strip": {"metadata": [""]}})), "should be at least 1 chars long"),
        (
            receive(json!({"endpoints": ["websockets"], "strip": {"tags": ["a"]}})),
            "write websocket, socketio, sse, presence, tcp, udp or http (the server API)",
        ),
        (
            with("middleware", json!({"send": [{"endpoints": ["own"], "strip": {"tags": ["a"]}}]})),
            "an endpoint of your own is in an image of your own",
        ),
    ]
}

#[tokio::test]
async fn hooks_and_rules_that_brokers_can_have_are_taken() {
    let fixture = Fixture::new().await;
    let text = super::super::super::golden::folder("tests/golden/everything/cluster.yaml");
    let text = std::fs::read_to_string(text).expect("it can be read");
    let everything: Value = serde_yaml::from_str(&text).expect("it is YAML");
    let cluster = fixture.apply("full", everything["spec"].clone()).await.expect("it is valid");
    assert_eq!(cluster.spec.hooks.all().count(), 4);
    assert_eq!(cluster.spec.middleware.receive.len(), 2);
    let least = fixture.apply("least", hook("publish", json!({"namespaces": [""]}))).await;
    let hook = least.expect("the empty name is there when none is listed").spec.hooks.publish;
    let hook = serde_json::to_value(hook).expect("JSON");
    assert_eq!(hook["timeLimit"], "3s");
    assert_eq!(hook["onFailure"], "refuse");
}
