//! Where settings come from, and what is said about bad ones.

use serde_json::Value;

use crate::support::{
    Client,
    program::{Program, run},
    request,
};

#[tokio::test]
async fn without_any_setting_it_is_ready_and_says_that_it_is_alone() {
    let program = Program::start(&[], &[]);
    let (client, admin) = program.addresses().await;
    assert_eq!(request(admin, "GET", "/readyz", "", b"").await.status, 200);
    assert_eq!(request(client, "GET", "/connection/websocket", "", b"").await.status, 426);
    let log = program.log();
    assert!(log.contains("a single instance on the memory backplane"), "{log}");
    assert!(log.contains("nobody can connect"), "it warns of what is probably not meant: {log}");
}

/// A file with this configuration, and its name.
fn file(yaml: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("broker.yaml");
    std::fs::write(&path, yaml).unwrap();
    let name = path.to_str().unwrap().to_owned();
    (directory, name)
}

#[tokio::test]
async fn a_bad_file_ends_it_with_code_2_and_the_exact_place() {
    let cases = [
        ("auth:\n  anonymus: true\n", ":2:3: unknown key \"anonymus\" in auth; did you mean \"anonymous\"?"),
        ("\nclient:\n  address: 0.0.0.0:80000\n", ":3:12: client.address: \"80000\" is not a port"),
        ("limits: {message_size: 64KB}\n", ":1:24: limits.message_size: \"64KB\" is not a size"),
        ("a: [\n", ": not valid YAML"),
        ("auth: {jwt: {hmac_secret_file: /nowhere/secret}}\n", "/nowhere/secret"),
        ("redis: {url: \"http://a\"}\n", ":1:14: redis.url: \"http\" is not a scheme of Redis"),
    ];
    for (yaml, says) in cases {
        let (_directory, name) = file(yaml);
        for command in ["run", "check"] {
            let output = run(&[command, "--config", &name], &[]).await;
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{command} {yaml}: {error}");
            assert!(error.contains(says), "{command} {yaml}: {error}");
            assert!(output.stdout.is_empty(), "{yaml}");
        }
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_named() {
    let output = run(&["run", "--config", "/nowhere/broker.yaml"], &[]).await;
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.starts_with("/nowhere/broker.yaml: cannot read the file: "), "{error}");
    let directory = tempfile::tempdir().unwrap();
    let output = run(&["run", "--config", directory.path().to_str().unwrap()], &[]).await;
    assert_eq!(output.status.code(), Some(2));
}

#[tokio::test]
async fn all_that_is_wrong_is_said_at_once() {
    let (_directory, name) = file("limits: {message_size: 0, channel_length: 0}\nlog: {level: loud}\n");
    let variables = [("SWITCHBOARD_ENDPOINTS__HTTP__PATH", "api")];
    let output = run(&["check", "--config", &name], &variables).await;
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    for place in [
        ":1:24: limits.message_size",
        ":1:43: limits.channel_length",
        ":2:14: log.level",
        "SWITCHBOARD_ENDPOINTS__HTTP__PATH: endpoints.http.path",
    ] {
        assert!(error.contains(place), "{place} in {error}");
    }
}

#[tokio::test]
async fn bad_variables_are_named() {
    for (name, value) in [
        ("SWITCHBOARD_AUTH__ANONYMUS", "true"),
        ("SWITCHBOARD_AUHT__ANONYMOUS", "true"),
        ("SWITCHBOARD_CLIENT__ADDRESS", "0.0.0.0:port"),
        ("SWITCHBOARD_DRAIN__GRACE", "25"),
        ("WS_PORT", "http"),
        ("LOG_LEVEL", "loud"),
    ] {
        let output = run(&["run"], &[(name, value)]).await;
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}: {error}");
        assert!(error.contains(name), "{error}");
    }
}

#[tokio::test]
async fn variables_win_over_the_file() {
    let (_directory, name) = file("instance: {id: from-the-file}\nauth: {anonymous: false}\n");
    let variables = [
        ("SWITCHBOARD_INSTANCE__ID", "from-the-environment"),
        ("SWITCHBOARD_AUTH__ANONYMOUS", "true"),
        ("SWITCHBOARD_LOG__FORMAT", "json"),
        ("SWITCHBOARD_ENDPOINTS__WEBSOCKET__PING_INTERVAL", "7s"),
        ("SWITCHBOARD_ENDPOINTS__WEBSOCKET__PONG_TIMEOUT", "2s"),
        ("LOG_LEVEL", "debug"),
    ];
    let program = Program::start(&["--config", &name], &variables);
    let (client, admin) = program.addresses().await;
    let health = request(admin, "GET", "/healthz", "", b"").await.json();
    assert_eq!(health["instance"], "from-the-environment");
    let connected = Client::open(client).await.connect("").await;
    assert_eq!(connected["ping"], 7);
    assert_eq!(connected["node"], "from-the-environment");
    for line in program.log().lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["level"].is_string(), "{line}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_with_its_setting() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (variable, key) in
        [("SWITCHBOARD_CLIENT__ADDRESS", "client.address"), ("SWITCHBOARD_ADMIN__ADDRESS", "admin.address")]
    {
        let (status, log) = Program::start(&[], &[(variable, &address)]).end().await;
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(log.contains(&format!("cannot listen on {key} {address}")), "{log}");
        assert!(log.to_lowercase().contains("address already in use"), "{log}");
    }
}

#[tokio::test]
async fn arguments_it_does_not_know_are_refused() {
    for arguments in [&[][..], &["walk"], &["run", "--port", "1"], &["run", "--config"]] {
        assert_eq!(run(arguments, &[]).await.status.code(), Some(2), "{arguments:?}");
    }
    let output = run(&["--version"], &[]).await;
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        concat!("broker ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[tokio::test]
async fn a_redis_that_is_required_and_absent_ends_it() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("redis://{nobody}/0");
    let variables = [("REDIS_URL", url.as_str()), ("SWITCHBOARD_REDIS__REQUIRED", "true")];
    let (status, log) = Program::start(&[], &variables).end().await;
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains(&nobody.to_string()), "{log}");

    let program = Program::start(&[], &[("REDIS_URL", &url)]);
    let (_, admin) = program.addresses().await;
    assert_eq!(request(admin, "GET", "/readyz", "", b"").await.status, 200, "alone until Redis comes");
    let health = request(admin, "GET", "/healthz", "", b"").await.json();
    assert_eq!(health["status"], "degraded", "{health}");
    assert_eq!(health["redis"]["connected"], false, "{health}");
}
