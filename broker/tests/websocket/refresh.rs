//! New tokens on a living connection, and what ends without them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    Broker, Client, eventually,
    token::{SECRET, in_seconds, signed_with, token},
};

/// Tokens are needed, also for channels of the namespace `room`; and new ones may come for so long.
fn with_grace(grace: &str) -> String {
    format!(
        "auth: {{jwt: {{hmac_secret: \"{SECRET}\"}}, api_keys: [key-of-the-tests]}}\n\
         limits: {{token_grace: {grace}}}\n\
         channels: {{namespaces: [{{name: \"\"}}, {{name: room, subscribe: token, publish: any}}]}}\n"
    )
}

fn of_connection(user: &str, seconds: i64) -> String {
    token(&json!({"sub": user, "exp": in_seconds(seconds)}))
}

fn of_channel(channel: &str, seconds: i64) -> String {
    token(&json!({"sub": "ann", "channel": channel, "exp": in_seconds(seconds)}))
}

fn refresh(token: &str) -> Value {
    json!({"refresh": {"token": token}})
}

fn subscribe(channel: &str, token: &str) -> Value {
    json!({"subscribe": {"channel": channel, "token": token}})
}

fn sub_refresh(channel: &str, token: &str) -> Value {
    json!({"sub_refresh": {"channel": channel, "token": token}})
}

/// Whether a result says that it expires in so many seconds, or a little less.
#[track_caller]
fn expires_in(result: &Value, seconds: u64) {
    let ttl = result["ttl"].as_u64().unwrap_or_else(|| panic!("no ttl: {result}"));
    assert_eq!(result["expires"], true, "{result}");
    assert!(ttl <= seconds && ttl + 10 >= seconds, "{result}");
}

async fn ann(broker: &Broker, seconds: i64) -> Client {
    let mut client = broker.open().await;
    client.connect(&of_connection("ann", seconds)).await;
    client
}

#[tokio::test]
async fn replies_say_when_a_token_expires() {
    let broker = Broker::start(&with_grace("25s")).await;
    let mut client = broker.open().await;
    expires_in(&client.connect(&of_connection("ann", 600)).await, 600);
    expires_in(&client.command(subscribe("room:1", &of_channel("room:1", 300))).await["subscribe"], 300);
    let forever = token(&json!({"sub": "ann", "channel": "room:2"}));
    assert_eq!(client.command(subscribe("room:2", &forever)).await, json!({"subscribe": {}}));
    assert_eq!(client.command(subscribe("plain", "")).await, json!({"subscribe": {}}));

    let connect = broker.open().await.connect(&token(&json!({"sub": "bob"}))).await;
    assert_eq!((connect.get("expires"), connect.get("ttl")), (None, None), "{connect}");
    let connect = broker.open().await.connect(&token(&json!({"sub": "bob", "exp": u64::MAX}))).await;
    expires_in(&connect, 365 * 24 * 60 * 60);
}

#[tokio::test]
async fn a_refreshed_connection_stays_and_one_that_is_not_ends_after_the_grace() {
    let broker = Broker::start(&with_grace("2s")).await;
    let begun = in_seconds(0);
    let (mut stays, mut goes) = (ann(&broker, 1).await, ann(&broker, 1).await);
    let reply = stays.command(refresh(&of_connection("ann", 600))).await;
    expires_in(&reply["refresh"], 600);
    assert!(reply["refresh"]["client"].is_string() && reply["refresh"]["version"].is_string(), "{reply}");
    assert_eq!(goes.end().await, 3005);
    assert!((3..8).contains(&(in_seconds(0) - begun)), "after the token's end, and the grace");
    assert!(stays.unasked().await.is_empty());
    assert_eq!(broker.ended("expired").await, 1);
}

#[tokio::test]
async fn a_token_may_be_refreshed_within_the_grace() {
    let broker = Broker::start(&with_grace("1h")).await;
    let mut client = ann(&broker, 1).await;
    let end = in_seconds(1);
    eventually("it has expired", async || in_seconds(0) > end).await;
    expires_in(&client.command(refresh(&of_connection("ann", 600))).await["refresh"], 600);
    // A token that does not expire is as good.
    let reply = client.command(refresh(&token(&json!({"sub": "ann"})))).await;
    assert_eq!((reply["refresh"].get("expires"), reply["refresh"].get("ttl")), (None, None), "{reply}");
}

#[tokio::test]
async fn a_connection_may_get_a_shorter_time_too() {
    let broker = Broker::start(&with_grace("0s")).await;
    let mut client = ann(&broker, 600).await;
    client.command(refresh(&of_connection("ann", 1))).await;
    assert_eq!(client.end().await, 3005);
}

#[tokio::test]
async fn a_bad_token_ends_the_connection_as_it_does_at_its_beginning() {
    let broker = Broker::start(&with_grace("25s")).await;
    for (name, token, code, rejection) in [
        ("another user's", of_connection("bob", 600), 3500, "invalid_token"),
        ("nobody's", token(&json!({"exp": in_seconds(600)})), 3500, "invalid_token"),
        ("of another secret", signed_with("guessed", &json!({"sub": "ann"})), 3500, "invalid_token"),
        ("rubbish", "rubbish".into(), 3500, "invalid_token"),
        ("expired", of_connection("ann", -1), 3005, "expired_token"),
        ("none", String::new(), 3501, "malformed"),
    ] {
        let before = broker.rejected(rejection).await;
        let mut client = ann(&broker, 600).await;
        client.send(&json!({"id": 9, "refresh": {"token": token}}).to_string()).await;
        assert_eq!(client.end().await, code, "{name}");
        assert_eq!(broker.rejected(rejection).await, before + 1, "{name}");
    }
}

#[tokio::test]
async fn an_expired_subscription_ends_alone() {
    let broker = Broker::start(&with_grace("1s")).await;
    let mut client = ann(&broker, 600).await;
    let begun = in_seconds(0);
    client.command(subscribe("room:ends", &of_channel("room:ends", 1))).await;
    client.command(subscribe("room:stays", &of_channel("room:stays", 600))).await;
    client.command(subscribe("plain", "")).await;
    let push = client.push().await;
    let unsubscribe = json!({"code": 2501, "reason": "subscription expired"});
    assert_eq!(push, json!({"channel": "room:ends", "unsubscribe": unsubscribe}));
    assert!((2..7).contains(&(in_seconds(0) - begun)), "after the token's end, and the grace");
    assert_eq!(broker.metric("subscriptions", &[]).await, 2);
    // Nothing comes after the end, and the others go on.
    for channel in ["room:ends", "room:stays", "plain"] {
        broker.api("publish", &json!({"channel": channel, "data": 1})).await;
    }
    let heard: Vec<_> = client.unasked().await.iter().map(|line| line["push"]["channel"].clone()).collect();
    assert_eq!(heard, ["room:stays", "plain"]);
    // It may begin again.
    client.command(subscribe("room:ends", &of_channel("room:ends", 600))).await;
    client.publish("room:ends", json!(2)).await;
    assert_eq!(client.publication("room:ends").await, 2);
}

#[tokio::test]
async fn others_are_told_that_an_expired_member_left() {
    let yaml = with_grace("0s").replace("publish: any", "join_leave: true");
    let broker = Broker::start(&yaml).await;
    let (mut goes, mut stays) = (ann(&broker, 600).await, ann(&broker, 600).await);
    stays.command(subscribe("room:1", &of_channel("room:1", 600))).await;
    assert!(stays.push().await["join"].is_object(), "its own");
    goes.command(subscribe("room:1", &of_channel("room:1", 1))).await;
    assert!(stays.push().await["join"].is_object());
    assert!(stays.push().await["leave"].is_object());
    let stats = stays.command(json!({"presence_stats": {"channel": "room:1"}})).await;
    assert_eq!(stats["presence_stats"]["num_clients"], 1);
}

#[tokio::test]
async fn a_refreshed_subscription_stays() {
    let broker = Broker::start(&with_grace("1s")).await;
    let mut client = ann(&broker, 600).await;
    for channel in ["room:1", "room:2"] {
        client.command(subscribe(channel, &of_channel(channel, 1))).await;
    }
    let reply = client.command(sub_refresh("room:1", &of_channel("room:1", 600))).await;
    expires_in(&reply["sub_refresh"], 600);
    assert_eq!(client.push().await["channel"], "room:2", "only the other one ends");
    // A token that does not expire is as good, and a subscription without a token can be given one.
    let forever = token(&json!({"sub": "ann", "channel": "room:1"}));
    assert_eq!(client.command(sub_refresh("room:1", &forever)).await, json!({"sub_refresh": {}}));
    client.subscribe("plain").await;
    client.command(sub_refresh("plain", &of_channel("plain", 1))).await;
    assert_eq!(client.push().await["channel"], "plain");
    assert_eq!(broker.metric("subscriptions", &[]).await, 1);
}

#[tokio::test]
async fn a_bad_subscription_token_is_refused_and_ends_nothing() {
    let broker = Broker::start(&with_grace("25s")).await;
    let mut client = ann(&broker, 600).await;
    client.command(subscribe("room:1", &of_channel("room:1", 600))).await;
    let of_bob = token(&json!({"sub": "bob", "channel": "room:1"}));
    let of_another = token(&json!({"sub": "ann", "channel": "room:1", "client": "another"}));
    for (name, channel, token, code) in [
        ("another user's", "room:1", of_bob, 103),
        ("another client's", "room:1", of_another, 103),
        ("another channel's", "room:1", of_channel("room:2", 600), 103),
        ("no subscription", "room:2", of_channel("room:2", 600), 103),
        ("rubbish", "room:1", "rubbish".into(), 103),
        ("expired", "room:1", of_channel("room:1", -1), 109),
        ("none", "room:1", String::new(), 107),
        ("no channel", "", of_channel("", 600), 107),
    ] {
        assert_eq!(client.error(sub_refresh(channel, &token)).await, code, "{name}");
    }
    assert_eq!(broker.metric("subscriptions", &[]).await, 1);
}

#[tokio::test]
async fn an_anonymous_client_cannot_become_somebody() {
    let yaml = with_grace("25s").replace("auth: {", "auth: {anonymous: true, ");
    let broker = Broker::start(&yaml).await;
    let mut client = broker.connect().await;
    client.send(&json!({"id": 9, "refresh": {"token": of_connection("ann", 600)}}).to_string()).await;
    assert_eq!(client.end().await, 3500);
}

#[tokio::test]
async fn a_connection_outlives_the_token_of_a_subscription_that_is_no_more() {
    let yaml = with_grace("0s").replace("limits: {", "limits: {channels_per_client: 2, ");
    let broker = Broker::start(&yaml).await;
    let mut client = ann(&broker, 600).await;
    client.subscribe("stays").await;
    let short = subscribe("room:left", &of_channel("room:left", 1));
    expires_in(&client.command(short.clone()).await["subscribe"], 1);
    assert_eq!(client.error(subscribe("room:one-too-many", &of_channel("room:one-too-many", 1))).await, 106);
    assert_eq!(client.error(short).await, 105);
    client.command(json!({"unsubscribe": {"channel": "room:left"}})).await;
    let end = in_seconds(3);
    client.command(subscribe("room:left", &of_channel("room:left", 3))).await;
    assert_eq!(client.push().await["unsubscribe"]["code"], 2501);
    assert!(in_seconds(0) >= end, "with the token of the subscription that there is");
    assert!(client.unasked().await.is_empty());
    // The timer has nothing more to do than to ping.
    tokio::time::timeout(Duration::from_millis(10), client.frame()).await.unwrap_err();
}
