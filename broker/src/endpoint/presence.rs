//! Boards over WebSocket: who is there, where their cursors are, what they have selected. docs/presence-protocol.md
//! describes every byte.
//!
//! A board is a channel. Members come and go by its joins and leaves, which every protocol sees; what they do between
//! crosses the backplane in one envelope for each board and tick, with the bytes as they go to sockets.

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

use super::{
    Gateway, Outbox,
    accept::{Admission, Peer, Place, TlsStream},
    connection::Connection,
    websocket::{Frames, accept_handshake},
};
use crate::{codec::presence::PROTOCOL, metrics::Rejection};

mod boards;
mod encoder;
mod service;
mod talk;

pub use boards::{Boards, Pace, Seat};
pub use encoder::BoardsOverWebSocket;
pub use service::{Service, Settings};
pub use talk::Talk;

/// What every connection of the endpoint shares.
pub struct Endpoint {
    service: Arc<Service>,
    allowed_origins: Vec<String>,
    admission: Arc<Admission>,
    connections: TaskTracker,
}

impl Endpoint {
    /// An endpoint for pages of these origins, of the host itself only when there are none. Its clients take their
    /// places from `admission`, and its connections are counted by `connections`, so that a drain can wait for them.
    pub fn new(
        gateway: Arc<Gateway>,
        (boards, settings): (Arc<Boards>, Settings),
        allowed_origins: Vec<String>,
        (admission, connections): (Arc<Admission>, TaskTracker),
    ) -> Self {
        let service = Arc::new(Service::new(gateway, boards, settings));
        Self { service, allowed_origins, admission, connections }
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
    let ((accept, place), protocol) = match check(&endpoint, request.headers(), peer) {
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
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(protocol) = protocol {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    response
}

/// A connection on the stream that an upgrade has handed over.
fn take_over<S>(parts: Parts<TokioIo<S>>, service: Arc<Service>) -> Connection<S, Frames, Talk>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // The buffer of the handshake would otherwise be kept as long as the connection.
    connection(parts.io.into_inner(), &parts.read_buf, service)
}

/// A connection on a stream whose handshake is done; `unread` is what the client has sent behind it.
pub fn connection<S>(stream: S, unread: &[u8], service: Arc<Service>) -> Connection<S, Frames, Talk>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let outbox = Arc::new(Outbox::new(service.settings.session.outbox_size));
    let talk = Talk::new(service, outbox.clone());
    Connection::holding(stream, Frames::binary(), unread, talk, outbox)
}

/// Serves a connection that is more than a socket. It is boxed, so that a socket needs no room for it.
fn serve_other(upgraded: Upgraded, service: Arc<Service>) -> BoxFuture<'static, ()> {
    match upgraded.downcast::<TokioIo<TlsStream>>() {
        Ok(parts) => Box::pin(take_over(parts, service)),
        Err(upgraded) => Box::pin(connection(TokioIo::new(upgraded), &[], service)),
    }
}

type Checked = ((HeaderValue, Place), Option<HeaderValue>);

/// Checks the handshake, and which version of the protocol the client speaks.
fn check(
    endpoint: &Endpoint,
    headers: &HeaderMap,
    peer: Peer,
) -> Result<Checked, (StatusCode, &'static str)> {
    let gateway = &endpoint.service.gateway;
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let mut offered = offered.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    // Who offers nothing is taken for one that speaks the only version that there is.
    let protocol = match headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL) {
        false => None,
        true if offered.any(|offer| offer.trim() == PROTOCOL) => Some(HeaderValue::from_static(PROTOCOL)),
        true => {
            endpoint.service.count(Rejection::UnknownCommand);
            let sentence = "no version of the protocol that is spoken here: offer switchboard-board.v1\n";
            return Err((StatusCode::BAD_REQUEST, sentence));
        }
    };
    let accepted = accept_handshake(gateway, headers, &endpoint.allowed_origins, &endpoint.admission, peer)?;
    Ok((accepted, protocol))
}
