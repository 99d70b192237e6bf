//! Connections by requests, request by request.

use serde_json::{Value, json};

use super::{ON, Poller, ask, with};
use crate::support::{Broker, eventually, request};

#[tokio::test]
async fn a_connection_is_as_the_specification_says() {
    let broker =
        Broker::start(&with("ping_interval: 2s, ping_timeout: 1s, max_payload: 100KiB, cookie: io")).await;
    for path in ["/socket.io", "/socket.io/"] {
        let path = format!("{path}?EIO=4&transport=polling&t=x");
        let answer = request(broker.client_address, "GET", &path, "", b"").await;
        let mut opening: Value = serde_json::from_str(answer.body.strip_prefix('0').unwrap()).unwrap();
        let sid = opening["sid"].take();
        assert!(sid.as_str().unwrap().len() > 22, "{sid}");
        let expected = json!({
            "sid": null, "upgrades": ["websocket"], "pingInterval": 2000, "pingTimeout": 1000, "maxPayload": 102_400,
        });
        assert_eq!(opening, expected);
    }
    let client = Poller::open(&broker).await;
    client.posts("40").await;
    let connected = client.hears().await;
    let connected: Value = serde_json::from_str(connected.strip_prefix("40").unwrap()).unwrap();
    assert_eq!(connected["sid"].as_str().unwrap().len(), 36);
    client
        .posts("420[\"join\",\"room\"]\u{1e}421[\"publish\",\"room\",\"a\"]\u{1e}422[\"presence\",\"room\"]")
        .await;
    let mut answers = client.hears().await;
    while answers.split('\u{1e}').count() < 3 {
        answers = format!("{answers}\u{1e}{}", client.hears().await);
    }
    let answers: Vec<_> = answers.split('\u{1e}').collect();
    assert_eq!(answers[..2], [r#"430[{"status":"ok"}]"#, r#"431[{"status":"ok"}]"#]);
    assert!(answers[2].starts_with(r#"432[{"status":"ok","members":[{"user":"","client":""#), "{answers:?}");
    // The client goes.
    client.posts("1").await;
    let is_empty = async || broker.metric("connections", &[("endpoint", "socketio")]).await == 0;
    eventually("it is gone", is_empty).await;
    assert_eq!(broker.ended_on("socketio", "connection_closed").await, 1);
}

#[tokio::test]
async fn the_server_pings_and_who_does_not_answer_goes() {
    let broker = Broker::start(&with("ping_interval: 100ms, ping_timeout: 3s")).await;
    let (answers, silent) = (Poller::connect(&broker).await, Poller::connect(&broker).await);
    for _ in 0..2 {
        assert_eq!(answers.hears().await, "2");
        answers.posts("3").await;
    }
    assert!(broker.ended_on("socketio", "no_pong").await <= 1);
    let gone = async || broker.ended_on("socketio", "no_pong").await >= 1;
    eventually("the silent one goes", gone).await;
    eventually("it is forgotten", async || silent.is_gone().await).await;
}

#[tokio::test]
async fn requests_that_are_wrong_are_refused_in_the_protocols_words() {
    let broker = Broker::start(ON).await;
    let client = Poller::connect(&broker).await;
    let of = client.sid.clone();
    let forged = format!("{}{}", "A".repeat(22), &of[22..]);
    let foreign = format!("{}1abc-nobody", &of[..22]);
    let earlier = format!("{}1{}", &of[..22], &of[of.find('-').unwrap()..]);
    let base = "EIO=4&transport=polling";
    for (method, query, status, code, message) in [
        ("GET", "EIO=4&transport=pigeon".to_owned(), 400, 0, "Transport unknown"),
        ("GET", "EIO=4".to_owned(), 400, 0, "Transport unknown"),
        ("GET", "EIO=3&transport=polling".to_owned(), 400, 5, "Unsupported protocol version"),
        ("GET", "EIO=4&transport=websocket".to_owned(), 400, 3, "Bad request"),
        ("GET", format!("{base}&j=1"), 400, 3, "Bad request"),
        ("POST", base.to_owned(), 400, 2, "Bad handshake method"),
        ("GET", format!("{base}&sid={forged}"), 400, 1, "Session ID unknown"),
        ("POST", format!("{base}&sid={forged}"), 400, 1, "Session ID unknown"),
        ("GET", format!("{base}&sid={foreign}"), 400, 1, "Session ID unknown"),
        ("GET", format!("{base}&sid={earlier}"), 400, 1, "Session ID unknown"),
        ("GET", format!("{base}&sid=x"), 400, 1, "Session ID unknown"),
        ("PUT", format!("{base}&sid={of}"), 400, 3, "Bad request"),
    ] {
        let path = format!("/socket.io/?{query}");
        let answer = request(broker.client_address, method, &path, "", b"").await;
        let expected = (status, json!({"code": code, "message": message}));
        assert_eq!((answer.status, answer.json()), expected, "{method} {query}");
    }
    assert_eq!(broker.rejected("unknown_client").await, 5);
    client.posts("420[\"join\",\"room\"]").await;
    assert_eq!(client.hears().await, r#"430[{"status":"ok"}]"#, "nobody else is touched");
}

#[tokio::test]
async fn pages_of_other_origins_are_refused_and_allowed_ones_may_read() {
    let allowed = format!("{ON}client: {{allowed_origins: [\"https://chat.example.org\"]}}\n");
    let broker = Broker::start(&allowed).await;
    let path = "/socket.io/?EIO=4&transport=polling";
    let from = |origin: &str| format!("Origin: {origin}\r\n");
    let answer = request(broker.client_address, "GET", path, &from("https://evil.example"), b"").await;
    assert_eq!((answer.status, answer.json()), (403, json!({"code": 4, "message": "Forbidden"})));
    assert_eq!(broker.rejected("origin").await, 1);
    for method in ["GET", "OPTIONS"] {
        let answer =
            request(broker.client_address, method, path, &from("https://chat.example.org"), b"").await;
        assert!(matches!(answer.status, 200 | 204), "{answer:?}");
    }
}

#[tokio::test]
async fn two_requests_at_once_are_the_end_of_a_connection() {
    let broker = Broker::start(ON).await;
    let client = Poller::connect(&broker).await;
    let (first, second) = tokio::join!(client.get(), client.get());
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
    eventually("it is gone", async || client.is_gone().await).await;
    assert_eq!(broker.ended_on("socketio", "bad_request").await, 1);
}

#[tokio::test]
async fn who_never_says_who_it_is_takes_no_place_for_long() {
    let broker = Broker::start(&format!("{ON}limits: {{connections: 1}}\n")).await;
    let client = Poller::open(&broker).await;
    let refused = ask(broker.client_address, "GET", "", "").await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(broker.rejected("connection_limit").await, 1);
    let stale = async || broker.ended_on("socketio", "stale").await == 1;
    eventually("it has had its time", stale).await;
    eventually("it is forgotten", async || client.is_gone().await).await;
    let _other = Poller::open(&broker).await;
}
