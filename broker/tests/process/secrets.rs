//! No secret is ever in the log, however much of it there is.

use rustix::process::Signal;
use serde_json::json;

use crate::support::{
    Client,
    program::{Program, run},
    request,
    token::{SECRET, signed_with, token},
};

#[tokio::test]
async fn no_secret_is_in_the_log() {
    let (key, password) = ("an-api-key-of-great-value", "a-password-of-great-value");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("redis://user:{password}@{nobody}/0");
    let keys = format!("[{key}]");
    let variables = [
        ("SWITCHBOARD_AUTH__JWT__HMAC_SECRET", SECRET),
        ("SWITCHBOARD_AUTH__API_KEYS", keys.as_str()),
        ("REDIS_URL", url.as_str()),
        ("LOG_LEVEL", "trace"),
    ];
    let program = Program::start(&[], &variables);
    let (address, _) = program.addresses().await;
    let (good, bad) = (token(&json!({"sub": "ann"})), signed_with("guessed", &json!({"sub": "eve"})));
    let mut client = Client::open(address).await;
    client.connect(&good).await;
    let mut eve = Client::open(address).await;
    eve.send(&json!({"id": 1, "connect": {"token": bad}}).to_string()).await;
    assert_eq!(eve.end().await, 3500);
    for sent in [key, "a-key-that-was-guessed"] {
        let header = format!("X-API-Key: {sent}\r\n");
        request(address, "POST", "/api/info", &header, b"{}").await;
    }
    drop((client, eve));
    program.signal(Signal::TERM);
    let (status, log) = program.end().await;
    assert_eq!(status.code(), Some(0));
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "there is much to look at: {log}");
    for secret in [SECRET, key, password, good.as_str(), bad.as_str(), "a-key-that-was-guessed"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }

    let output = run(&["check"], &variables).await;
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    for secret in [SECRET, key, password] {
        assert!(!said.contains(secret), "{secret} in {said}");
    }
}

#[tokio::test]
async fn an_error_names_the_setting_and_not_the_secret() {
    let variables = [
        ("SWITCHBOARD_AUTH__API_KEYS", "[\"a secret with spaces\"]"),
        ("SWITCHBOARD_AUTH__JWT__HMAC_SECRET", ""),
        ("REDIS_URL", "redis://:a-bad-password@host:notaport/0"),
    ];
    for variable in variables {
        let output = run(&["check"], &[variable]).await;
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        for secret in ["a secret with spaces", "a-bad-password"] {
            assert!(!said.contains(secret), "{secret} in {said}");
        }
    }
}
