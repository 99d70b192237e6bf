//! TLS on the port of clients, with a certificate that is read again when its files change.

use std::{fmt, io, sync::Arc, time::Duration};

use parking_lot::{Mutex, RwLock};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::now_ms,
    config::{self, Files, Pair, Problem, TlsVersion},
    metrics::Metrics,
};

/// How often the files are looked at. A mounted Secret changes as a whole, by a link that is turned to another
/// folder, which no watch of the files themselves would notice.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The protocol that is spoken inside (RFC 7301).
const HTTP: &[u8] = b"http/1.1";

/// TLS with the newest certificate that could be used.
pub(super) struct Tls {
    settings: config::Tls,
    acceptor: TlsAcceptor,
    served: Arc<Served>,
    seen: Mutex<Seen>,
    metrics: Arc<Metrics>,
}

/// What the last look found, so that each change is told once.
struct Seen {
    fingerprint: [u8; 32],
    is_of_use: bool,
}

/// The certificate that new connections are shown.
struct Served(RwLock<Arc<CertifiedKey>>);

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The library wants it, and what is in it is a secret.
        f.write_str("Served")
    }
}

impl ResolvesServerCert for Served {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().clone())
    }
}

impl Tls {
    /// Reads the certificate and its key.
    ///
    /// # Errors
    /// The setting whose file is of no use, and why.
    pub(super) fn new(settings: config::Tls, metrics: Arc<Metrics>) -> Result<Self, Problem> {
        let files = settings.read()?;
        let pair = files.pair(&settings)?;
        let served = Arc::new(Served(RwLock::new(pair.certified.clone())));
        let versions = match settings.min_version {
            TlsVersion::V1_2 => &[&TLS13, &TLS12][..],
            TlsVersion::V1_3 => &[&TLS13],
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .expect("the provider knows both versions")
            .with_no_client_auth()
            .with_cert_resolver(served.clone());
        config.alpn_protocols = vec![HTTP.to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let seen = Mutex::new(Seen { fingerprint: files.fingerprint(), is_of_use: true });
        let tls = Self { settings, acceptor, served, seen, metrics };
        tls.serve(&pair);
        Ok(tls)
    }

    /// Speaks TLS on a connection that has just begun.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }

    /// Looks at the files again and again until `stop` is cancelled.
    pub(super) async fn watch(self: Arc<Self>, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            let tls = self.clone();
            // A disk may take its time, or the network behind it.
            let looked = tokio::task::spawn_blocking(move || tls.look(tls.settings.read()));
            if let Err(error) = looked.await {
                tracing::error!(%error, "looking at the certificate failed");
            }
        }
    }

    /// Uses what the files hold now, if it is something else than before. What is of no use changes nothing; it is told
    /// once, and counted as long as it lasts.
    fn look(&self, files: Result<Files, Problem>) {
        let fingerprint = match &files {
            Ok(files) => files.fingerprint(),
            Err(problem) => Sha256::digest(problem.to_string()).into(),
        };
        let mut seen = self.seen.lock();
        if seen.fingerprint != fingerprint {
            let pair = files.and_then(|files| files.pair(&self.settings));
            *seen = Seen { fingerprint, is_of_use: pair.is_ok() };
            match pair {
                Ok(pair) => {
                    self.metrics.tls_reloads.inc();
                    self.serve(&pair);
                }
                Err(problem) => {
                    tracing::warn!(reason = %problem, "cannot use the changed certificate; the one from before stays");
                }
            }
        }
        if !seen.is_of_use {
            self.metrics.tls_reload_failures.inc();
        }
    }

    fn serve(&self, pair: &Pair) {
        *self.served.0.write() = pair.certified.clone();
        let end = pair.not_after.since_1970();
        self.metrics.tls_not_after.set(end.as_secs() as i64);
        let not_after = pair.not_after;
        if end <= Duration::from_millis(now_ms()) {
            tracing::warn!(%not_after, "serving a certificate that has expired: clients will refuse it");
        } else {
            tracing::info!(%not_after, "serving a certificate");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rcgen::{CertifiedKey, generate_simple_self_signed};

    use super::*;

    /// Writes a new pair into the folder, and gives the certificate as it is shown.
    fn write_pair(folder: &Path) -> Vec<u8> {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(folder.join("tls.crt"), cert.pem()).unwrap();
        std::fs::write(folder.join("tls.key"), signing_key.serialize_pem()).unwrap();
        cert.der().to_vec()
    }

    fn tls(folder: &Path) -> Tls {
        let settings = config::Tls {
            cert_file: folder.join("tls.crt"),
            key_file: folder.join("tls.key"),
            min_version: TlsVersion::default(),
        };
        Tls::new(settings, Arc::new(Metrics::new())).unwrap()
    }

    fn shown(tls: &Tls) -> Vec<u8> {
        tls.served.0.read().cert[0].to_vec()
    }

    fn counts(tls: &Tls) -> [u64; 2] {
        [tls.metrics.tls_reloads.get(), tls.metrics.tls_reload_failures.get()]
    }

    #[test]
    fn a_new_pair_is_shown_and_the_same_one_is_no_news() {
        let folder = tempfile::tempdir().unwrap();
        let first = write_pair(folder.path());
        let tls = tls(folder.path());
        tls.look(tls.settings.read());
        assert_eq!((shown(&tls), counts(&tls)), (first, [0, 0]));
        let second = write_pair(folder.path());
        for _ in 0..3 {
            tls.look(tls.settings.read());
            assert_eq!((shown(&tls), counts(&tls)), (second.clone(), [1, 0]));
        }
        assert!(tls.metrics.tls_not_after.get() > 0);
    }

    #[test]
    fn a_broken_pair_keeps_the_old_one_and_is_counted_as_long_as_it_lasts() {
        let folder = tempfile::tempdir().unwrap();
        let first = write_pair(folder.path());
        let tls = tls(folder.path());
        let key_file = folder.path().join("tls.key");
        let old_key = std::fs::read(&key_file).unwrap();
        write_pair(folder.path());
        let new_key = std::fs::read(&key_file).unwrap();
        let mut failures = 0;
        let mut look = |what: &str| {
            for _ in 0..2 {
                tls.look(tls.settings.read());
                failures += 1;
                assert_eq!((shown(&tls), counts(&tls)), (first.clone(), [0, failures]), "{what}");
            }
        };
        std::fs::write(&key_file, &old_key).unwrap();
        look("the key of another certificate");
        std::fs::write(&key_file, "rubbish").unwrap();
        look("no key");
        std::fs::remove_file(&key_file).unwrap();
        look("no file");
        std::fs::write(&key_file, &new_key).unwrap();
        for _ in 0..2 {
            tls.look(tls.settings.read());
            assert_ne!(shown(&tls), first, "and then it is whole");
            assert_eq!(counts(&tls), [1, 6]);
        }
    }
}
