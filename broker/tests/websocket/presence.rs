//! Who is in a channel, and who comes and goes.

use bytes::Bytes;
use serde_json::{Value, json};
use switchboard::{
    backplane::Member,
    message::{Channel, ClientId},
};

use crate::support::{
    Broker, Lab, OPEN, eventually,
    token::{SECRET, token},
};

async fn members(client: &mut crate::support::Client, channel: &str) -> Value {
    let mut reply = client.command(json!({"presence": {"channel": channel}})).await;
    assert!(reply["presence"]["presence"].is_object(), "{reply}");
    reply["presence"]["presence"].take()
}

#[tokio::test]
async fn presence_shows_clients_with_users_and_what_their_tokens_say() {
    let broker =
        Broker::start(&format!("auth: {{anonymous: true, jwt: {{hmac_secret: \"{SECRET}\"}}}}\n")).await;
    let mut nobody = broker.open().await;
    let nobody_id = nobody.connect("").await["client"].as_str().unwrap().to_owned();
    let mut ann = broker.open().await;
    let ann_id = ann.connect(&token(&json!({"sub": "ann", "info": {"name": "Ann"}}))).await["client"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut again = broker.open().await;
    again.connect(&token(&json!({"sub": "ann"}))).await;

    nobody.subscribe("room").await;
    let chan_info = token(&json!({"sub": "ann", "channel": "room", "info": {"role": "host"}}));
    let reply = ann.command(json!({"subscribe": {"channel": "room", "token": chan_info}})).await;
    assert_eq!(reply, json!({"subscribe": {}}));
    assert_eq!(
        members(&mut nobody, "room").await,
        json!({
            nobody_id.clone(): {"user": "", "client": nobody_id},
            ann_id.clone(): {
                "user": "ann", "client": ann_id,
                "conn_info": {"name": "Ann"}, "chan_info": {"role": "host"},
            },
        })
    );
    again.subscribe("room").await;
    let stats = nobody.command(json!({"presence_stats": {"channel": "room"}})).await;
    assert_eq!(stats, json!({"presence_stats": {"num_clients": 3, "num_users": 2}}));

    ann.command(json!({"unsubscribe": {"channel": "room"}})).await;
    drop(again);
    eventually("only one is left", async || {
        members(&mut nobody, "room").await.as_object().unwrap().len() == 1
    })
    .await;
}

#[tokio::test]
async fn subscribers_are_told_who_joins_and_leaves() {
    let yaml =
        format!("{OPEN}channels: {{namespaces: [{{name: room, join_leave: true}}, {{name: \"\"}}]}}\n");
    let broker = Broker::start(&yaml).await;
    let mut ann = broker.open().await;
    let ann_id = ann.connect("").await["client"].clone();
    ann.subscribe("room:1").await;
    let push = ann.push().await;
    assert_eq!(push["join"]["info"]["client"], ann_id, "everybody in the channel is told, itself too");

    let mut bob = broker.open().await;
    let info = json!({"user": "", "client": bob.connect("").await["client"]});
    bob.subscribe("room:1").await;
    assert_eq!(ann.push().await, json!({"channel": "room:1", "join": {"info": info}}));
    bob.command(json!({"unsubscribe": {"channel": "room:1"}})).await;
    assert_eq!(ann.push().await, json!({"channel": "room:1", "leave": {"info": info}}));

    bob.subscribe("room:1").await;
    assert!(ann.push().await["join"].is_object());
    drop(bob);
    assert_eq!(ann.push().await, json!({"channel": "room:1", "leave": {"info": info}}));
    ann.subscribe("plain").await;
    assert!(ann.unasked().await.is_empty(), "other namespaces are quiet");
}

#[tokio::test]
async fn a_leave_says_as_much_as_the_join() {
    let yaml = format!(
        "auth: {{jwt: {{hmac_secret: \"{SECRET}\"}}}}\nchannels: {{namespaces: [{{name: \"\", join_leave: true}}]}}\n"
    );
    let broker = Broker::start(&yaml).await;
    let mut ann = broker.open().await;
    ann.connect(&token(&json!({"sub": "ann"}))).await;
    ann.subscribe("room").await;
    ann.push().await;
    let mut bob = broker.open().await;
    bob.connect(&token(&json!({"sub": "bob", "info": 1}))).await;
    let grant = token(&json!({"sub": "bob", "channel": "room", "info": 2}));
    bob.command(json!({"subscribe": {"channel": "room", "token": grant}})).await;
    let joined = ann.push().await["join"].take();
    assert_eq!(joined["info"]["chan_info"], 2);
    bob.publish("room", json!("hi")).await;
    assert_eq!(ann.push().await["pub"]["info"], joined["info"], "as does what it publishes");
    drop(bob);
    assert_eq!(ann.push().await["leave"], joined);
}

#[tokio::test]
async fn an_answer_that_no_outbox_holds_is_an_error() {
    let yaml = format!("{OPEN}limits: {{message_size: 1KiB, outbox_size: 64KiB}}\n");
    let lab = Lab::start(&yaml).await;
    let (mut client, _) = lab.open(1 << 20);
    client.connect("").await;
    client.subscribe("crowd").await;
    let channel = Channel::parse("crowd", 255).unwrap();
    for _ in 0..2_000 {
        let member = Member { client: ClientId::generate(), info: Bytes::from(r#"{"user":"one of many"}"#) };
        lab.gateway.backplane.enter(&channel, member);
    }
    let reply = client.command(json!({"presence": {"channel": "crowd"}})).await;
    assert_eq!(reply, json!({"error": {"code": 106, "message": "limit exceeded"}}));
    assert_eq!(lab.metric("rejected_total", &[("reason", "too_large")]), 1);
    let stats = client.command(json!({"presence_stats": {"channel": "crowd"}})).await;
    assert_eq!(stats, json!({"presence_stats": {"num_clients": 2_001, "num_users": 2}}));
    assert_eq!(lab.ended("slow"), 0);
}
