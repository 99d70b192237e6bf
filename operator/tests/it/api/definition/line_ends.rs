//! Values with the end of a line, as YAML's `|` leaves one. The API server shows no message that has one in it, but the bare
//! rule.

use super::with;
use serde_json::{Value, json};

/// All fields whose rules repeat the value, but names of events: such a name is none of those that are refused.
pub(super) fn wrong_fields() -> Vec<(Value, &'static str)> {
    [endpoints(), others(), deeper()].concat()
}

fn endpoints() -> Vec<(Value, &'static str)> {
    [
        ("websocket/path", "/ws\n", r"'/ws\n' is not a path: begin with /"),
        ("websocket/pingInterval", "25s\n", r"'25s\n' is not a duration: write a whole number above 0"),
        ("websocket/pongTimeout", "8s\n", r"'8s\n' is not a duration"),
        ("http/path", "\n/api", r"'\n/api' is not a path"),
        ("sse/path", "/a\n/b\n", r"'/a\n/b\n' is not a path"),
        ("sse/pingInterval", "25s\n", r"'25s\n' is not a duration"),
        ("socketio/path", "/socket.io\n", r"'/socket.io\n' is not a path"),
        ("socketio/pingInterval", "25s\n", r"'25s\n' is not a duration"),
        ("socketio/pingTimeout", "20s\n", r"'20s\n' is not a duration"),
        ("socketio/ackTimeout", "5s\n", r"'5s\n' is not a duration"),
        ("socketio/offlineAfter", "5s\n", r"'5s\n' is not a duration"),
        ("socketio/maxPayload", "1Mi\n", r"'1Mi\n' is not a size: write a number of bytes"),
        ("socketio/cookie", "io\n", r"'io\n' cannot be a cookie's name: use letters"),
        ("presence/path", "/\n", r"'/\n' is not a path: write / alone"),
        ("presence/pingInterval", "25s\n", r"'25s\n' is not a duration"),
        ("presence/pongTimeout", "8s\n", r"'8s\n' is not a duration"),
        ("presence/idleTimeout", "0s\n", r"'0s\n' is not a duration: write a whole number of six digits"),
        ("presence/flushInterval", "20ms\n", r"'20ms\n' is not a duration"),
        ("presence/compressAbove", "1Ki\n", r"'1Ki\n' is not a size"),
        ("tcp/pingInterval", "25s\n", r"'25s\n' is no whole number of seconds"),
        ("tcp/pongTimeout", "8s\n", r"'8s\n' is not a duration"),
        ("udp/sessionTimeout", "1m\n", r"'1m\n' is not a duration"),
    ]
    .map(|(field, value, expected)| (with(&format!("endpoints/{field}"), json!(value)), expected))
    .to_vec()
}

fn others() -> Vec<(Value, &'static str)> {
    [
        ("limits/messageSize", "64Ki\n", r"'64Ki\n' is not a size"),
        ("limits/outboxSize", "1Mi\n", r"'1Mi\n' is not a size"),
        ("limits/tokenGrace", "25s\n", r"'25s\n' is not a duration"),
        ("redis/managed/maxMemory", "1Gi\n", r"'1Gi\n' is not a size"),
        ("redis/managed/storage/persistent/size", "1Gi\n", r"'1Gi\n' is not a size"),
    ]
    .map(|(field, value, expected)| (with(field, json!(value)), expected))
    .to_vec()
}

fn deeper() -> Vec<(Value, &'static str)> {
    let namespace = |namespace: Value| with("channels", json!({"namespaces": [namespace]}));
    let module = |module: Value| with("logic", json!({"modules": [module]}));
    let webhook = |field: &str, value: &str| {
        let mut webhook = json!({"url": "http://h", "batch": 2});
        webhook[field] = json!(value);
        module(json!({"name": "a", "webhook": webhook}))
    };
    vec![
        (
            with("redis/managed/storage", json!({"emptyDir": {"sizeLimit": "1Gi\n"}})),
            r"'1Gi\n' is not a size",
        ),
        (namespace(json!({"name": "news\n"})), r"'news\n' cannot name a namespace: use letters"),
        (namespace(json!({"name": "a", "history": {"ttl": "1h\n"}})), r"'1h\n' is not a duration"),
        (module(json!({"name": "a\n", "broadcaster": {}})), r"'a\n' cannot name a logic module"),
        (module(json!({"name": "a", "broadcaster": {}, "timeLimit": "3s\n"})), r"'3s\n' is not a duration"),
        (module(json!({"name": "a", "inactivity": {"after": "5m\n"}})), r"'5m\n' is not a duration"),
        (
            module(json!({"name": "a", "inactivity": {"after": "5m", "every": "5s\n"}})),
            r"'5s\n' is not a duration",
        ),
        (webhook("batchWait", "5ms\n"), r"'5ms\n' is not a duration"),
        (webhook("attemptLimit", "1s\n"), r"'1s\n' is not a duration"),
        (webhook("retryDelay", "1s\n"), r"'1s\n' is not a duration"),
        (webhook("responseSize", "1Mi\n"), r"'1Mi\n' is not a size"),
        (
            module(json!({"name": "a", "webhook": {"url": "http://h", "breaker": {"pause": "5s\n"}}})),
            r"'5s\n' is not a duration",
        ),
        (
            with("hooks", json!({"connect": {"webhook": {"url": "http://h"}, "timeLimit": "3s\n"}})),
            r"'3s\n' is not a duration",
        ),
    ]
}
