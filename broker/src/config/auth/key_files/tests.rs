use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::auth::Algorithm;
use crate::auth::testing::{SECRET, Signer, encode, pem};
use crate::config::Config;

/// What is wrong with `auth.jwt`, as it is checked without reading files.
fn wrong(jwt: &Value) -> String {
    let text = json!({"auth": {"jwt": jwt}}).to_string();
    Config::parse("broker.yaml", &text, std::iter::empty()).expect_err("this is wrong").to_string()
}

fn config(jwt: &Value) -> Config {
    let text = json!({"auth": {"jwt": jwt}}).to_string();
    Config::parse("broker.yaml", &text, std::iter::empty()).unwrap()
}

/// What is wrong with the files that it names.
fn unusable(jwt: &Value) -> String {
    config(jwt).resolve_secrets().expect_err("this cannot be used").to_string()
}

/// What is said about keys that can be used.
fn warnings(jwt: &Value) -> Vec<String> {
    config(jwt).auth.jwt.read_keys().unwrap().warnings
}

fn keys(jwt: &Value) -> Vec<(Algorithm, usize)> {
    config(jwt).auth.jwt.read_keys().unwrap().set.by_algorithm().into_iter().collect()
}

fn file(dir: &TempDir, name: &str, text: &str) -> String {
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn keys_of_every_kind_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let document = json!({"keys": [Signer::ed25519().jwk(json!({"kid": "e"})), {"kty": "EC", "use": "enc"}]});
    let jwt = json!({
        "hmac_secret": SECRET,
        "keys": [
            {"id": "a", "algorithm": "HS512", "secret": SECRET},
            {"secret_file": file(&dir, "secret", &format!("{SECRET}\n"))},
            {"id": "b", "public_key": Signer::p256().pem()},
            {"id": "c", "algorithm": "PS256", "public_key_file": file(&dir, "key.pem", &Signer::rsa().pem())},
        ],
        "jwks_file": file(&dir, "jwks.json", &document.to_string()),
    });
    let expected = [
        (Algorithm::Hs256, 2),
        (Algorithm::Hs512, 1),
        (Algorithm::Ps256, 1),
        (Algorithm::Es256, 1),
        (Algorithm::EdDsa, 1),
    ];
    assert_eq!(keys(&jwt), expected);
    assert_eq!(warnings(&jwt), Vec::<String>::new());
    let mut config = config(&jwt);
    assert!(config.auth.jwt.enabled());
    config.resolve_secrets().unwrap();
    config.validate().unwrap();
    assert_eq!(config.auth.jwt.files().count(), 3, "they are read again by the running broker");
}

#[test]
fn each_way_of_giving_keys_lets_clients_in() {
    for jwt in [json!({"keys": [{"secret": SECRET}]}), json!({"jwks_file": "/f"})] {
        assert!(config(&jwt).auth.jwt.enabled(), "{jwt}");
    }
    assert!(!config(&json!({"keys": []})).auth.jwt.enabled());
}

#[test]
fn a_key_comes_from_one_place() {
    assert_eq!(
        wrong(&json!({"keys": [{"id": "a"}]})),
        "broker.yaml:1:25: auth.jwt.keys[0]: holds no key; give secret, secret_file, public_key or public_key_file"
    );
    assert_eq!(
        wrong(&json!({"keys": [{"secret": SECRET}, {"secret": SECRET, "public_key_file": "/f"}]})),
        format!(
            "broker.yaml:1:{}: auth.jwt.keys[1]: gives secret and public_key_file; keep one of them",
            25 + json!({"secret": SECRET}).to_string().len() + 1
        )
    );
    let all = json!({"secret": "a", "secret_file": "b", "public_key": "c", "public_key_file": "d"});
    let expected = "gives secret and secret_file and public_key and public_key_file; keep one of them";
    assert!(wrong(&json!({"keys": [all]})).ends_with(expected));
}

#[test]
fn what_is_wrong_with_a_key_is_said_at_its_place() {
    let pem_of = |signer: &Signer| signer.pem();
    let key = |entry: Value| json!({"keys": [entry]});
    for (jwt, says) in [
        (key(json!({"id": "", "secret": SECRET})), "keys[0].id: is empty; leave it out for none"),
        (key(json!({"secret": ""})), "keys[0].secret: the secret is empty"),
        (key(json!({"secret_file": ""})), "keys[0].secret_file: is empty; write the path of a file"),
        (key(json!({"public_key": ""})), "keys[0].public_key: this holds no PEM"),
        (
            key(json!({"public_key": pem("PRIVATE KEY", b"x")})),
            "keys[0].public_key: this is a private key; give the broker the public one",
        ),
        (
            key(json!({"secret": pem_of(&Signer::p256())})),
            "keys[0].secret: this is a PEM and no secret; give it as public_key or public_key_file",
        ),
        (
            key(json!({"algorithm": "RS256", "secret": SECRET})),
            "keys[0].secret: RS256 is for public keys; a secret is for HS256, HS384 or HS512",
        ),
        (
            key(json!({"algorithm": "HS256", "public_key": pem_of(&Signer::p256())})),
            "keys[0].public_key: HS256 does not fit a P-256 key; leave the algorithm out for ES256",
        ),
        (
            key(json!({"algorithm": "none", "secret": SECRET})),
            "keys[0].algorithm: \"none\" is not known; write one of HS256, HS384, HS512, RS256,",
        ),
        (key(json!({"key": SECRET})), "unknown key \"key\" in auth.jwt.keys[0]"),
        (
            json!({"keys": [{"id": "a", "secret": SECRET}, {"id": "a", "secret": SECRET}]}),
            "keys[1].id: the id \"a\" is given twice; give each key its own, or none",
        ),
        (json!({"jwks_file": ""}), "jwks_file: is empty; write the path of a file"),
        (json!({"keys": {}}), "auth.jwt.keys: expected a list"),
    ] {
        let error = wrong(&jwt);
        assert!(error.starts_with("broker.yaml:1:") && error.contains(says), "{jwt}: {error}");
    }
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let private = file(&dir, "private.pem", &pem("EC PRIVATE KEY", b"x"));
    let public = file(&dir, "public.pem", &Signer::p256().pem());
    let broken = file(&dir, "broken.json", "{\"keys\": [\n{}");
    let leaked = json!({"keys": [Signer::p256().jwk(json!({"d": "AA"}))]}).to_string();
    let leaked = file(&dir, "leaked.json", &leaked);
    let large = file(&dir, "large", &" ".repeat(256 * 1024 + 1));
    let empty = file(&dir, "empty", "\n");
    let folder = dir.path().display().to_string();
    let twice: Vec<_> = (0..2).map(|_| Signer::p256().jwk(json!({"kid": "a"}))).collect();
    let twice = file(&dir, "twice.json", &json!({ "keys": twice }).to_string());
    let secret = |path: &str| json!({"keys": [{"secret_file": path}]});
    let key = |path: &str| json!({"keys": [{"secret": SECRET}, {"public_key_file": path}]});
    let jwks = |path: &str| json!({"jwks_file": path});
    for (jwt, setting, path, says) in [
        (secret("/none"), "keys[0].secret_file", "/none", "No such file or directory (os error 2)"),
        (secret(&empty), "keys[0].secret_file", &empty, "the file is empty"),
        (secret(&large), "keys[0].secret_file", &large, "it is larger than 256 KiB"),
        (secret(&folder), "keys[0].secret_file", &folder, "Is a directory (os error 21)"),
        (
            secret(&public),
            "keys[0].secret_file",
            &public,
            "this is a PEM and no secret; give it as public_key or public_key_file",
        ),
        (
            key(&private),
            "keys[1].public_key_file",
            &private,
            "this is a private key; give the broker the public one",
        ),
        (
            key(&broken),
            "keys[1].public_key_file",
            &broken,
            "this holds no PEM of a PUBLIC KEY or CERTIFICATE",
        ),
        (jwks(&broken), "jwks_file", &broken, "not valid JSON: EOF while parsing a list at line 2 column 2"),
        (
            jwks(&leaked),
            "jwks_file",
            &leaked,
            "keys[0]: this is a private key; give the broker the public one",
        ),
        (jwks(&twice), "jwks_file", &twice, "the id \"a\" is given twice for ES256; give each key its own"),
    ] {
        assert_eq!(unusable(&jwt), format!("auth.jwt.{setting}: cannot read {path}: {says}"));
    }
    // All that is wrong is told at once.
    let jwt = json!({"hmac_secret_file": "/none", "keys": [{"secret_file": "/none"}], "jwks_file": "/none"});
    assert_eq!(unusable(&jwt).lines().count(), 3);
}

#[test]
fn an_id_may_stand_in_both_places_for_different_algorithms() {
    let dir = tempfile::tempdir().unwrap();
    let document = json!({"keys": [Signer::p256().jwk(json!({"kid": "a"}))]});
    let jwks = file(&dir, "jwks.json", &document.to_string());
    let with = |key: &Signer| json!({"keys": [{"id": "a", "public_key": key.pem()}], "jwks_file": jwks});
    assert!(unusable(&with(&Signer::p256())).contains("the id \"a\" is given twice for ES256"));
    assert_eq!(keys(&with(&Signer::p384())), [(Algorithm::Es256, 1), (Algorithm::Es384, 1)]);
}

#[test]
fn warns_of_what_is_probably_not_meant() {
    let dir = tempfile::tempdir().unwrap();
    let short = file(&dir, "short", "short");
    let document =
        json!({"keys": [{"kty": "AKP", "kid": "x"}, {"kty": "oct", "k": encode("short"), "kid": "y"}]});
    let jwks = file(&dir, "jwks.json", &document.to_string());
    assert_eq!(
        warnings(&json!({
            "hmac_secret": "short",
            "keys": [{"secret": "a secret"}, {"algorithm": "HS512", "secret_file": short}],
            "jwks_file": jwks,
        })),
        [
            "auth.jwt.keys[0].secret has 8 bytes and can be guessed from a token; use 32 or more".to_owned(),
            "auth.jwt.keys[1].secret_file has 5 bytes and can be guessed from a token; use 64 or more".into(),
            format!(
                "auth.jwt.jwks_file {jwks}: keys[0] (\"x\") is passed over: the kind \"AKP\" (kty) is not known"
            ),
            format!(
                "auth.jwt.jwks_file {jwks}: the key \"y\" has 5 bytes and can be guessed from a token; use 32 or more"
            ),
        ]
    );
    let empty = file(&dir, "empty.json", "{\"keys\": []}");
    assert_eq!(
        warnings(&json!({ "jwks_file": empty })),
        [format!("auth.jwt.jwks_file {empty}: it holds no key that tokens can be verified with")]
    );
    let many: Vec<_> = (0..=TRIES).map(|_| json!({"secret": SECRET})).collect();
    assert!(warnings(&json!({ "keys": many })).concat().contains("9 keys for HS256"));

    // The broker's own list has them all, and each only once.
    let all = config(&json!({"hmac_secret": "short", "keys": [{"secret": "short"}]})).warnings();
    assert_eq!(all.iter().filter(|line| line.contains("has 5 bytes")).count(), 2, "{all:?}");
    let pem = config(&json!({"hmac_secret": Signer::p256().pem()})).warnings();
    assert!(pem.iter().any(|line| line.contains("auth.jwt.hmac_secret is a PEM")), "{pem:?}");
}

#[test]
fn a_key_is_in_no_error_and_no_output() {
    let hidden = format!("{}hunter2", "x".repeat(60));
    let jwt = json!({"keys": [
        {"secret": hidden},
        {"algorithm": "ES256", "public_key": Signer::p256().pem().replace("PUBLIC KEY-----\n", "PUBLIC KEY-----\nhunter2")},
        {"public_key": pem("PRIVATE KEY", b"").replace('\n', "\nhunter2\n")},
        {"algorithm": "RS256", "secret": hidden},
        {"secret": ["hunter2"]},
    ]});
    for i in 0..5 {
        let entry = json!({"keys": [jwt["keys"][i]]});
        let text = json!({"auth": {"jwt": entry}}).to_string();
        match Config::parse("broker.yaml", &text, std::iter::empty()) {
            Ok(config) => {
                let shown = format!("{config:?} {:#?}", config.auth.jwt.read_files());
                assert!(!shown.contains("hunter2"), "{shown}");
                assert!(!serde_json::to_string(&config).unwrap().contains("hunter2"));
            }
            Err(error) => assert!(!error.to_string().contains("hunter2"), "{error}"),
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let secret = file(&dir, "secret", &hidden);
    let files = config(&json!({"keys": [{"secret_file": secret}]})).auth.jwt.read_files();
    assert!(!format!("{files:?}").contains("hunter2"));
}

#[test]
fn keys_can_be_given_by_variables() {
    let variables = [
        ("SWITCHBOARD_AUTH__JWT__KEYS", "[{id: a, secret: \"0123456789abcdef0123456789abcdef\"}]"),
        ("SWITCHBOARD_AUTH__JWT__JWKS_FILE", "/etc/jwks.json"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let jwt = Config::parse("", "", variables.into_iter()).unwrap().auth.jwt;
    assert_eq!(jwt.keys[0].id.as_deref(), Some("a"));
    assert_eq!(jwt.jwks_file.as_deref(), Some(Path::new("/etc/jwks.json")));
}
