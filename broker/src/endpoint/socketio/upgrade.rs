//! WebSockets: connections that begin with one, and those that move to one.

use std::sync::Arc;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::future::{BoxFuture, FutureExt};
use hyper::upgrade::{OnUpgrade, Parts, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tungstenite::handshake::derive_accept_key;

use super::{
    Endpoint, keeper,
    relay::Relay,
    request::Fault,
    session::Session,
    socket::{Phase, Socket, lost},
};
use crate::{
    config::Transport,
    endpoint::accept::{Peer, TlsStream},
    message::Address,
};

/// A connection that begins with a WebSocket.
pub(super) fn begin(endpoint: &Arc<Endpoint>, peer: Peer, mut request: Request) -> Result<Response, Fault> {
    let (accept, upgrade) = check(&mut request)?;
    let (session, kept) = Session::begin(endpoint, peer, Transport::Websocket)?;
    tokio::spawn(keeper::keep(kept));
    tokio::spawn(serve(upgrade, session, Phase::Open));
    Ok(switching(accept))
}

/// A connection that may move to this WebSocket.
pub(super) fn go_on(session: Arc<Session>, mut request: Request) -> Result<Response, Fault> {
    let (accept, upgrade) = check(&mut request)?;
    session.may_move()?;
    tokio::spawn(serve(upgrade, session, Phase::Probing));
    Ok(switching(accept))
}

/// A connection of another instance that may move to this WebSocket.
pub(super) async fn go_on_elsewhere(
    endpoint: &Arc<Endpoint>,
    (address, sid): (Address, &str),
    peer: Peer,
    mut request: Request,
) -> Result<Response, Fault> {
    let (accept, upgrade) = check(&mut request)?;
    let relay = Relay::begin(endpoint, address, sid, peer).await?;
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => relay.run(TokioIo::new(upgraded)).await,
            Err(_) => relay.stays().await,
        }
    });
    Ok(switching(accept))
}

async fn serve(upgrade: OnUpgrade, session: Arc<Session>, phase: Phase) {
    let Ok(upgraded) = upgrade.await else { return lost(&session, phase) };
    // This is the socket itself: reading and writing it needs no buffer between.
    match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => take_over(parts, session, phase).await,
        Err(upgraded) => serve_other(upgraded, session, phase).await,
    }
}

/// A WebSocket on the stream that an upgrade has handed over.
fn take_over<S: AsyncRead + AsyncWrite + Unpin>(
    parts: Parts<TokioIo<S>>,
    session: Arc<Session>,
    phase: Phase,
) -> Socket<S> {
    // The buffer of the handshake would otherwise be kept as long as the connection.
    Socket::new(parts.io.into_inner(), &parts.read_buf, session, phase)
}

/// Serves a connection that is more than a socket. It is boxed, so that a socket needs no room for it.
fn serve_other(upgraded: Upgraded, session: Arc<Session>, phase: Phase) -> BoxFuture<'static, ()> {
    match upgraded.downcast::<TokioIo<TlsStream>>() {
        Ok(parts) => take_over(parts, session, phase).boxed(),
        Err(upgraded) => Socket::new(TokioIo::new(upgraded), &[], session, phase).boxed(),
    }
}

fn switching(accept: HeaderValue) -> Response {
    let headers = [
        (header::CONNECTION, HeaderValue::from_static("upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// Checks the handshake (RFC 6455 §4.2.1) and gives the value that accepts it, and what it leads to.
fn check(request: &mut Request) -> Result<(HeaderValue, OnUpgrade), Fault> {
    let headers = request.headers();
    let has = |name, token: &str| has_token(headers, name, token);
    let is_whole = has(header::UPGRADE, "websocket")
        && has(header::CONNECTION, "upgrade")
        && has(header::SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| is_whole).ok_or(Fault::BadRequest)?;
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes())).map_err(|_| Fault::BadRequest)?;
    let upgrade = request.extensions_mut().remove::<OnUpgrade>().ok_or(Fault::BadRequest)?;
    Ok((accept, upgrade))
}

fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(token))
}
