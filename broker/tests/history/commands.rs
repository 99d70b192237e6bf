//! What clients read, by whichever protocol.

use serde_json::{Value, json};

use super::{
    HISTORY,
    cases::{publish, resubscribe, subscribe},
    cluster,
};
use crate::support::{
    Broker, OPEN,
    sse::{Listener, PATH},
};

#[tokio::test]
async fn clients_read_what_is_kept_and_nothing_else() {
    let brokers = cluster(1, HISTORY).await;
    let broker = &brokers[0];
    let epoch = publish(broker, "kept:room", json!({"n": 1})).await["epoch"].clone();
    publish(broker, "kept:room", json!({"n": 2})).await;
    let mut client = broker.connect().await;
    let one = json!({"data": {"n": 1}, "offset": 1});
    let two = json!({"data": {"n": 2}, "offset": 2});
    for (asked, expected) in [
        (json!({}), json!([])),
        (json!({"limit": 10}), json!([one, two])),
        (json!({"limit": -1, "reverse": true}), json!([two, one])),
        (json!({"limit": -1, "since": {"offset": 1, "epoch": epoch}}), json!([two])),
        (json!({"limit": -1, "since": {"offset": 2, "epoch": epoch}}), json!([])),
    ] {
        let mut history = asked.clone();
        history["channel"] = "kept:room".into();
        let reply = client.command(json!({"history": history})).await;
        let expected = json!({"history": {"publications": expected, "epoch": epoch, "offset": 2}});
        assert_eq!(reply, expected, "{asked}");
    }
    let since = json!({"offset": 1, "epoch": "other"});
    let unknown = json!({"history": {"channel": "kept:room", "limit": 1, "since": since}});
    let reply = client.command(unknown).await;
    assert_eq!(reply, json!({"error": {"code": 112, "message": "unrecoverable position"}}));
    let mut code = async |channel: &str| client.error(json!({"history": {"channel": channel}})).await;
    assert_eq!(code("few:room").await, 103, "for subscribers");
    assert_eq!(code("short:room").await, 103, "for nobody");
    assert_eq!(code("no:such").await, 102);
    assert_eq!(code("plain").await, 108);
    assert_eq!(broker.rejected("unrecoverable_position").await, 1);
}

#[tokio::test]
async fn lines_have_history_too() {
    let yaml = format!("{OPEN}{HISTORY}endpoints: {{tcp: {{enabled: true}}}}\n");
    let broker = Broker::start(&yaml).await;
    let position = publish(&broker, "kept:room", json!(1)).await;
    publish(&broker, "kept:room", json!(2)).await;
    let recover = json!({"subscribe": {
        "channel": "kept:room", "recover": true, "offset": 1, "epoch": position["epoch"],
    }});
    let mut client = broker.tcp().await;
    client.connect("").await;
    let reply = client.command(recover).await;
    assert_eq!(reply["subscribe"]["publications"], json!([{"data": 2, "offset": 2}]));
    let reply = client.command(json!({"history": {"channel": "kept:room", "limit": 1}})).await;
    assert_eq!(reply["history"]["publications"], json!([{"data": 1, "offset": 1}]));
}

#[tokio::test]
async fn an_event_stream_begins_with_what_was_missed() {
    let brokers = cluster(1, &format!("{HISTORY}endpoints: {{sse: {{enabled: true}}}}\n")).await;
    let broker = &brokers[0];
    let position = publish(broker, "kept:room", json!(1)).await;
    publish(broker, "kept:room", json!(2)).await;
    let subs = json!({"kept:room": {"recover": true, "offset": 1, "epoch": position["epoch"]}, "plain": {}});
    let stream = tokio::net::TcpStream::connect(broker.client_address).await.unwrap();
    let body = json!({"subs": subs}).to_string();
    let mut stream = Listener::open_on(stream, "POST", PATH, "", body.as_bytes()).await;
    let mut connect = stream.event().await.data;
    let room = connect["connect"]["subs"]["kept:room"].take();
    assert_eq!((&room["recovered"], &room["offset"]), (&json!(true), &json!(2)), "{connect}");
    assert_eq!(room["publications"], json!([{"data": 2, "offset": 2}]));
    assert_eq!(connect["connect"]["subs"]["plain"], json!({}));
    publish(broker, "kept:room", json!(3)).await;
    assert_eq!(stream.event().await.data["pub"], json!({"data": 3, "offset": 3}));
}

#[tokio::test]
async fn what_is_more_than_a_client_can_be_sent_is_lost() {
    let brokers =
        cluster(1, &format!("{HISTORY}limits: {{outbox_size: 64KiB, message_size: 32KiB}}\n")).await;
    let broker = &brokers[0];
    let (client, start) = subscribe(broker, "kept:room").await;
    drop(client);
    for _ in 0..3 {
        publish(broker, "kept:room", json!("x".repeat(15_000))).await;
    }
    let (_, reply) = resubscribe(broker, "kept:room", &start).await;
    assert_eq!((&reply["recovered"], &reply["offset"]), (&json!(false), &json!(3)), "{reply}");
}

#[tokio::test]
async fn who_is_subscribed_by_the_server_is_told_its_position() {
    let brokers = cluster(1, HISTORY).await;
    let epoch = publish(&brokers[0], "kept:room", json!(1)).await["epoch"].clone();
    let mut client = brokers[0].open().await;
    let id = client.connect("").await["client"].clone();
    brokers[0].api("subscribe", &json!({"client": id, "channel": "kept:room"})).await;
    let begun: Value = client.push().await;
    let position = json!({"positioned": true, "epoch": epoch, "offset": 1});
    assert_eq!(begun, json!({"channel": "kept:room", "subscribe": position}));
}
