//! TLS: everything works as without, and certificates are exchanged while it does.

use std::{os::unix::fs::symlink, path::Path, time::Duration};

use rustls::version::{TLS12, TLS13};
use serde_json::json;
use switchboard::app::{Broker as App, BrokerError};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

use crate::support::{
    Broker, Client, KEY, Lab, OPEN, config, eventually,
    program::run,
    shake_hands,
    tls::{Certificate, Speaks, connect, settings, speak},
    within,
};

/// A broker that shows this certificate, and the folder that it has it from.
async fn broker_with(certificate: &Certificate) -> (Broker, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    certificate.write(folder.path());
    let yaml = format!("{OPEN}client: {{{}}}\n", settings(folder.path()));
    (Broker::start(&yaml).await, folder)
}

async fn open(
    broker: &Broker,
    certificate: &Certificate,
) -> Client<tokio_rustls::client::TlsStream<TcpStream>> {
    let stream = connect(broker.client_address, certificate).await.unwrap();
    shake_hands(stream, broker.client_address, "", b"").await.unwrap()
}

#[tokio::test]
async fn clients_and_the_server_api_speak_through_it() {
    let certificate = Certificate::new();
    let (broker, _folder) = broker_with(&certificate).await;
    let mut client = open(&broker, &certificate).await;
    client.connect("").await;
    client.subscribe("news").await;

    let mut api = connect(broker.client_address, &certificate).await.unwrap();
    assert_eq!(api.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let body = json!({"channel": "news", "data": {"n": 1}}).to_string();
    let request = format!(
        "POST /api/publish HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{KEY}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    api.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within("an answer", api.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("{\"result\":{}}"), "{answer}");
    assert_eq!(client.publication("news").await, json!({"n": 1}));

    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(broker.metric("tls_not_after_seconds", &[]).await > now);
}

#[tokio::test(start_paused = true)]
async fn what_a_slow_reader_was_sent_arrives_to_the_last_byte_and_at_once() {
    let lab = Lab::start(OPEN).await;
    // Much less than what TLS keeps encrypted while the socket takes nothing.
    let (here, there) = tokio::io::duplex(4096);
    let certificate = Certificate::new();
    let (here, there) = tokio::join!(speak(here, &certificate, Speaks::default()), certificate.accept(there));
    let (mut slow, _served) = (Client::on(here.unwrap(), Vec::new()), lab.serve(there));
    slow.connect("").await;
    slow.subscribe("large").await;
    let (mut publisher, _) = lab.open(1 << 20);
    publisher.connect("").await;
    publisher.subscribe("large").await;
    for size in [10_000, 30_000, 60_000] {
        let begun = Instant::now();
        publisher.publish("large", json!("x".repeat(size))).await;
        assert_eq!(slow.publication("large").await.as_str().unwrap().len(), size);
        assert_eq!(begun.elapsed(), Duration::ZERO, "and not only with the next ping");
    }
}

#[tokio::test]
async fn a_drain_tells_clients_to_come_back() {
    let certificate = Certificate::new();
    let (broker, _folder) = broker_with(&certificate).await;
    let mut client = open(&broker, &certificate).await;
    client.connect("").await;
    let drain = tokio::spawn(broker.drain());
    assert_eq!(client.end().await, 3001);
    drop(client);
    let drained = within("the end of the drain", drain).await.unwrap();
    assert_eq!((drained.closed, drained.left), (1, 0));
}

/// Mounts a certificate as Kubernetes does: the files are links into a folder that is itself a link, which is turned.
fn mount(folder: &Path, version: &str, certificate: &Certificate) {
    certificate.write(&folder.join(version));
    let (new, current) = (folder.join("..data_tmp"), folder.join("..data"));
    symlink(version, &new).unwrap();
    std::fs::rename(&new, &current).unwrap();
    for file in ["tls.crt", "tls.key"] {
        if !folder.join(file).exists() {
            symlink(format!("..data/{file}"), folder.join(file)).unwrap();
        }
    }
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections_and_the_old_ones_live_on() {
    let [first, second] = [Certificate::new(), Certificate::new()];
    let folder = tempfile::tempdir().unwrap();
    mount(folder.path(), "1", &first);
    let broker = Broker::start(&format!("{OPEN}client: {{{}}}\n", settings(folder.path()))).await;
    let mut old = open(&broker, &first).await;
    old.connect("").await;

    mount(folder.path(), "2", &second);
    eventually("the new certificate is shown", async || {
        connect(broker.client_address, &second).await.is_ok()
    })
    .await;
    assert!(connect(broker.client_address, &first).await.is_err(), "nobody is shown the old one");
    assert_eq!(broker.metric("tls_reloads_total", &[]).await, 1);
    assert!(old.unasked().await.is_empty(), "it is still there");

    // A pair that does not belong together changes nothing, and is told.
    first.write(&folder.path().join("3"));
    std::fs::copy(folder.path().join("2/tls.key"), folder.path().join("3/tls.key")).unwrap();
    symlink("3", folder.path().join("..data_tmp")).unwrap();
    std::fs::rename(folder.path().join("..data_tmp"), folder.path().join("..data")).unwrap();
    eventually("the broken pair is seen", async || broker.metric("tls_reload_failures_total", &[]).await > 0)
        .await;
    open(&broker, &second).await.connect("").await;
    assert!(old.unasked().await.is_empty(), "it is still there");
}

#[tokio::test]
async fn the_oldest_version_is_a_setting() {
    let certificate = Certificate::new();
    let folder = tempfile::tempdir().unwrap();
    certificate.write(folder.path());
    for (min_version, accepts_old) in [("\"1.2\"", true), ("\"1.3\"", false)] {
        let settings = settings(folder.path()).replace('}', &format!(", min_version: {min_version}}}"));
        let broker = Broker::start(&format!("{OPEN}client: {{{settings}}}\n")).await;
        for (version, accepted) in [(&TLS13, true), (&TLS12, accepts_old)] {
            let stream = TcpStream::connect(broker.client_address).await.unwrap();
            let outcome =
                speak(stream, &certificate, Speaks { versions: vec![version], ..Speaks::default() }).await;
            assert_eq!(outcome.is_ok(), accepted, "{min_version}: {version:?}");
        }
        eventually("it is counted", async || broker.rejected("tls").await == u64::from(!accepts_old)).await;
    }
}

#[tokio::test]
async fn who_does_not_speak_it_is_refused_and_counted() {
    let certificate = Certificate::new();
    let (broker, _folder) = broker_with(&certificate).await;
    let mut plain = TcpStream::connect(broker.client_address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    let _ = within("the end of the connection", plain.read_to_end(&mut rest)).await;
    assert!(!rest.starts_with(b"HTTP"));
    eventually("it is counted", async || broker.rejected("tls").await == 1).await;

    let stream = TcpStream::connect(broker.client_address).await.unwrap();
    let speaks = Speaks { protocols: &[b"h2"], ..Speaks::default() };
    assert!(speak(stream, &certificate, speaks).await.is_err(), "HTTP/2 is not spoken");
    eventually("it is counted", async || broker.rejected("tls").await == 2).await;

    // Who only looks whether somebody is there has done nothing wrong.
    drop(TcpStream::connect(broker.client_address).await.unwrap());
    open(&broker, &certificate).await.connect("").await;
    assert_eq!(broker.rejected("tls").await, 2);
}

#[tokio::test]
async fn a_certificate_that_is_of_no_use_keeps_a_broker_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    Certificate::new().write(folder.path());
    std::fs::write(folder.path().join("tls.crt"), "no certificate").unwrap();
    let yaml = format!("{OPEN}client: {{{}}}\n", settings(folder.path()));
    let error = App::start(config(&yaml)).await.err().expect("it does not start");
    assert!(matches!(error, BrokerError::Tls(_)), "{error}");
    let error = error.to_string();
    assert!(error.starts_with("cannot serve TLS: client.tls.cert_file: "), "{error}");
}

#[tokio::test]
async fn a_check_names_the_setting_and_the_file() {
    let folder = tempfile::tempdir().unwrap();
    Certificate::new().write(folder.path());
    let [cert, key] = ["tls.crt", "tls.key"].map(|file| folder.path().join(file).display().to_string());
    let variables = [
        ("SWITCHBOARD_CLIENT__TLS__CERT_FILE", cert.as_str()),
        ("SWITCHBOARD_CLIENT__TLS__KEY_FILE", key.as_str()),
    ];
    let output = run(&["check"], &variables).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("0.0.0.0:8000 with TLS, "), "{output:?}");

    let other = tempfile::tempdir().unwrap();
    Certificate::new().write(other.path());
    std::fs::copy(other.path().join("tls.key"), &key).unwrap();
    let output = run(&["check"], &variables).await;
    assert_eq!(output.status.code(), Some(2));
    let expected =
        format!("client.tls.key_file: the key in {key} does not belong to the first certificate in {cert}\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
}
