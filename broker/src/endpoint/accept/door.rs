//! What a connection passes before HTTP is spoken on it: the count, the proxy's header, TLS.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::{
    Admission, Handshake, Peer,
    proxy::{self, Header, Start},
    tls::Tls,
};
use crate::{
    config::{Client, Network, Problem},
    metrics::{Metrics, Rejection},
};

/// How long a connection may take for the proxy's header and TLS together.
const WITHIN: Duration = Duration::from_secs(10);

/// What is looked at with one call: more than any header that has no fields of the proxy's own.
const LOOK_SIZE: usize = 256;

/// The way in for clients.
pub struct Door {
    /// Where proxies connect from that say for whom they do.
    trusted: Vec<Network>,
    tls: Option<Arc<Tls>>,
    admission: Arc<Admission>,
    metrics: Arc<Metrics>,
}

/// A connection on which HTTP can be spoken.
pub(super) enum Opened {
    Plain(TcpStream),
    /// Much larger, so it has a place of its own.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Why a connection does not get through.
enum Failed {
    Refused(Rejection),
    /// It went by itself.
    Gone,
}

impl From<Rejection> for Failed {
    fn from(reason: Rejection) -> Self {
        Self::Refused(reason)
    }
}

impl Door {
    /// A door with these settings.
    ///
    /// # Errors
    /// The setting of a certificate that is of no use.
    pub fn new(settings: &Client, admission: Arc<Admission>, metrics: Arc<Metrics>) -> Result<Self, Problem> {
        let tls = settings.tls.clone().map(|tls| Tls::new(tls, metrics.clone())).transpose()?;
        let proxies = &settings.proxy_protocol;
        let trusted = if proxies.enabled { proxies.trusted.clone() } else { Vec::new() };
        Ok(Self { trusted, tls: tls.map(Arc::new), admission, metrics })
    }

    /// What has to be done as long as connections are taken.
    pub(super) async fn keep(&self, stop: CancellationToken) {
        if let Some(tls) = &self.tls {
            tls.clone().watch(stop).await;
        }
    }

    /// Somebody has come; nothing when there are too many in the doorway.
    pub(super) fn knock(&self) -> Option<Handshake> {
        self.admission.begin().map_err(|reason| self.refuse(reason)).ok()
    }

    /// Counts a connection that is refused.
    pub(super) fn refuse(&self, reason: Rejection) {
        self.metrics.rejected.inc(reason);
    }

    /// Lets a connection in, if all is as it must be, and finds out who it is.
    pub(super) async fn open(
        &self,
        stream: TcpStream,
        source: SocketAddr,
        handshake: &mut Handshake,
    ) -> Option<(Opened, Peer)> {
        let opened = timeout(WITHIN, self.try_open(stream, source, handshake)).await;
        match opened.unwrap_or(Err(Failed::Refused(Rejection::HandshakeTimeout))) {
            Ok(opened) => Some(opened),
            Err(Failed::Gone) => None,
            Err(Failed::Refused(reason)) => {
                self.refuse(reason);
                None
            }
        }
    }

    async fn try_open(
        &self,
        mut stream: TcpStream,
        source: SocketAddr,
        handshake: &mut Handshake,
    ) -> Result<(Opened, Peer), Failed> {
        let peer = Peer(self.client_of(&mut stream, source).await?);
        handshake.comes_from(peer.0.ip())?;
        let Some(tls) = &self.tls else { return Ok((Opened::Plain(stream), peer)) };
        match tls.accept(stream).await {
            Ok(stream) => Ok((Opened::Tls(Box::new(stream)), peer)),
            Err(error) if error.get_ref().is_some_and(|error| error.is::<rustls::Error>()) => {
                tracing::debug!(%error, peer = %peer.0, "TLS cannot be spoken with a client");
                Err(Rejection::Tls.into())
            }
            Err(_) => Err(Failed::Gone),
        }
    }

    /// The address of the client: the one that a proxy tells, where it is trusted, or the connection's own.
    async fn client_of(&self, stream: &mut TcpStream, source: SocketAddr) -> Result<SocketAddr, Failed> {
        if !self.trusted.iter().any(|network| network.contains(source.ip())) {
            return Ok(source);
        }
        let mut bytes = Vec::new();
        loop {
            let before = bytes.len();
            bytes.resize(before + LOOK_SIZE, 0);
            let there = stream.peek(&mut bytes[before..]).await.map_err(|_| Failed::Gone)?;
            if there == 0 {
                return Err(Failed::Gone);
            }
            bytes.truncate(before + there);
            let start = proxy::read(&bytes).map_err(|error| {
                tracing::debug!(%error, proxy = %source, "a trusted proxy does not say for whom it connects");
                Rejection::ProxyHeader
            })?;
            let end = match start {
                Start::Whole(_, length) => length,
                Start::Part => bytes.len(),
            };
            // Exactly the header is taken out: what follows is the client's, and is left where it is.
            stream.read_exact(&mut bytes[before..end]).await.map_err(|_| Failed::Gone)?;
            match start {
                Start::Whole(Header::Client(client), _) => return Ok(client),
                Start::Whole(Header::Itself, _) => return Ok(source),
                Start::Part => {}
            }
        }
    }
}
