//! The one place that knows how a connection to Redis comes about: address, TLS, authentication.
//!
//! It gives two kinds of connections. A [`Wire`] is the bare stream, for the two connections that messages
//! cross; [`Server::commands`] is the client library's connection on top of such a stream, for everything else.

use std::{sync::Arc, time::Duration};

use futures_util::future::{BoxFuture, FutureExt};
use redis::{AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo, aio::MultiplexedConnection};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::{
    resp::{self, Frame, Malformed},
    wire::{Io, Wire},
};
use crate::{backplane::ANSWER_WITHIN, config};

/// How long one connection may take to be made, authentication included.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// Why there is no connection, in words for the log. Never holds a secret.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(super) struct Failure(pub(super) String);

impl Failure {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Self {
        Self(malformed.to_string())
    }
}

/// A Redis server and how to log in.
pub(super) struct Server {
    host: String,
    port: u16,
    database: i64,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    username: Option<String>,
    password: Option<String>,
}

impl Server {
    pub(super) fn new(config: &config::Redis, roots: Option<&RootCertStore>) -> Result<Self, Failure> {
        let location = Location::parse(config.url.expose())
            .ok_or_else(|| Failure(format!("redis.url {} cannot be read", config.url)))?;
        let tls = match location.tls {
            false => None,
            true => {
                let roots = roots.cloned().map_or_else(system_roots, Ok)?;
                let name = ServerName::try_from(location.host.clone())
                    .map_err(|_| Failure(format!("redis.url: {:?} is no name for TLS", location.host)))?;
                Some((connector(roots)?, name))
            }
        };
        Ok(Self {
            host: location.host,
            port: location.port,
            database: location.database,
            tls,
            username: config.username.clone().or(location.username),
            password: config
                .password
                .as_ref()
                .map(|password| password.expose().to_owned())
                .or(location.password),
        })
    }

    /// The host and port, for people.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    async fn stream(&self) -> Result<Box<dyn Io>, Failure> {
        let unreachable = |error: std::io::Error| Failure(format!("cannot connect: {error}"));
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await;
                Ok(Box::new(stream.map_err(|error| Failure(format!("TLS failed: {error}")))?))
            }
        }
    }

    /// Opens a bare connection, logged in, that the server shows under the name.
    pub(super) async fn wire(&self, name: &str) -> Result<Wire, Failure> {
        timeout(CONNECT_WITHIN, async {
            let mut wire = Wire::new(self.stream().await?);
            let mut hello: Vec<&[u8]> = vec![b"HELLO", b"3"];
            if let Some(password) = &self.password {
                let user = self.username.as_deref().unwrap_or("default");
                hello.extend([b"AUTH", user.as_bytes(), password.as_bytes()]);
            }
            hello.extend([b"SETNAME", name.as_bytes()]);
            let mut out = Vec::new();
            resp::write_command(&hello, &mut out);
            wire.write(&out).await?;
            let mut answer = None;
            while answer.is_none() {
                wire.read().await?;
                wire.drain(|frame| {
                    answer = Some(match frame {
                        Frame::Error(error) => Err(refusal(error)),
                        _ => Ok(()),
                    });
                    Ok(())
                })?;
            }
            answer.unwrap_or(Ok(())).map(|()| wire)
        })
        .await
        .unwrap_or_else(|_| Err(Failure::new("no answer while connecting")))
    }

    /// Opens a connection for commands, and the future that drives it and ends with it.
    pub(super) async fn commands(&self) -> Result<(MultiplexedConnection, BoxFuture<'static, ()>), Failure> {
        let mut login =
            RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_db(self.database);
        if let Some(username) = &self.username {
            login = login.set_username(username);
        }
        if let Some(password) = &self.password {
            login = login.set_password(password);
        }
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER_WITHIN));
        timeout(CONNECT_WITHIN, async {
            let stream = self.stream().await?;
            let (connection, driver) = MultiplexedConnection::new_with_config(&login, stream, config)
                .await
                .map_err(|error| Failure(format!("cannot log in: {error}")))?;
            Ok((connection, driver.boxed()))
        })
        .await
        .unwrap_or_else(|_| Err(Failure::new("no answer while connecting")))
    }
}

/// Says what to do about a refused login. The server's own words are not repeated where they could hold what
/// was sent to it.
fn refusal(error: &[u8]) -> Failure {
    let error = String::from_utf8_lossy(error);
    match error.split(' ').next().unwrap_or_default() {
        "WRONGPASS" => {
            Failure::new("Redis refused the user or password: check redis.username and redis.password")
        }
        "NOAUTH" => Failure::new("Redis asks for a password: set redis.password or redis.password_file"),
        "NOPROTO" => Failure::new("Redis does not speak RESP3: version 6.0 or later is needed"),
        "ERR" if error.contains("unknown command") => {
            Failure::new("Redis does not know HELLO: version 6.0 or later is needed")
        }
        "ERR" => Failure::new("Redis refused to be greeted with HELLO"),
        _ => Failure(format!("Redis refused the connection: {error}")),
    }
}

fn system_roots() -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(Failure::new("the system has no trusted certificates for TLS: install ca-certificates"));
    }
    Ok(roots)
}

fn connector(roots: RootCertStore) -> Result<TlsConnector, Failure> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure(format!("TLS cannot be used: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The parts of a URL.
#[derive(Debug, PartialEq, Eq)]
struct Location {
    tls: bool,
    username: Option<String>,
    password: Option<String>,
    host: String,
    port: u16,
    database: i64,
}

impl Location {
    /// Reads a URL that the configuration has checked. The user part ends at the last `@`, for a password may
    /// hold any character, percent-encoded or not.
    fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (login, server) =
            rest.rsplit_once('@').map_or((None, rest), |(login, server)| (Some(login), server));
        let (username, password) = match login {
            None => (None, None),
            Some(login) => {
                let (user, password) = login.split_once(':').unwrap_or((login, ""));
                let some = |text: &str| (!text.is_empty()).then(|| percent_decoded(text));
                (some(user), some(password))
            }
        };
        let (authority, database) = server.split_once('/').unwrap_or((server, ""));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (authority, 6379),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Some(Self {
            tls: scheme == "rediss",
            username,
            password,
            host: host.to_owned(),
            port,
            database: if database.is_empty() { 0 } else { database.parse().ok()? },
        })
    }
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(url: &str) -> Location {
        Location::parse(url).unwrap()
    }

    #[test]
    fn urls_are_taken_apart() {
        let plain = location("redis://localhost");
        assert_eq!(
            (plain.host.as_str(), plain.port, plain.database, plain.tls),
            ("localhost", 6379, 0, false)
        );
        assert_eq!((plain.username, plain.password), (None, None));
        let full = location("rediss://user:p%40ss@redis.example.com:6380/3");
        assert_eq!(
            (full.host.as_str(), full.port, full.database, full.tls),
            ("redis.example.com", 6380, 3, true)
        );
        assert_eq!((full.username.as_deref(), full.password.as_deref()), (Some("user"), Some("p@ss")));
        let odd = location("redis://:p@ss/w:rd%@[::1]:7000/");
        assert_eq!((odd.host.as_str(), odd.port), ("::1", 7000));
        assert_eq!((odd.username, odd.password.as_deref()), (None, Some("p@ss/w:rd%")));
    }

    #[test]
    fn a_refusal_never_repeats_what_was_sent() {
        let old = b"ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `default`, `hunter2`";
        assert!(!refusal(old).to_string().contains("hunter2"));
        assert!(refusal(b"ERR something hunter2").to_string().find("hunter2").is_none());
        assert!(refusal(b"WRONGPASS invalid username-password pair").to_string().contains("redis.password"));
        assert!(refusal(b"LOADING Redis is loading").to_string().contains("LOADING"));
    }
}
