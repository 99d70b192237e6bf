//! Accepting TCP connections and speaking HTTP/1.1 on them: what all HTTP-born endpoints stand on.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, extract::Request};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;

/// How long a peer may take to send the head of a request.
const HEADER_WITHIN: Duration = Duration::from_secs(10);

/// How long a request that is under way may take when the server stops.
const FINISH_WITHIN: Duration = Duration::from_secs(1);

/// The largest head of a request, in bytes; also what a connection may buffer.
const HEADER_SIZE: usize = 16 * 1024;

/// Who is at the other end of a connection; an extension of every request.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Serves `router` until `stop` is cancelled; requests under way then have a moment to finish.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let connections = TaskTracker::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, peer)) => {
                let (router, stop) = (router.clone(), stop.clone());
                connections.spawn(async move { connection(stream, Peer(peer), router, stop).await });
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

async fn connection(stream: TcpStream, peer: Peer, router: Router, stop: CancellationToken) {
    // Frames are written whole, so waiting for more to send would only add latency.
    let _ = stream.set_nodelay(true);
    let service = tower::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.clone().call(request.map(axum::body::Body::new))
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_WITHIN)
        .max_buf_size(HEADER_SIZE)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = match stop.run_until_cancelled(connection.as_mut()).await {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(FINISH_WITHIN, connection).await {
                Ok(ended) => ended,
                // Dropped in the middle of a request that does not end.
                Err(_) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, peer = %peer.0, "an HTTP connection ended early");
    }
}
