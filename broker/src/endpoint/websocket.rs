//! The Centrifuge client protocol in JSON over WebSocket.

use std::sync::Arc;

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
};
use tokio_util::task::TaskTracker;
use tungstenite::handshake::derive_accept_key;

use super::{
    EndpointKind, Gateway,
    accept::{Admission, Peer, Place, TlsStream},
    connection::Connection,
    origin,
    session::{Service, Settings},
};
use crate::{codec::centrifuge::JsonOverWebSocket, metrics::Rejection};

mod frames;

pub use frames::Frames;

/// What every connection of the endpoint shares.
pub struct Endpoint {
    service: Arc<Service>,
    /// Origins that browsers may come from; empty is the host itself only.
    allowed_origins: Vec<String>,
    admission: Arc<Admission>,
    connections: TaskTracker,
}

impl Endpoint {
    /// An endpoint for pages of these origins, of the host itself only when there are none. Its clients take their
    /// places from `admission`, and its connections are counted by `connections`, so that a drain can wait for them.
    pub fn new(
        gateway: Arc<Gateway>,
        settings: Settings,
        allowed_origins: Vec<String>,
        admission: Arc<Admission>,
        connections: TaskTracker,
    ) -> Self {
        let service = Service::new(gateway, EndpointKind::WebSocket, Arc::new(JsonOverWebSocket), settings);
        Self { service: Arc::new(service), allowed_origins, admission, connections }
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
    let checked = accept_handshake(
        &endpoint.service.gateway,
        request.headers(),
        &endpoint.allowed_origins,
        &endpoint.admission,
        peer,
    );
    let (accept, place) = match checked {
        Ok(checked) => checked,
        Err(refusal) => return refusal.into_response(),
    };
    let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        return (StatusCode::UPGRADE_REQUIRED, "the connection cannot be upgraded\n").into_response();
    };
    let service = endpoint.service.clone();
    endpoint.connections.spawn(async move {
        let _place = place;
        let Ok(upgraded) = upgrade.await else { return };
        // This is the socket itself: reading and writing it needs no buffer between.
        match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(parts) => take_over(parts, service).await,
            Err(upgraded) => serve_other(upgraded, service).await,
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
    service: Arc<Service>,
) -> Connection<S, Frames> {
    // The buffer of the handshake would otherwise be kept as long as the connection.
    Connection::new(parts.io.into_inner(), Frames::default(), &parts.read_buf, service)
}

/// Serves a connection that is more than a socket. It is boxed, so that a socket needs no room for it.
fn serve_other(upgraded: Upgraded, service: Arc<Service>) -> BoxFuture<'static, ()> {
    match upgraded.downcast::<TokioIo<TlsStream>>() {
        Ok(parts) => Box::pin(take_over(parts, service)),
        Err(upgraded) => Box::pin(Connection::new(TokioIo::new(upgraded), Frames::default(), &[], service)),
    }
}

/// Checks the handshake (RFC 6455 §4.2.1) and gives the value that accepts it, and the client's place.
pub(super) fn accept_handshake(
    gateway: &Gateway,
    headers: &HeaderMap,
    allowed_origins: &[String],
    admission: &Arc<Admission>,
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
    if !origin::is_allowed(headers, allowed_origins) {
        gateway.hub.metrics.rejected.inc(Rejection::Origin);
        return Err((StatusCode::FORBIDDEN, "this origin is not allowed: see client.allowed_origins\n"));
    }
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()))
        .map_err(|_| (StatusCode::BAD_REQUEST, "the header Sec-WebSocket-Key is broken\n"))?;
    let place = gateway.admit(admission, peer.0.ip()).map_err(|reason| match reason {
        Rejection::AddressLimit => {
            (StatusCode::TOO_MANY_REQUESTS, "too many connections from this address: close others\n")
        }
        _ => (StatusCode::SERVICE_UNAVAILABLE, "this instance takes no more connections: try another\n"),
    })?;
    Ok((accept, place))
}
