//! Receivers behind `https://`.

use std::{net::SocketAddr, path::Path, process::Command, sync::Arc};

use axum::serve::Listener;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Answer, Receiver, attempts, broker_at, rpc};

/// Accepts connections with TLS.
struct Secured {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Secured {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A receiver with a certificate of its own, which is written to `cert.pem`.
async fn secured(directory: &Path) -> Receiver {
    let made = Command::new("openssl")
        .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split(' '))
        .args("-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1".split(' '))
        .args("-addext basicConstraints=critical,CA:FALSE -keyout key.pem -out cert.pem".split(' '))
        .current_dir(directory)
        .output()
        .expect("openssl is needed: apt-get install openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let certificate = CertificateDer::from_pem_file(directory.join("cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(directory.join("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Receiver::on(Secured { listener, acceptor: TlsAcceptor::from(Arc::new(config)) }, Answer::Echo)
}

#[tokio::test]
async fn a_receiver_is_called_over_tls_if_its_certificate_is_trusted() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = secured(directory.path()).await;
    let url = format!("https://{}/messages", receiver.address);
    let trusting = format!("ca_file: {}", directory.path().join("cert.pem").display());
    let broker = broker_at(&url, &trusting, "").await;
    assert_eq!(broker.connect().await.command(rpc(&json!(1))).await, json!({"rpc": {"data": 1}}));
    let other = broker_at(&url, "retries: 0", "").await;
    assert_eq!(other.connect().await.error(rpc(&json!(1))).await, 100);
    assert_eq!((attempts(&other, "unreachable").await, receiver.got().len()), (1, 1));
}

#[tokio::test]
async fn a_file_of_certificates_that_cannot_be_used_ends_the_start() {
    let text = "logic: {modules: [{name: hook, webhook: {url: \"https://h\", ca_file: /none.pem}}]}";
    let Err(error) = switchboard::Broker::start(crate::support::config(text)).await else {
        panic!("it has started");
    };
    let error = error.to_string();
    assert!(error.contains("\"hook\"") && error.contains("/none.pem"), "{error}");
}
