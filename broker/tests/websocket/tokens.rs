//! Tokens: who may connect, who may subscribe, and for how long.

use serde_json::{Value, json};

use crate::support::{
    Broker,
    token::{SECRET, in_seconds, signed_with, token},
};

fn with_tokens(more: &str) -> String {
    format!("auth: {{jwt: {{hmac_secret: \"{SECRET}\"{more}}}}}\n")
}

#[tokio::test]
async fn a_valid_token_lets_in() {
    let broker = Broker::start(&with_tokens(", audience: chat, issuer: backend")).await;
    let mut client = broker.open().await;
    let claims = json!({"sub": "ann", "exp": in_seconds(60), "aud": ["chat", "shop"], "iss": "backend"});
    client.connect(&token(&claims)).await;
    client.subscribe("news").await;
    client.publish("news", json!(1)).await;
    assert_eq!(client.push().await["pub"]["info"]["user"], "ann");
}

#[tokio::test]
async fn other_tokens_do_not() {
    let broker = Broker::start(&with_tokens(", audience: chat")).await;
    let good = json!({"sub": "ann", "aud": "chat"});
    let unsigned = {
        let parts = token(&good);
        let (head_and_claims, _) = parts.rsplit_once('.').unwrap();
        format!("{head_and_claims}.")
    };
    // {"alg":"none"}
    let none = format!("eyJhbGciOiJub25lIn0.{}.", token(&good).split('.').nth(1).unwrap());
    let cases = [
        ("missing", String::new(), 3507, "permission_denied", "no_token"),
        ("no token at all", "abc".into(), 3500, "invalid_token", "invalid_token"),
        ("of another secret", signed_with("guessed", &good), 3500, "invalid_token", "invalid_token"),
        ("without its signature", unsigned, 3500, "invalid_token", "invalid_token"),
        ("without an algorithm", none, 3500, "invalid_token", "invalid_token"),
        (
            "of another audience",
            token(&json!({"sub": "a", "aud": "shop"})),
            3500,
            "invalid_token",
            "invalid_token",
        ),
        (
            "of a wrong shape",
            token(&json!({"sub": 7, "aud": "chat"})),
            3500,
            "invalid_token",
            "invalid_token",
        ),
    ];
    for (name, token, code, reason, rejection) in cases {
        let (ended, rejected) = (broker.ended(reason).await, broker.rejected(rejection).await);
        let mut client = broker.open().await;
        client.send(&json!({"id": 1, "connect": {"token": token}}).to_string()).await;
        assert_eq!(client.end().await, code, "{name}");
        assert_eq!(broker.ended(reason).await, ended + 1, "{name}");
        assert_eq!(broker.rejected(rejection).await, rejected + 1, "{name}");
    }
    assert_eq!(broker.metric("connects_total", &[("endpoint", "websocket")]).await, 0);
}

#[tokio::test]
async fn a_token_outside_its_time_asks_for_a_new_one() {
    let broker = Broker::start(&with_tokens("")).await;
    for claims in [
        json!({"sub": "ann", "exp": in_seconds(-1)}),
        json!({"sub": "ann", "nbf": in_seconds(60)}),
        json!({"sub": "ann", "expire_at": in_seconds(-1)}),
    ] {
        let mut client = broker.open().await;
        assert_eq!(client.error(json!({"connect": {"token": token(&claims)}})).await, 109, "{claims}");
        // A client with a new token need not open a new connection.
        client.connect(&token(&json!({"sub": "ann", "exp": in_seconds(60)}))).await;
    }
    assert_eq!(broker.rejected("expired_token").await, 3);
}

#[tokio::test]
async fn what_stands_behind_an_expired_token_is_passed_over() {
    let broker = Broker::start(&with_tokens("")).await;
    let (expired, good) = (json!({"sub": "ann", "exp": in_seconds(-1)}), json!({"sub": "ann"}));
    let connect = |id, claims| json!({"id": id, "connect": {"token": token(claims)}}).to_string();
    let subscribe = |id| json!({"id": id, "subscribe": {"channel": "news"}}).to_string();
    let mut client = broker.open().await;
    client.send(&[connect(1, &expired), subscribe(2), subscribe(3)].join("\n")).await;
    assert_eq!(client.line().await["error"]["code"], 109);
    // Also when the new token stands in the same frame.
    client.send(&[connect(4, &expired), subscribe(5), connect(6, &good), subscribe(7)].join("\n")).await;
    assert_eq!(client.line().await["error"]["code"], 109);
    assert!(client.reply(6).await["connect"].is_object());
    assert_eq!(client.line().await, json!({"id": 7, "subscribe": {}}));
    assert_eq!(broker.metric("subscriptions", &[]).await, 1);
    assert_eq!(broker.rejected("not_connected").await, 0);

    // In a frame of its own it is still too early.
    let mut client = broker.open().await;
    client.send(&connect(1, &expired)).await;
    client.send(&subscribe(2)).await;
    assert_eq!(client.end().await, 3501);
    assert_eq!(broker.rejected("not_connected").await, 1);
}

#[tokio::test]
async fn a_connection_ends_with_its_token() {
    let broker = Broker::start(&(with_tokens("") + "limits: {token_grace: 0s}\n")).await;
    let mut client = broker.open().await;
    let end = in_seconds(2);
    client.connect(&token(&json!({"sub": "ann", "exp": end}))).await;
    assert_eq!(client.end().await, 3005, "a code that tells to come back");
    assert!((0..5).contains(&(in_seconds(0) - end)), "at the time that the token says");
    assert_eq!(broker.ended("expired").await, 1);
}

#[tokio::test]
async fn a_token_that_ends_while_a_pong_is_awaited_is_no_missed_pong() {
    let yaml = with_tokens("")
        + "endpoints: {websocket: {ping_interval: 5s, pong_timeout: 4s}}\nlimits: {token_grace: 0s}\n";
    let broker = Broker::start(&yaml).await;
    let mut client = broker.open().await;
    client.answers_pings = false;
    client.connect(&token(&json!({"sub": "ann", "exp": in_seconds(7)}))).await;
    assert_eq!(client.end().await, 3005);
}

#[tokio::test]
async fn subscription_tokens_are_for_one_channel_user_and_client() {
    let yaml = with_tokens("") + "channels: {namespaces: [{name: \"\", subscribe: token}]}\n";
    let broker = Broker::start(&yaml).await;
    let mut client = broker.open().await;
    let id = client.connect(&token(&json!({"sub": "ann"}))).await["client"].clone();
    let subscribe = |claims: Value| json!({"subscribe": {"channel": "room", "token": token(&claims)}});
    for (claims, code) in [
        (json!({"sub": "ann", "channel": "other"}), 103),
        (json!({"sub": "bob", "channel": "room"}), 103),
        (json!({"sub": "ann"}), 103),
        (json!({"sub": "ann", "channel": "room", "client": "another"}), 103),
        (json!({"sub": "ann", "channel": "room", "exp": in_seconds(-1)}), 109),
    ] {
        assert_eq!(client.error(subscribe(claims.clone())).await, code, "{claims}");
    }
    assert_eq!(client.error(json!({"subscribe": {"channel": "room"}})).await, 103, "without a token");
    let claims = json!({"sub": "ann", "channel": "room", "client": id});
    assert_eq!(client.command(subscribe(claims)).await, json!({"subscribe": {}}));
}
