//! What is said about the keys of tokens.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{
    pair::{Pair, jwks},
    program::{Program, run},
};

/// A file with this text, which takes the place of one that is there at once: a broker never sees half of it.
fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(path.with_extension("new"), text).unwrap();
    std::fs::rename(path.with_extension("new"), &path).unwrap();
    path.to_str().unwrap().to_owned()
}

fn configuration(folder: &Path, jwt: &Value) -> String {
    file(folder, "broker.yaml", &json!({"auth": {"jwt": jwt}}).to_string())
}

#[tokio::test]
async fn check_tells_how_many_keys_there_are_and_shows_none() {
    let folder = tempfile::tempdir().unwrap();
    let document = file(folder.path(), "jwks.json", &jwks(&[&Pair::named("b"), &Pair::named("c")]));
    let secret = file(folder.path(), "secret", "hunter2");
    let name = configuration(
        folder.path(),
        &json!({"keys": [{"id": "a", "secret_file": secret}], "jwks_file": document}),
    );
    let output = run(&["check", "--config", &name], &[]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("auth       clients with a token (3 keys: HS256, ES256), no API key\n"), "{text}");
    assert!(text.contains("warning: auth.jwt.keys[0].secret_file has 7 bytes"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_file_that_cannot_be_used_ends_it_with_code_2_its_setting_and_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let broken = file(folder.path(), "broken.json", "{\"keys\": [\n  {\"kty\" \"hunter2\"}\n]}");
    let private = "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n";
    let private = file(folder.path(), "private.pem", private);
    for (jwt, says) in [
        (
            json!({"jwks_file": broken}),
            format!(
                "auth.jwt.jwks_file: cannot read {broken}: not valid JSON: expected `:` at line 2 column 10\n"
            ),
        ),
        (
            json!({"keys": [{"public_key_file": private}]}),
            format!(
                "auth.jwt.keys[0].public_key_file: cannot read {private}: this is a private key; give the broker the public one\n"
            ),
        ),
        (
            json!({"jwks_file": "/nowhere/jwks.json"}),
            "auth.jwt.jwks_file: cannot read /nowhere/jwks.json: No such file or directory (os error 2)\n"
                .into(),
        ),
    ] {
        let name = configuration(folder.path(), &jwt);
        for command in ["run", "check"] {
            let output = run(&[command, "--config", &name], &[]).await;
            assert_eq!(output.status.code(), Some(2), "{command} {jwt}");
            assert_eq!(String::from_utf8(output.stderr).unwrap(), says, "{command}");
        }
    }
}

#[tokio::test]
async fn the_log_tells_of_each_change_of_the_keys_once() {
    let folder = tempfile::tempdir().unwrap();
    let document = file(folder.path(), "jwks.json", &jwks(&[&Pair::named("a")]));
    let name = configuration(folder.path(), &json!({"jwks_file": document}));
    let program = Program::start(&["--config", &name], &[]);
    program.addresses().await;
    file(folder.path(), "jwks.json", "{\"keys\": [\n  {\"k\": \"hunter2\" \"hunter2\"}");
    program.says("cannot use the changed keys of tokens; those from before stay").await;
    program.says("not valid JSON: expected `,` or `}` at line 2 column").await;
    let other = [Pair::named("a").jwk(), Pair::named("b").jwk(), json!({"kty": "AKP"})];
    file(folder.path(), "jwks.json", &json!({ "keys": other }).to_string());
    program.says("read the keys of tokens again: 2 keys: ES256").await;
    let log = program.log();
    assert!(log.contains("keys[2] is passed over: the kind \"AKP\" (kty) is not known"), "{log}");
    assert_eq!(log.matches("cannot use the changed keys").count(), 1, "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}
