//! Several keys at once.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Broker, Frame,
    pair::{Pair, jwks},
    token::{SECRET, in_seconds, signed_with, token},
};

/// A configuration with this `auth.jwt`, which JSON is as good for as YAML.
fn with_jwt(jwt: &Value) -> String {
    json!({"auth": {"jwt": jwt}}).to_string()
}

fn folder(name: &str, text: &str) -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

/// Whether a token lets somebody in; if not, it was refused for good.
async fn lets_in(broker: &Broker, token: &str) -> bool {
    let mut client = broker.open().await;
    client.send(&json!({"id": 1, "connect": {"token": token}}).to_string()).await;
    match client.frame().await {
        Frame::Text(line) => {
            assert!(line.contains("\"connect\""), "{line}");
            true
        }
        Frame::Close(code, _) => {
            assert_eq!(code, 3500);
            false
        }
        other => panic!("neither let in nor refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_token_of_any_of_the_keys_lets_in_and_of_no_other() {
    let (inline, filed, listed, stranger) =
        (Pair::named("a"), Pair::named(None), Pair::named("c"), Pair::named("a"));
    let (_one, pem) = folder("key.pem", &filed.pem());
    let (_two, document) = folder("jwks.json", &jwks(&[&listed]));
    let (_three, secret) = folder("secret", "another secret, long enough for HS256\n");
    let broker = Broker::start(&with_jwt(&json!({
        "hmac_secret": SECRET,
        "keys": [
            {"id": "a", "public_key": inline.pem()},
            {"algorithm": "ES256", "public_key_file": pem},
            {"id": "s", "secret_file": secret},
        ],
        "jwks_file": document,
    })))
    .await;
    let claims = json!({"sub": "ann", "exp": in_seconds(60)});
    for good in [
        token(&claims),
        inline.token(&claims),
        filed.token(&claims),
        listed.token(&claims),
        signed_with("another secret, long enough for HS256", &claims),
    ] {
        assert!(lets_in(&broker, &good).await);
    }
    for bad in [stranger.token(&claims), Pair::named(None).token(&claims), signed_with("guessed", &claims)] {
        assert!(!lets_in(&broker, &bad).await);
    }
    // Signed with what everybody knows.
    for known in [inline.pem(), jwks(&[&listed]), listed.jwk().to_string()] {
        assert!(!lets_in(&broker, &signed_with(&known, &claims)).await);
    }
    // What is good and over asks for a new one, whatever key it is of.
    let over = json!({"connect": {"token": listed.token(&json!({"sub": "ann", "exp": in_seconds(-1)}))}});
    assert_eq!(broker.open().await.error(over).await, 109);
}
