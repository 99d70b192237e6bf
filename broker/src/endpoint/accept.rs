//! Accepting TCP connections and speaking HTTP/1.1 on them: what all HTTP-born endpoints stand on.

use std::{future::poll_fn, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, extract::Request};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;

use crate::metrics::Rejection;

mod admission;
mod beside;
mod door;
mod proxy;
mod tls;

#[cfg(any(test, switchboard_fuzz))]
pub(crate) use proxy::fuzz as fuzz_proxy;

pub use admission::{Admission, Handshake, Place};
pub use beside::Beside;
pub use door::Door;
use door::Opened;

/// How long a peer may take to send the head of a request.
const HEADER_WITHIN: Duration = Duration::from_secs(10);

/// How long a request that is under way may take when the server stops.
const FINISH_WITHIN: Duration = Duration::from_secs(1);

/// The largest head of a request, in bytes; also what a connection may buffer.
const HEADER_SIZE: usize = 16 * 1024;

/// Who is at the other end of a connection; an extension of every request. Behind a trusted proxy it is the client,
/// and not the proxy.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// A connection with TLS, as an upgrade hands it over.
pub type TlsStream = tokio_rustls::server::TlsStream<TcpStream>;

/// Serves `router` until `stop` is cancelled; requests under way then have a moment to finish. Without a door
/// everybody comes in as they are.
pub async fn serve(listener: TcpListener, router: Router, door: Option<Arc<Door>>, stop: CancellationToken) {
    let connections = TaskTracker::new();
    if let Some(door) = door.clone() {
        let stop = stop.clone();
        connections.spawn(async move { door.keep(stop).await });
    }
    // Frames are written whole, so waiting for more to send would only add latency. Connections have it of the listener.
    let _ = SockRef::from(&listener).set_tcp_nodelay(true);
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, source)) => {
                let (router, stop) = (router.clone(), stop.clone());
                match &door {
                    Some(door) => {
                        let Some(handshake) = door.knock() else { continue };
                        connections.spawn(enter(stream, source, door.clone(), handshake, router, stop));
                    }
                    None => {
                        connections.spawn(converse(
                            stream,
                            Peer(source),
                            None,
                            Beside::new(None),
                            router,
                            stop,
                        ));
                    }
                }
            }
            Err(error) => {
                // Out of file descriptors, most likely: waiting gives connections a chance to end.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    connections.close();
    connections.wait().await;
}

/// Serves a connection that comes in by the door.
async fn enter(
    stream: TcpStream,
    source: SocketAddr,
    door: Arc<Door>,
    mut handshake: Handshake,
    router: Router,
    stop: CancellationToken,
) {
    let opened = stop.run_until_cancelled(door.open(stream, source, &mut handshake)).await;
    let Some(Some((opened, peer))) = opened else { return };
    let beside = Beside::new(Some(handshake));
    match opened {
        Opened::Plain(stream) => converse(stream, peer, Some(door), beside, router, stop).await,
        // Boxed, so that connections without TLS need no room for it.
        Opened::Tls(stream) => {
            Box::pin(converse(*stream, peer, Some(door), beside, router, stop)).await;
        }
    }
}

/// Speaks HTTP on a connection until it ends, or is taken over.
async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    peer: Peer,
    door: Option<Arc<Door>>,
    beside: Beside,
    router: Router,
    stop: CancellationToken,
) {
    let service = service_fn(|mut request: Request<Incoming>| {
        beside.requested();
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(beside.clone());
        router.clone().call(request.map(axum::body::Body::new))
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_WITHIN)
        .max_buf_size(HEADER_SIZE)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let both = poll_fn(|cx| beside.poll_with(connection.as_mut(), cx));
    let ended = match stop.run_until_cancelled(both).await {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            let both = poll_fn(|cx| beside.poll_with(connection.as_mut(), cx));
            // What does not end in time is dropped in the middle of a request.
            tokio::time::timeout(FINISH_WITHIN, both).await.unwrap_or(None)
        }
    };
    let Some(Err(error)) = ended else { return };
    if let Some(door) = door.filter(|_| error.is_timeout() && beside.is_new()) {
        door.refuse(Rejection::HandshakeTimeout);
    }
    tracing::debug!(%error, peer = %peer.0, "an HTTP connection ended early");
}
