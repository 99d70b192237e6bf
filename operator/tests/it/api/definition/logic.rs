//! What the API server refuses in `spec.logic`.

use super::with;
use serde_json::{Value, json};

fn modules(list: Value) -> Value {
    with("logic", json!({"modules": list}))
}

fn webhook(settings: Value) -> Value {
    modules(json!([{"name": "a", "webhook": settings}]))
}

pub(super) fn wrong_fields() -> Vec<(Value, &'static str)> {
    vec![
        (
            modules(json!([{"name": "a"}])),
            "write one of broadcaster: {}, inactivity: {after: 15m} and webhook",
        ),
        (
            modules(json!([{"name": "a", "broadcaster": {}, "inactivity": {}}])),
            "write one of broadcaster: {}, inactivity: {after: 15m} and webhook",
        ),
        (
            modules(json!([{"name": "a", "broadcaster": {}}, {"name": "a", "broadcaster": {}}])),
            "two logic modules have the same name",
        ),
        (modules(json!([{"broadcaster": {}}])), "name is missing: write it too, for example name: game"),
        (modules(json!([{"name": "a b", "broadcaster": {}}])), "'a b' cannot name a logic module"),
        (
            modules(json!([{"name": "a", "inactivity": {"after": "15"}}])),
            "'15' is not a duration: write a whole number",
        ),
        (
            modules(json!([{"name": "a", "inactivity": {}, "receives": ["rpc"]}])),
            "leave receives and placement out",
        ),
        (
            modules(json!([{"name": "a", "webhook": {"url": "http://h"}, "broadcaster": {}}])),
            "write one of broadcaster: {}, inactivity: {after: 15m} and webhook",
        ),
        (webhook(json!({})), "for example url: http://127.0.0.1:7000/messages"),
        (webhook(json!({"url": "127.0.0.1:7000"})), "url must begin with http:// or https://"),
        (webhook(json!({"url": "ftp://h"})), "url must begin with http:// or https://"),
        (webhook(json!({"url": "http://u:hunter2@h"})), "name a secret in secretRef"),
        (webhook(json!({"url": "http://h:70000/"})), "url must be http://host:port/path"),
        (webhook(json!({"url": "http:///messages"})), "url must be http://host:port/path"),
        (webhook(json!({"url": "http://h/a b"})), "url must be http://host:port/path"),
        (
            webhook(json!({"url": "http://h", "secretRef": {"name": "a"}})),
            "key is missing: write it too, for example key: secret",
        ),
        (
            webhook(json!({"url": "http://h", "caRef": {"name": "a", "key": "b"}})),
            "caRef is for https:// only",
        ),
        (webhook(json!({"url": "http://h", "batch": 1001})), "should be less than or equal to 1000"),
        (webhook(json!({"url": "http://h", "batchWait": "5ms"})), "batchWait does nothing while batch is 1"),
        (
            webhook(json!({"url": "http://h", "batch": 10, "batchWait": "10s"})),
            "webhook.batchWait must be less than timeLimit",
        ),
        (webhook(json!({"url": "http://h", "attemptLimit": "1"})), "'1' is not a duration"),
        (webhook(json!({"url": "http://h", "retries": -1})), "should be greater than or equal to 0"),
        (webhook(json!({"url": "http://h", "retryDelay": "0s"})), "'0s' is not a duration"),
        (
            webhook(json!({"url": "http://h", "breaker": {"failures": 0}})),
            "should be greater than or equal to 1",
        ),
        (webhook(json!({"url": "http://h", "breaker": {"pause": "5"}})), "'5' is not a duration"),
        (webhook(json!({"url": "http://h", "responseSize": "1MB"})), "'1MB' is not a size"),
        (
            modules(json!([{"name": "a", "broadcaster": {}, "receives": ["all"]}])),
            "supported values: \"send\", \"rpc\"",
        ),
        (
            modules(json!([{"name": "a", "broadcaster": {}, "queue": 0}])),
            "should be greater than or equal to 1",
        ),
    ]
}
