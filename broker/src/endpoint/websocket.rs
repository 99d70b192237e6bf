//! The Centrifuge client protocol in JSON over WebSocket.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::future::BoxFuture;
use hyper::upgrade::{OnUpgrade, Parts, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::Semaphore,
};
use tokio_util::task::TaskTracker;
use tungstenite::handshake::derive_accept_key;

use super::{
    EndpointKind, Gateway, Phase,
    accept::{Admission, Peer, Place, TlsStream},
    origin,
};
use crate::{
    codec::{Encoder, centrifuge::JsonOverWebSocket},
    metrics::{EndpointMetrics, Rejection},
};

pub mod connection;
pub mod session;

use connection::Connection;

/// Questions of all clients to the backplane that may be under way together.
const QUESTIONS: usize = 1024;

/// What every connection of the endpoint shares.
pub struct Endpoint {
    gateway: Arc<Gateway>,
    encoder: Arc<dyn Encoder>,
    settings: Settings,
    connections: TaskTracker,
    admission: Arc<Admission>,
    /// How many more questions to the backplane may be under way.
    questions: Arc<Semaphore>,
    metrics: EndpointMetrics,
}

/// How connections are kept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Time between two pings of the server.
    pub ping_interval: Duration,
    /// Time that a client has to answer one.
    pub pong_timeout: Duration,
    /// The largest message of a client, in bytes.
    pub message_size: usize,
    /// Unsent bytes of one client before it is closed as too slow.
    pub outbox_size: usize,
    /// Origins that browsers may come from; empty is the host itself only.
    pub allowed_origins: Vec<String>,
}

impl Endpoint {
    /// An endpoint whose clients take their places from `admission`, and whose connections are counted by
    /// `connections`, so that a drain can wait for them.
    pub fn new(
        gateway: Arc<Gateway>,
        settings: Settings,
        admission: Arc<Admission>,
        connections: TaskTracker,
    ) -> Self {
        let metrics = gateway.hub.metrics.endpoint(EndpointKind::WebSocket.as_str());
        let questions = Arc::new(Semaphore::new(QUESTIONS));
        let encoder = Arc::new(JsonOverWebSocket);
        Self { gateway, encoder, settings, connections, admission, questions, metrics }
    }

    /// The route of the endpoint.
    pub fn router(self, path: &str) -> Router {
        Router::new().route(path, get(upgrade)).with_state(Arc::new(self))
    }
}

async fn upgrade(
    State(endpoint): State<Arc<Endpoint>>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
) -> Response {
    let (accept, place) = match check(&endpoint, request.headers(), peer) {
        Ok(checked) => checked,
        Err(refusal) => return refusal.into_response(),
    };
    let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        return (StatusCode::UPGRADE_REQUIRED, "the connection cannot be upgraded\n").into_response();
    };
    let connections = endpoint.connections.clone();
    connections.spawn(async move {
        let _place = place;
        let Ok(upgraded) = upgrade.await else { return };
        // This is the socket itself: reading and writing it needs no buffer between.
        match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(parts) => take_over(parts, endpoint).await,
            Err(upgraded) => serve_other(upgraded, endpoint).await,
        }
    });
    let headers = [
        (header::CONNECTION, HeaderValue::from_static("upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// A connection on the stream that an upgrade has handed over.
fn take_over<S: AsyncRead + AsyncWrite + Unpin>(
    parts: Parts<TokioIo<S>>,
    endpoint: Arc<Endpoint>,
) -> Connection<S> {
    // The buffer of the handshake would otherwise be kept as long as the connection.
    Connection::new(parts.io.into_inner(), &parts.read_buf, endpoint)
}

/// Serves a connection that is more than a socket. It is boxed, so that a socket needs no room for it.
fn serve_other(upgraded: Upgraded, endpoint: Arc<Endpoint>) -> BoxFuture<'static, ()> {
    match upgraded.downcast::<TokioIo<TlsStream>>() {
        Ok(parts) => Box::pin(take_over(parts, endpoint)),
        Err(upgraded) => Box::pin(Connection::new(TokioIo::new(upgraded), &[], endpoint)),
    }
}

/// Checks the handshake (RFC 6455 §4.2.1) and gives the value that accepts it, and the client's place.
fn check(
    endpoint: &Endpoint,
    headers: &HeaderMap,
    peer: Peer,
) -> Result<(HeaderValue, Place), (StatusCode, &'static str)> {
    let has = |name, token: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(token))
    };
    if !has(header::UPGRADE, "websocket") || !has(header::CONNECTION, "upgrade") {
        return Err((
            StatusCode::UPGRADE_REQUIRED,
            "this is a WebSocket endpoint: connect with a WebSocket client\n",
        ));
    }
    if !has(header::SEC_WEBSOCKET_VERSION, "13") {
        return Err((StatusCode::BAD_REQUEST, "the WebSocket version must be 13\n"));
    }
    let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY) else {
        return Err((StatusCode::BAD_REQUEST, "the header Sec-WebSocket-Key is missing\n"));
    };
    if !origin::is_allowed(headers, &endpoint.settings.allowed_origins) {
        endpoint.gateway.hub.metrics.rejected.inc(Rejection::Origin);
        return Err((StatusCode::FORBIDDEN, "this origin is not allowed: see client.allowed_origins\n"));
    }
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()))
        .map_err(|_| (StatusCode::BAD_REQUEST, "the header Sec-WebSocket-Key is broken\n"))?;
    let place = match endpoint.gateway.phase() {
        Phase::Open => endpoint.admission.connect(peer.0.ip()),
        Phase::Starting | Phase::Draining => Err(Rejection::Draining),
    };
    let place = place.map_err(|reason| {
        endpoint.gateway.hub.metrics.rejected.inc(reason);
        match reason {
            Rejection::AddressLimit => {
                (StatusCode::TOO_MANY_REQUESTS, "too many connections from this address: close others\n")
            }
            _ => (StatusCode::SERVICE_UNAVAILABLE, "this instance takes no more connections: try another\n"),
        }
    })?;
    Ok((accept, place))
}
