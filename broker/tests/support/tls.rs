//! Certificates of the tests' own, and clients that trust them.

use std::{net::SocketAddr, path::Path, sync::Arc};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream, server};

use super::within;

/// Where every broker of the tests is.
const HOST: &str = "127.0.0.1";

/// A certificate for the address of every broker of the tests.
pub(crate) struct Certificate {
    pub(crate) der: CertificateDer<'static>,
    pem: String,
    key: String,
}

impl Certificate {
    /// One that nobody has seen before.
    pub(crate) fn new() -> Self {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed([HOST.to_owned()]).unwrap();
        Self { der: cert.der().clone(), pem: cert.pem(), key: signing_key.serialize_pem() }
    }

    /// Writes it and its key into the folder.
    pub(crate) fn write(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("tls.crt"), &self.pem).unwrap();
        std::fs::write(folder.join("tls.key"), &self.key).unwrap();
    }
}

impl Certificate {
    /// A server's end of TLS on this stream.
    pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> server::TlsStream<S> {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.der.clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap()
    }
}

/// The settings of a broker with the certificate in this folder, to be put into `client`.
pub(crate) fn settings(folder: &Path) -> String {
    let folder = folder.display();
    format!("tls: {{cert_file: {folder}/tls.crt, key_file: {folder}/tls.key}}")
}

/// How a client speaks TLS.
#[derive(Clone)]
pub(crate) struct Speaks {
    pub(crate) versions: Vec<&'static SupportedProtocolVersion>,
    pub(crate) protocols: &'static [&'static [u8]],
}

impl Default for Speaks {
    fn default() -> Self {
        Self { versions: vec![&TLS13, &TLS12], protocols: &[b"h2", b"http/1.1"] }
    }
}

/// Speaks TLS on a connection with a broker that shows this certificate.
pub(crate) async fn speak<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    certificate: &Certificate,
    speaks: Speaks,
) -> std::io::Result<TlsStream<S>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&speaks.versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = speaks.protocols.iter().map(|protocol| protocol.to_vec()).collect();
    // Who goes on with an earlier conversation is shown no certificate.
    config.resumption = Resumption::disabled();
    let name = ServerName::try_from(HOST).unwrap();
    within("a handshake of TLS", TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

/// A connection of TLS with a broker that shows this certificate.
pub(crate) async fn connect(
    address: SocketAddr,
    certificate: &Certificate,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = within("connecting", TcpStream::connect(address)).await.unwrap();
    speak(stream, certificate, Speaks::default()).await
}
