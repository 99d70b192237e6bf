//! What the API server itself refuses, and with which words.

mod endpoints;
mod hooks;
mod line_ends;
mod logic;
mod pages;

use super::{
    fixture::{Fixture, chat},
    server,
};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use switchboard_operator::crd::BrokerCluster;

/// `chat` with something changed.
fn with(pointer: &str, value: Value) -> Value {
    let mut spec = chat();
    let mut place = &mut spec;
    for step in pointer.split('/') {
        place = &mut place[step];
    }
    *place = value;
    spec
}

fn external(redis: Value) -> Value {
    json!({"redis": {"external": redis}})
}

fn managed(redis: Value) -> Value {
    json!({"redis": {"managed": redis}})
}

#[tokio::test]
async fn every_wrong_field_is_refused_with_what_to_write_instead() {
    let fixture = Fixture::new().await;
    all_are_refused(&fixture, wrong_fields()).await;
    all_are_refused(&fixture, logic::wrong_fields()).await;
    all_are_refused(&fixture, hooks::wrong_fields()).await;
    all_are_refused(&fixture, endpoints::wrong_fields()).await;
    all_are_refused(&fixture, pages::wrong_fields()).await;
    all_are_refused(&fixture, line_ends::wrong_fields()).await;
}

fn wrong_fields() -> Vec<(Value, &'static str)> {
    let namespaces = |list: Value| with("channels", json!({"namespaces": list}));
    let key = |name: &str| json!({"name": name, "key": "k"});
    let jwt = |settings: Value| with("auth", json!({"jwt": settings}));
    let endpoints = |list: Value| with("endpoints", list);
    vec![
        (json!({}), "write exactly one of redis.managed"),
        (
            json!({"redis": {"managed": {"storage": {"emptyDir": {}}}, "external": {"url": "redis://r"}}}),
            "write exactly one of redis.managed",
        ),
        (managed(json!({})), "write exactly one of storage.persistent"),
        (
            managed(json!({"storage": {"emptyDir": {}, "persistent": {"size": "1Gi"}}})),
            "write exactly one of storage.persistent",
        ),
        (
            managed(json!({"storage": {"persistent": {}}})),
            "size: Required value: size is missing: write it too, for example size: 1Gi",
        ),
        (
            managed(json!({"storage": {"persistent": {"size": "1GB"}}})),
            "'1GB' is not a size: write a number of bytes",
        ),
        (managed(json!({"storage": {"persistent": {"size": "-1Gi"}}})), "'-1Gi' is not a size"),
        (
            managed(json!({"topology": "Ring", "storage": {"emptyDir": {}}})),
            "supported values: \"Standalone\"",
        ),
        (managed(json!({"maxMemory": 0, "storage": {"emptyDir": {}}})), "'0' is not a size"),
        (
            managed(json!({"resources": {"limits": {"memory": "lots"}}, "storage": {"emptyDir": {}}})),
            "hold quantities such as cpu: 500m",
        ),
        (external(json!({})), "for example url: redis://redis.example.com:6379/0"),
        (external(json!({"url": "http://redis:6379"})), "url must begin with redis://"),
        (
            external(json!({"url": "redis://:hunter2@redis"})),
            "put the password in a Secret and name it in passwordSecretRef",
        ),
        (external(json!({"url": "redis://redis:port/x"})), "url must be scheme://host:port/database"),
        (external(json!({"url": "redis://r", "username": "u"})), "username is set without a password"),
        (
            external(json!({"url": "redis://r", "passwordSecretRef": {"name": "a"}})),
            "key is missing: write it too, for example key: secret",
        ),
        (external(json!({"url": "redis://r", "prefix": "a{b}"})), "prefix"),
        (with("replicas", json!(-1)), "replicas cannot be negative: write 0"),
        (with("replicas", json!("two")), "expected numeric"),
        (with("replicas", json!(100_000)), "should be less than or equal to 1000"),
        (with("replica", json!(3)), "spec.replica: field not declared in schema"),
        (with("limits", json!({"messageSize": "64KB"})), "'64KB' is not a size"),
        (with("limits", json!({"connectionsPerAddress": -1})), "should be greater than or equal to 0"),
        (with("limits", json!({"handshakes": 100_000_000})), "should be less than or equal to 10000000"),
        (with("limits", json!({"channelsPerClient": 0})), "should be greater than or equal to 1"),
        (
            with("endpoints", json!({"websocket": {"pingInterval": "25"}})),
            "'25' is not a duration: write a whole number",
        ),
        (with("endpoints", json!({"websocket": {"path": "ws"}})), "'ws' is not a path: begin with /"),
        (
            with("endpoints", json!({"http": {"path": "/"}})),
            "'/' is not a path: begin with /, end without it",
        ),
        (with("endpoints", json!({"http": {"path": "/api/"}})), "'/api/' is not a path"),
        (with("endpoints", json!({"http": {"path": "/connection"}})), "give each endpoint a path of its own"),
        (
            with("endpoints", json!({"websocket": {"pingInterval": "500ms"}})),
            "'500ms' is no whole number of seconds",
        ),
        (
            with("endpoints", json!({"websocket": {"pingInterval": "5s"}})),
            "pongTimeout must be less than pingInterval",
        ),
        (with("endpoints", json!({"allowedOrigins": ["https://a.b/c"]})), "scheme and host in lower case"),
        (with("endpoints", json!({"allowedOrigins": ["https://A.b"]})), "scheme and host in lower case"),
        (
            with("endpoints", json!({"http": {"path": "/openapi.json"}})),
            "/openapi.json is where the server API",
        ),
        (with("limits", json!({"messageSize": "2Mi"})), "outboxSize is less than messageSize"),
        (external(json!({"url": "redis://r:99999"})), "the port from 1 to 65535"),
        (external(json!({"url": "redis://r:6379/0/"})), "url must be scheme://host:port/database"),
        (
            with("endpoints", json!({"websocket": {"enabled": false}, "http": {"enabled": false}})),
            "all endpoints are disabled",
        ),
        (
            with("endpoints", json!({"http": {"path": "/connection/websocket"}})),
            "give each endpoint a path of its own",
        ),
        (
            endpoints(json!({"sse": {"enabled": true, "path": "/api/sse"}})),
            "give each endpoint a path of its own",
        ),
        (
            endpoints(json!({"sse": {"enabled": true, "path": "/connection/websocket"}})),
            "sse.path is websocket.path too",
        ),
        (endpoints(json!({"sse": {"path": "events"}})), "'events' is not a path"),
        (endpoints(json!({"sse": {"path": "/openapi.json"}})), "/openapi.json is where the server API"),
        (endpoints(json!({"sse": {"pingInterval": "0s"}})), "'0s' is not a duration"),
        (endpoints(json!({"tcp": {"port": 80}})), "should be greater than or equal to 1024"),
        (endpoints(json!({"tcp": {"port": 9000}})), "tcp.port cannot be 8000"),
        (endpoints(json!({"tcp": {"pingInterval": "25"}})), "write 1s or more, for example 25s, or 0s"),
        (endpoints(json!({"tcp": {"pingInterval": "1500ms"}})), "'1500ms' is no whole number of seconds"),
        (endpoints(json!({"tcp": {"pingInterval": "5s"}})), "pongTimeout must be less than pingInterval"),
        (endpoints(json!({"proxyProtocol": {"enabled": true}})), "trusted: [10.0.0.0/8]"),
        (endpoints(json!({"proxyProtocol": {"trusted": ["10.0.0.0/33"]}})), "for example 10.0.0.0/8 or"),
        (endpoints(json!({"proxyProtocol": {"trusted": ["proxy"]}})), "for example 10.0.0.0/8 or"),
        (
            endpoints(json!({"tls": {}})),
            "secretName is missing: write it too, for example secretName: chat-tls",
        ),
        (endpoints(json!({"tls": {"secretName": ""}})), "secretName"),
        (
            endpoints(json!({"tls": {"secretName": "a", "minVersion": "1.1"}})),
            "supported values: \"1.2\", \"1.3\"",
        ),
        (endpoints(json!({"udp": {"port": 70000}})), "should be less than or equal to 65535"),
        (endpoints(json!({"udp": {"sessionTimeout": "0s"}})), "'0s' is not a duration"),
        (endpoints(json!({"udp": {"sessions": 0}})), "should be greater than or equal to 1"),
        (endpoints(json!({"udp": {"datagramSize": 100}})), "should be greater than or equal to 508"),
        (
            with("endpoints", json!({"allowedOrigins": ["app.example.com"]})),
            "an allowed origin is what browsers send",
        ),
        (namespaces(json!([{"name": "a"}, {"name": "a"}])), "two namespaces have the same name"),
        (namespaces(json!([{"name": "a:b"}])), "'a:b' cannot name a namespace"),
        (
            namespaces(json!([{"name": "a", "publish": "all"}])),
            "supported values: \"any\", \"subscribers\", \"nobody\"",
        ),
        (
            namespaces(json!([{"name": "a", "history": {"ttl": "1d"}}])),
            "'1d' is not a duration: write a whole number above 0",
        ),
        (
            namespaces(json!([{"name": "a", "history": {"ttl": "721h"}}])),
            "'721h' is no time that messages can be kept for: write at least 1ms and at most 720h",
        ),
        (
            namespaces(json!([{"name": "a", "history": {"size": 10001}}])),
            "should be less than or equal to 10000",
        ),
        (namespaces(json!([{"name": "a", "rate": {"burst": 3}}])), "rate.burst means nothing without"),
        (
            with("limits", json!({"rate": {"burst": 3}})),
            "write both, for example perSecond: 10 and burst: 50",
        ),
        (with("imagePullSecrets", json!([{}])), "name is missing: write it too, for example name: registry"),
        (with("auth", json!({"jwt": {}})), "write hmacSecretRef, keys or jwksRef"),
        (jwt(json!({"keys": []})), "write hmacSecretRef, keys or jwksRef"),
        (
            jwt(json!({"hmacSecretRef": {"name": "a"}})),
            "key is missing: write it too, for example key: secret",
        ),
        (
            jwt(json!({"jwksRef": {"key": "a"}})),
            "name is missing: write it too, for example name: chat-secrets",
        ),
        (jwt(json!({"keys": [{"id": "a"}]})), "write one of secretRef"),
        (jwt(json!({"keys": [{"secretRef": key("a"), "publicKeyRef": key("b")}]})), "write one of secretRef"),
        (
            jwt(json!({"keys": [{"id": "a", "secretRef": key("a")}, {"id": "a", "secretRef": key("b")}]})),
            "two keys have the same id",
        ),
        (
            jwt(json!({"keys": [{"algorithm": "RS256", "secretRef": key("a")}]})),
            "HS256, HS384 and HS512 go with secretRef",
        ),
        (
            jwt(json!({"keys": [{"algorithm": "HS256", "publicKeyRef": key("a")}]})),
            "HS256, HS384 and HS512 go with secretRef",
        ),
        (jwt(json!({"keys": [{"algorithm": "none", "secretRef": key("a")}]})), "supported values: \"HS256\""),
        (with("limits", json!({"tokenGrace": "25"})), "'25' is not a duration: write a whole number of six"),
        (with("auth", json!({"apiKeys": [{"name": "", "key": "k"}]})), "name"),
        (with("drain", json!({"gracePeriodSeconds": 0})), "gracePeriodSeconds must be between 1 and 3600"),
        (with("disruptionBudget", json!({"maxUnavailable": 0})), "a number from 1 or a percentage"),
        (with("disruptionBudget", json!({"maxUnavailable": "half"})), "a number from 1 or a percentage"),
        (
            with("log", json!({"level": "loud"})),
            "supported values: \"error\", \"warn\", \"info\", \"debug\", \"trace\"",
        ),
        (
            with("imagePullPolicy", json!("Sometimes")),
            "supported values: \"Always\", \"IfNotPresent\", \"Never\"",
        ),
        (
            with("service", json!({"type": "ExternalName"})),
            "supported values: \"ClusterIP\", \"NodePort\", \"LoadBalancer\"",
        ),
        (
            with("service", json!({"externalTrafficPolicy": "Local"})),
            "write type: LoadBalancer or type: NodePort",
        ),
        (
            with("podTemplate", json!({"containers": [{"name": "broker", "image": "x"}]})),
            "give it another name",
        ),
        (
            with("podTemplate", json!({"initContainers": [{"name": "broker", "image": "x"}]})),
            "give it another name",
        ),
        (
            with("podTemplate", json!({"containers": [{"name": "a", "imagine": "x"}]})),
            "imagine: field not declared in schema",
        ),
        (with("podTemplate", json!({"volumes": [{"name": "settings"}]})), "give it another name"),
        (
            with("podTemplate", json!({"labels": {"app.kubernetes.io/name": "mine"}})),
            "belong to the operator: use another key",
        ),
        (
            with("podTemplate", json!({"resources": {"requests": {"cpu": "many"}}})),
            "hold quantities such as cpu: 500m",
        ),
    ]
}

async fn all_are_refused(fixture: &Fixture, cases: Vec<(Value, &'static str)>) {
    let mut wrong = Vec::new();
    for (spec, expected) in cases {
        match fixture.apply("chat", spec.clone()).await {
            Ok(_) => wrong.push(format!("{spec} was taken; expected: {expected}")),
            Err(message) if message.contains("hunter2") => {
                wrong.push(format!("a password is repeated: {message}"))
            }
            Err(message) if !message.contains(expected) => {
                wrong.push(format!("{spec}: expected {expected:?}, got: {message}"))
            }
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_cluster_without_a_spec_is_told_what_to_write() {
    let fixture = Fixture::new().await;
    let body = json!({
        "apiVersion": "switchboard.dev/v1alpha1", "kind": "BrokerCluster",
        "metadata": {"name": "chat", "namespace": fixture.namespace},
    });
    let clusters = fixture.api::<BrokerCluster>();
    let applied = clusters.patch("chat", &PatchParams::apply("test"), &Patch::Apply(&body)).await;
    let message = server::message(applied.expect_err("there is no spec"));
    assert!(message.contains("spec is missing: write what the cluster should be"), "{message}");
}

#[tokio::test]
async fn names_that_no_service_could_have_are_refused() {
    let fixture = Fixture::new().await;
    for name in ["1chat", "chat.eu", &"x".repeat(46)] {
        let message = fixture.apply(name, chat()).await.expect_err(name);
        assert!(message.contains("metadata.name must have at most 45 characters"), "{name}: {message}");
    }
    fixture.apply(&"x".repeat(45), chat()).await.expect("45 characters fit");
}

#[tokio::test]
async fn what_cannot_change_says_so() {
    let fixture = Fixture::new().await;
    fixture.chat().await;
    let persistent = |storage: Value| managed(json!({"storage": {"persistent": storage}}));
    for (spec, expected) in [
        (
            managed(json!({"storage": {"emptyDir": {}}})),
            "storage cannot change between persistent and emptyDir",
        ),
        (persistent(json!({"size": "512Mi"})), "size cannot change after creation"),
        (
            persistent(json!({"size": "1Gi", "storageClassName": "fast"})),
            "storageClassName cannot change after creation",
        ),
    ] {
        let message = fixture.apply("chat", spec).await.expect_err(expected);
        assert!(message.contains(expected), "{message}");
    }
    fixture
        .apply("chat", persistent(json!({"size": "1024Mi", "retain": true})))
        .await
        .expect("the same size, kept now");
    fixture.apply("chat", external(json!({"url": "redis://r"}))).await.expect("another Redis altogether");
}

#[tokio::test]
async fn defaults_are_filled_in() {
    let fixture = Fixture::new().await;
    let cluster = fixture
        .apply("least", json!({"redis": {"external": {"url": "redis://r"}}}))
        .await
        .expect("it is valid");
    let spec = serde_json::to_value(&cluster.spec).expect("JSON");
    for (pointer, expected) in [
        ("/replicas", json!(2)),
        ("/imagePullPolicy", json!("IfNotPresent")),
        ("/endpoints/websocket/path", json!("/connection/websocket")),
        ("/auth/anonymous", json!(false)),
        ("/limits/messageSize", json!("64Ki")),
        ("/limits/handshakes", json!(1024)),
        ("/limits/tokenGrace", json!("25s")),
        ("/endpoints/tcp/enabled", json!(false)),
        ("/endpoints/udp/port", json!(8100)),
        ("/endpoints/socketio/namespaces", json!(["/"])),
        ("/endpoints/socketio/maxPayload", json!("1Mi")),
        ("/endpoints/socketio/emitter", json!({"enabled": false, "key": "socket.io"})),
        ("/endpoints/presence/channelPrefix", json!("board:")),
        ("/pages", json!({"admin": false, "demo": false})),
        ("/service/sessionAffinity", json!("None")),
        ("/drain/gracePeriodSeconds", json!(25)),
        ("/disruptionBudget/maxUnavailable", json!(1)),
        ("/monitoring/annotations", json!(true)),
    ] {
        assert_eq!(spec.pointer(pointer), Some(&expected), "{pointer}");
    }
}

#[tokio::test]
async fn the_examples_are_valid() {
    let fixture = Fixture::new().await;
    let folder = super::super::golden::folder("../examples");
    let mut count = 0;
    for file in std::fs::read_dir(&folder).expect("there are examples") {
        let file = file.expect("an entry").path();
        if file.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&file).expect("it can be read");
        let object: Value =
            serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let name = object["metadata"]["name"].as_str().expect("it has a name").to_owned();
        let applied = fixture.apply(&name, object["spec"].clone()).await;
        applied.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        count += 1;
    }
    assert!(count >= 4, "only {count} examples were found");
}
