//! Several keys at once, and keys that change while the broker runs.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Broker, Frame, eventually,
    pair::{Pair, jwks},
    token::{SECRET, in_seconds, signed_with, token},
    within,
};

/// A configuration with this `auth.jwt`, which JSON is as good for as YAML.
fn with_jwt(jwt: &Value) -> String {
    json!({"auth": {"jwt": jwt}}).to_string()
}

/// A configuration that reads this JWKS document.
fn reading(path: &Path) -> String {
    with_jwt(&json!({"jwks_file": path}))
}

fn folder(name: &str, text: &str) -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

/// Writes another text, in one step: a broker never sees half of it.
fn replace(path: &Path, text: &str) {
    std::fs::write(path.with_extension("new"), text).unwrap();
    std::fs::rename(path.with_extension("new"), path).unwrap();
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
    assert_eq!(broker.metric("auth_keys", &[]).await, 5);
    // What is good and over asks for a new one, whatever key it is of.
    let over = json!({"connect": {"token": listed.token(&json!({"sub": "ann", "exp": in_seconds(-1)}))}});
    assert_eq!(broker.open().await.error(over).await, 109);
}

#[tokio::test]
async fn keys_are_rotated_while_clients_stay() {
    let (old, new) = (Pair::named("2025"), Pair::named("2026"));
    let (_folder, path) = folder("jwks.json", &jwks(&[&old]));
    let broker = Broker::start(&reading(&path)).await;
    let claims = json!({"sub": "ann"});
    let mut stays = broker.open().await;
    stays.connect(&old.token(&claims)).await;
    assert!(!lets_in(&broker, &new.token(&claims)).await);

    // Both, so that whoever signs can change over.
    replace(&path, &jwks(&[&old, &new]));
    eventually("the new key is known", async || lets_in(&broker, &new.token(&claims)).await).await;
    assert!(lets_in(&broker, &old.token(&claims)).await);

    replace(&path, &jwks(&[&new]));
    eventually("the old key is gone", async || !lets_in(&broker, &old.token(&claims)).await).await;
    assert!(lets_in(&broker, &new.token(&claims)).await);
    assert_eq!(broker.metric("auth_keys", &[]).await, 1);
    assert_eq!(broker.metric("auth_key_reloads_total", &[]).await, 2);
    assert_eq!(broker.metric("auth_key_reload_failures_total", &[]).await, 0);
    stays.subscribe("news").await;
}

#[tokio::test]
async fn a_mounted_config_map_that_is_swapped_is_read_again() {
    let (old, new) = (Pair::named(None), Pair::named(None));
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let version = |name: &str, pair: &Pair| {
        std::fs::create_dir(root.join(name)).unwrap();
        std::fs::write(root.join(name).join("key.pem"), pair.pem()).unwrap();
        std::os::unix::fs::symlink(name, root.join("..data_tmp")).unwrap();
        std::fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    };
    version("..1", &old);
    std::os::unix::fs::symlink("..data/key.pem", root.join("key.pem")).unwrap();
    let keys = json!({"keys": [{"public_key_file": root.join("key.pem")}]});
    let broker = Broker::start(&with_jwt(&keys)).await;
    let claims = json!({"sub": "ann"});
    assert!(lets_in(&broker, &old.token(&claims)).await);
    version("..2", &new);
    eventually("the new key is known", async || lets_in(&broker, &new.token(&claims)).await).await;
    assert!(!lets_in(&broker, &old.token(&claims)).await);
}

#[tokio::test]
async fn a_broken_document_keeps_the_keys_and_is_counted() {
    let (old, new) = (Pair::named("a"), Pair::named("b"));
    let (_folder, path) = folder("jwks.json", &jwks(&[&old]));
    let broker = Broker::start(&reading(&path)).await;
    let claims = json!({"sub": "ann"});
    let whole = jwks(&[&new]);
    replace(&path, &whole[..whole.len() / 2]);
    // As long as it lasts, so that an alert sees it.
    let failures = async || broker.metric("auth_key_reload_failures_total", &[]).await;
    eventually("it is counted, and again", async || failures().await >= 2).await;
    assert!(lets_in(&broker, &old.token(&claims)).await);
    assert!(!lets_in(&broker, &new.token(&claims)).await);
    assert_eq!(broker.metric("auth_key_reloads_total", &[]).await, 0);
    std::fs::remove_file(&path).unwrap();
    let before = failures().await;
    eventually("a file that is gone counts too", async || failures().await > before).await;
    assert!(lets_in(&broker, &old.token(&claims)).await);
    replace(&path, &whole);
    eventually("the new key is known", async || lets_in(&broker, &new.token(&claims)).await).await;
    assert!(!lets_in(&broker, &old.token(&claims)).await);
}

#[tokio::test]
async fn a_broker_that_drains_looks_no_more() {
    let (_folder, path) = folder("jwks.json", &jwks(&[&Pair::named(None)]));
    let broker = Broker::start(&reading(&path)).await;
    // Ends only when all that the broker started has ended.
    within("the drain", broker.drain()).await;
}
