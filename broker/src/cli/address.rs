//! Where a command finds the broker: a URL, and a connection to what it names.

use std::{fmt, sync::Arc, time::Duration};

use anyhow::{Context, anyhow, bail, ensure};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// How long connecting may take, TLS included.
const CONNECT: Duration = Duration::from_secs(10);

/// A connection to a broker, or to what stands in front of it.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// An `http` or `https` URL without a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    tls: bool,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
    /// What all paths start with: empty, or `/` and more without `/` at the end.
    prefix: String,
}

impl Address {
    /// Reads a URL. An error does not repeat it when a password may be in it.
    pub(super) fn parse(url: &str) -> anyhow::Result<Self> {
        let example = "write it like http://127.0.0.1:8000 or https://chat.example.com";
        ensure!(!url.contains('@'), "a URL with a user or password in it is not taken; {example}");
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let tls = match scheme {
            "http" => false,
            "https" => true,
            _ => bail!("{url:?} is not a URL that starts with http:// or https://; {example}"),
        };
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '\\');
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
            _ => (authority, Some(if tls { 443 } else { 80 })),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        match port {
            Some(port @ 1..) if !host.is_empty() && rest.chars().all(plain) => {
                Ok(Self { tls, host: host.into(), port, prefix: path.trim_end_matches('/').into() })
            }
            _ => bail!("{url:?} is not a URL of a host, a port and perhaps a path; {example}"),
        }
    }

    /// The path below this URL.
    pub(super) fn path(&self, path: &str) -> String {
        format!("{}/{}", self.prefix, path.trim_matches('/'))
    }

    /// The path below this URL, as people write it.
    pub(super) fn url(&self, path: &str) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority(), self.path(path))
    }

    /// The same for a WebSocket.
    pub(super) fn websocket(&self, path: &str) -> String {
        self.url(path).replacen("http", "ws", 1)
    }

    /// What stands in the header `Host`.
    pub(super) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.tls, self.port) {
            (false, 80) | (true, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    /// Connects; the error says which step failed, and what to look at.
    pub(super) async fn connect(&self) -> anyhow::Result<Box<dyn Stream>> {
        let stream = timeout(CONNECT, TcpStream::connect((self.host.as_str(), self.port))).await;
        let stream = match stream {
            Ok(stream) => stream.context("connecting failed"),
            Err(_) => Err(anyhow!("no connection within {CONNECT:?}")),
        };
        let stream = stream.map_err(|error| {
            let hint = "Name another one with --url or SWITCHBOARD_URL";
            anyhow!("{error:#}\nis a broker running at {self}? {hint}")
        })?;
        // Small messages are to leave at once.
        stream.set_nodelay(true).context("connecting failed")?;
        if !self.tls {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(self.host.clone()).context("TLS needs another name of the host")?;
        let secured = timeout(CONNECT, connector()?.connect(name, stream)).await;
        let secured = secured.map_err(|_| anyhow!("no TLS within {CONNECT:?}"))?;
        let stream = secured.map_err(|error| {
            anyhow!("TLS failed: {error}\ndoes it speak https, with a certificate for this name that the system trusts?")
        })?;
        Ok(Box::new(stream))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url("").trim_end_matches('/'))
    }
}

/// Trusts whom the system trusts.
fn connector() -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    ensure!(!roots.is_empty(), "the system has no trusted certificates for TLS: install ca-certificates");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("TLS cannot be used")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urls_become_what_is_asked() {
        for (url, authority, asked, socket) in [
            (
                "http://127.0.0.1:8000",
                "127.0.0.1:8000",
                "http://127.0.0.1:8000/api/info",
                "ws://127.0.0.1:8000/s",
            ),
            ("http://a/", "a", "http://a/api/info", "ws://a/s"),
            ("https://a:443/chat/", "a", "https://a/chat/api/info", "wss://a/chat/s"),
            ("https://[::1]:8443", "[::1]:8443", "https://[::1]:8443/api/info", "wss://[::1]:8443/s"),
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!(address.authority(), authority);
            assert_eq!(address.url("/api/info"), asked);
            assert_eq!(address.websocket("s"), socket);
        }
    }

    #[test]
    fn other_urls_are_refused_and_a_password_is_not_repeated() {
        for bad in [
            "",
            "a:1",
            "ws://a",
            "http://",
            "http://:1",
            "http://a:0",
            "http://a:x",
            "http://a/?b",
            "http://a b",
        ] {
            let error = Address::parse(bad).unwrap_err().to_string();
            assert!(error.contains("write it like http://127.0.0.1:8000"), "{bad}: {error}");
        }
        let error = Address::parse("http://ann:hunter2@a").unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    proptest! {
        #[test]
        fn no_url_panics(url: String) {
            let _ = Address::parse(&url);
        }
    }
}
