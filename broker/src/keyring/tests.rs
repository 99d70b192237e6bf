use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::auth::{Algorithm, testing::Signer};
use crate::config::Jwt;

/// A folder with a JWKS document, and a watch of it.
struct Watched {
    dir: TempDir,
    keyring: Keyring,
    watch: Watch,
}

impl Watched {
    fn new(signer: &Signer) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("jwks.json"), document(signer)).unwrap();
        let (watch, authenticator) = Watch::begin(&auth(dir.path())).unwrap();
        Self { dir, keyring: Keyring::new(authenticator), watch }
    }

    fn write(&self, text: &str) {
        std::fs::write(self.dir.path().join("jwks.json"), text).unwrap();
    }

    /// Looks, and does what [`Watch::run`] does; what was found.
    fn look(&mut self) -> &'static str {
        match self.watch.look() {
            Look::Same => "same",
            Look::Bad(_) => "bad",
            Look::New(keys) => {
                self.keyring.replace(Authenticator::new(&self.watch.auth, keys.set));
                "new"
            }
        }
    }

    fn lets_in(&self, signer: &Signer) -> bool {
        let token = signer.token(Algorithm::Es256, &json!({"sub": "ann"}));
        self.keyring.connect(&token, 0).is_ok()
    }
}

fn auth(dir: &Path) -> Auth {
    let jwt = Jwt { jwks_file: Some(dir.join("jwks.json")), ..Jwt::default() };
    Auth { jwt, ..Auth::default() }
}

fn document(signer: &Signer) -> String {
    json!({"keys": [signer.jwk(json!({}))]}).to_string()
}

#[test]
fn keys_are_replaced_when_their_file_changes_and_only_then() {
    let (old, new) = (Signer::p256(), Signer::p256());
    let mut watched = Watched::new(&old);
    assert_eq!(watched.look(), "same");
    assert!(watched.lets_in(&old) && !watched.lets_in(&new));
    watched.write(&document(&new));
    assert!(!watched.lets_in(&new), "not before somebody looks");
    assert_eq!(watched.look(), "new");
    assert!(watched.lets_in(&new) && !watched.lets_in(&old));
    assert_eq!(watched.look(), "same");
}

#[test]
fn what_cannot_be_used_changes_nothing_and_is_told_once() {
    let (old, new) = (Signer::p256(), Signer::p256());
    let mut watched = Watched::new(&old);
    for broken in ["", "{", "{\"keys\": 7}"] {
        watched.write(broken);
        assert_eq!(watched.look(), "bad", "{broken:?}");
        assert_eq!(watched.look(), "same", "{broken:?}");
        assert!(watched.watch.failing && watched.lets_in(&old), "{broken:?}");
    }
    std::fs::remove_file(watched.dir.path().join("jwks.json")).unwrap();
    assert_eq!(watched.look(), "bad");
    assert!(watched.lets_in(&old));
    watched.write(&document(&new));
    assert_eq!(watched.look(), "new");
    assert!(!watched.watch.failing && watched.lets_in(&new) && !watched.lets_in(&old));
}

#[test]
fn a_file_that_is_swapped_by_a_symlink_is_noticed() {
    let (old, new) = (Signer::p256(), Signer::p256());
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    // As the kubelet lays out a ConfigMap: the file is a link into `..data`, which is a link to a folder.
    for (name, signer) in [("..1", &old), ("..2", &new)] {
        std::fs::create_dir(root.join(name)).unwrap();
        std::fs::write(root.join(name).join("jwks.json"), document(signer)).unwrap();
    }
    std::os::unix::fs::symlink("..1", root.join("..data")).unwrap();
    std::os::unix::fs::symlink("..data/jwks.json", root.join("jwks.json")).unwrap();
    let (watch, authenticator) = Watch::begin(&auth(root)).unwrap();
    let mut watched = Watched { keyring: Keyring::new(authenticator), watch, dir };
    assert!(watched.lets_in(&old));

    let root = watched.dir.path();
    std::os::unix::fs::symlink("..2", root.join("..data_tmp")).unwrap();
    std::fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    std::fs::remove_dir_all(root.join("..1")).unwrap();
    assert_eq!(watched.look(), "new");
    assert!(watched.lets_in(&new) && !watched.lets_in(&old));
}

#[test]
fn a_broker_does_not_begin_with_files_that_it_cannot_use() {
    let dir = tempfile::tempdir().unwrap();
    let Err(error) = Watch::begin(&auth(dir.path())) else { panic!("there is no file") };
    assert!(error.to_string().starts_with("auth.jwt.jwks_file: cannot read "), "{error}");
}

#[tokio::test]
async fn a_watch_ends_with_its_broker_and_at_once_without_files() {
    let metrics = Arc::new(Metrics::new());
    let watched = Watched::new(&Signer::p256());
    let (keyring, stop) = (Arc::new(watched.keyring), CancellationToken::new());
    let task = tokio::spawn(watched.watch.run(keyring, metrics.clone(), stop.clone()));
    stop.cancel();
    task.await.unwrap();
    assert_eq!(metrics.auth_keys.get(), 1);

    let (watch, authenticator) = Watch::begin(&Auth::default()).unwrap();
    let keyring = Arc::new(Keyring::new(authenticator));
    watch.run(keyring, metrics.clone(), CancellationToken::new()).await;
    assert_eq!(metrics.auth_keys.get(), 0);
}
