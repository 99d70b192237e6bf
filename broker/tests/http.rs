//! The server API over HTTP.

use serde_json::{Value, json};

use crate::support::{Broker, KEY, OPEN, request};

mod openapi;

#[tokio::test]
async fn a_publication_reaches_clients_with_its_tags() {
    let broker = Broker::start(OPEN).await;
    let mut client = broker.connect().await;
    client.subscribe("news").await;
    let plain = json!({"channel": "news", "data": {"n": 1}});
    assert_eq!(broker.api("publish", &plain).await, json!({"result": {}}));
    assert_eq!(client.push().await, json!({"channel": "news", "pub": {"data": {"n": 1}}}));

    let tagged = json!({"channel": "news", "data": 2, "tags": {"kind": "flash", "lang": "de"}});
    broker.api("publish", &tagged).await;
    let expected = json!({"channel": "news", "pub": {"data": 2, "tags": {"kind": "flash", "lang": "de"}}});
    assert_eq!(client.push().await, expected);
    assert_eq!(broker.metric("publishes_total", &[("source", "api")]).await, 2);
    let nobody = json!({"channel": "nobody-listens", "data": null});
    assert_eq!(broker.api("publish", &nobody).await, json!({"result": {}}));
}

#[tokio::test]
async fn a_broadcast_goes_to_each_channel_and_tells_of_each() {
    let broker = Broker::start(OPEN).await;
    let mut client = broker.connect().await;
    client.subscribe("a").await;
    client.subscribe("b").await;
    let body = json!({"channels": ["a", "nowhere:x", "b", ""], "data": "all", "tags": {"t": "1"}});
    let answer = broker.api("broadcast", &body).await;
    let responses = answer["result"]["responses"].as_array().unwrap();
    let codes: Vec<_> = responses.iter().map(|response| response["error"]["code"].as_u64()).collect();
    assert_eq!(codes, [None, Some(102), None, Some(107)]);
    assert_eq!(responses[0], json!({"result": {}}));
    for channel in ["a", "b"] {
        let push = client.push().await;
        assert_eq!(push, json!({"channel": channel, "pub": {"data": "all", "tags": {"t": "1"}}}));
    }
    let none = broker.api("broadcast", &json!({"channels": [], "data": 1})).await;
    assert_eq!(none["error"]["code"], 107);
    for reason in ["unknown_channel", "bad_channel", "malformed"] {
        assert_eq!(broker.rejected(reason).await, 1, "{reason}");
    }
}

#[tokio::test]
async fn channels_and_info_tell_what_is_there() {
    let broker = Broker::start(&format!("{OPEN}instance: {{id: chat-3}}\n")).await;
    let (mut ann, mut bob) = (broker.connect().await, broker.connect().await);
    ann.subscribe("room-1").await;
    bob.subscribe("room-1").await;
    bob.subscribe("hall").await;
    let channels = async |body: Value| broker.api("channels", &body).await["result"]["channels"].take();
    let (room, hall) = (json!({"num_clients": 2}), json!({"num_clients": 1}));
    assert_eq!(channels(json!({})).await, json!({"hall": hall, "room-1": room}));
    assert_eq!(channels(json!({"pattern": "room-?"})).await, json!({"room-1": room}));
    assert_eq!(channels(json!({"pattern": "none*"})).await, json!({}));

    let info = broker.api("info", &json!({})).await;
    let nodes = info["result"]["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 1);
    let node = &nodes[0];
    assert_eq!(node["name"], "chat-3");
    assert_eq!(node["version"], env!("CARGO_PKG_VERSION"));
    let numbers = ["num_clients", "num_users", "num_channels", "num_subs"].map(|key| node[key].as_u64());
    assert_eq!(numbers, [Some(2), Some(1), Some(2), Some(3)], "all anonymous clients are one user");
    broker.api("publish", &json!({"channel": "room-1", "data": 1})).await;
    broker.api("publish", &json!({"channel": "nobody-listens", "data": 1})).await;
    let node = broker.api("info", &json!({})).await["result"]["nodes"][0].take();
    let counted = ["num_published", "num_delivered", "num_failed"].map(|key| node[key].as_u64());
    assert_eq!(counted, [Some(2), Some(2), Some(0)]);
    assert!(node.get("redis").is_none(), "there is to be none: {node}");
}

#[tokio::test]
async fn a_key_is_needed() {
    let broker = Broker::start(OPEN).await;
    let body = json!({"channel": "a", "data": 1}).to_string();
    let ask = async |headers: &str| {
        request(broker.client_address, "POST", "/api/publish", headers, body.as_bytes()).await.status
    };
    let refused = [
        "",
        "X-API-Key: key-of-the-test\r\n",
        "X-API-Key: \r\n",
        "X-API-Key: KEY-OF-THE-TESTS\r\n",
        "Authorization: Bearer key-of-the-tests\r\n",
        "Authorization: apikey\r\n",
    ];
    for headers in refused {
        assert_eq!(ask(headers).await, 401, "{headers:?}");
    }
    assert_eq!(broker.rejected("api_key").await, refused.len() as u64);
    assert_eq!(broker.metric("publishes_total", &[]).await, 0);
    for headers in [KEY, "Authorization: apikey key-of-the-tests\r\n"] {
        assert_eq!(ask(headers).await, 200, "{headers:?}");
    }
    let keyless = Broker::start("auth: {anonymous: true}\n").await;
    for headers in ["", "X-API-Key: \r\n", "Authorization: apikey \r\n"] {
        let answer = request(keyless.client_address, "POST", "/api/info", headers, b"{}").await;
        assert_eq!(answer.status, 401, "without a configured key nobody may: {headers:?}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_body_is_said() {
    let broker = Broker::start(&format!("{OPEN}limits: {{message_size: 1KiB}}\n")).await;
    let large = format!("{{\"channel\":\"a\",\"data\":\"{}\"}}", "x".repeat(4096));
    let cases = [
        ("publish", "", 107, "channel", "malformed"),
        ("publish", "{", 107, "EOF", "malformed"),
        ("publish", "[]", 107, "object", "malformed"),
        ("publish", " [\"a\", 1, {}]", 107, "object", "malformed"),
        ("publish", "\u{0}", 107, "line 1", "malformed"),
        ("publish", "{\"channel\":\"a\"}", 107, "data", "malformed"),
        ("publish", "{\"data\":1}", 107, "channel", "malformed"),
        ("publish", "{\"channel\":1,\"data\":1}", 107, "string", "malformed"),
        ("publish", "{\"channel\":\"a\",\"data\":1,\"tags\":[]}", 107, "map", "malformed"),
        ("publish", "{\"channel\":\"a\",\"data\":1} more", 107, "trailing", "malformed"),
        ("publish", &large, 107, "limit", "too_large"),
        ("publish", "{\"channel\":\"nowhere:a\",\"data\":1}", 102, "unknown channel", "unknown_channel"),
        ("publish", "{\"channel\":\"\",\"data\":1}", 107, "bad request", "bad_channel"),
        ("publish", "{\"channel\":\"a\\u0000\",\"data\":1}", 107, "bad request", "bad_channel"),
        ("broadcast", "{\"channels\":\"a\",\"data\":1}", 107, "sequence", "malformed"),
        ("broadcast", "{\"channels\":[\"a\"]}", 107, "data", "malformed"),
        ("channels", "{\"pattern\":7}", 107, "string", "malformed"),
        ("info", "nothing", 107, "line 1", "malformed"),
    ];
    for (method, body, code, says, reason) in cases {
        let before = (broker.rejected(reason).await, broker.metric("rejected_total", &[]).await);
        let path = format!("/api/{method}");
        let answer = request(broker.client_address, "POST", &path, KEY, body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{body}: {answer:?}");
        let error = answer.json()["error"].take();
        assert_eq!(error["code"], code, "{body}: {error}");
        assert!(error["message"].as_str().is_some_and(|message| message.contains(says)), "{body}: {error}");
        let after = (broker.rejected(reason).await, broker.metric("rejected_total", &[]).await);
        assert_eq!(after, (before.0 + 1, before.1 + 1), "{body} is counted, once: {reason}");
    }
    assert_eq!(broker.api("info", &json!({})).await["result"]["nodes"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn other_methods_and_paths_are_http_errors() {
    let broker = Broker::start(OPEN).await;
    for (method, path, status) in [
        ("GET", "/api/publish", 405),
        ("PUT", "/api/info", 405),
        ("POST", "/api/nothing", 404),
        ("POST", "/api", 404),
        ("POST", "/publish", 404),
        ("GET", "/", 404),
        ("GET", "/metrics", 404),
        ("POST", "/drain", 404),
    ] {
        let answer = request(broker.client_address, method, path, KEY, b"{}").await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
    }
    let off = Broker::start(&format!("{OPEN}endpoints: {{http: {{enabled: false}}}}\n")).await;
    assert_eq!(request(off.client_address, "POST", "/api/info", KEY, b"{}").await.status, 404);
}

#[tokio::test]
async fn the_admin_port_tells_how_it_is() {
    let broker = Broker::start(&format!("{OPEN}instance: {{id: chat-0}}\n")).await;
    let mut client = broker.connect().await;
    client.subscribe("a").await;
    assert_eq!(broker.admin("GET", "/livez").await.status, 200);
    assert_eq!(broker.admin("GET", "/readyz").await.status, 200);
    let health = broker.admin("GET", "/healthz").await.json();
    assert_eq!(health["status"], "ok");
    assert_eq!(health["instance"], "chat-0");
    assert!(health["epoch"].as_str().is_some_and(|epoch| !epoch.is_empty()));
    assert_eq!(health["connections"], 1);
    assert_eq!(health["channels"], 1);
    assert_eq!(health["redis"]["mode"], "memory");
    assert_eq!(health["redis"]["connected"], true);
    assert_eq!(broker.metric("build_info", &[("version", env!("CARGO_PKG_VERSION"))]).await, 1);
    assert_eq!(broker.admin("GET", "/drain").await.status, 405, "asking is not telling");
    assert_eq!(broker.admin("GET", "/").await.status, 404);
}
