//! The section `endpoints`.

mod socketio;

use crate::{controller::validate::Valid, crd};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Endpoints<'a> {
    websocket: Websocket<'a>,
    http: Http<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sse: Option<Sse<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    socketio: Option<socketio::Socketio<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence: Option<Presence<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<Tcp<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    udp: Option<Udp<'a>>,
}

#[derive(Serialize)]
struct Websocket<'a> {
    enabled: bool,
    path: &'a str,
    ping_interval: &'a str,
    pong_timeout: &'a str,
}

#[derive(Serialize)]
struct Http<'a> {
    enabled: bool,
    path: &'a str,
}

#[derive(Serialize)]
struct Sse<'a> {
    enabled: bool,
    path: &'a str,
    ping_interval: &'a str,
    compression: bool,
}

#[derive(Serialize)]
struct Presence<'a> {
    enabled: bool,
    path: &'a str,
    channel_prefix: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    announcements: Option<&'a str>,
    ping_interval: &'a str,
    pong_timeout: &'a str,
    idle_timeout: &'a str,
    cursor_rate: u32,
    flush_interval: &'a str,
    compress_above: u64,
}

#[derive(Serialize)]
struct Tcp<'a> {
    enabled: bool,
    address: String,
    ping_interval: &'a str,
    pong_timeout: &'a str,
}

#[derive(Serialize)]
struct Udp<'a> {
    enabled: bool,
    address: String,
    session_timeout: &'a str,
    sessions: u32,
    datagram_size: u32,
    cookie: bool,
}

/// Those that are off by default stand in the file only when they are on: what a cluster does not use does not stand there,
/// so that a new release of the operator leaves its pods alone.
pub(super) fn endpoints(cluster: &Valid) -> Endpoints<'_> {
    let crd::Endpoints { websocket, http, sse, socketio, presence, tcp, udp, .. } = &cluster.spec.endpoints;
    Endpoints {
        websocket: Websocket {
            enabled: websocket.enabled,
            path: &websocket.path,
            ping_interval: &websocket.ping_interval,
            pong_timeout: &websocket.pong_timeout,
        },
        http: Http { enabled: http.enabled, path: &http.path },
        sse: sse.enabled.then(|| Sse {
            enabled: true,
            path: &sse.path,
            ping_interval: &sse.ping_interval,
            compression: sse.compression,
        }),
        socketio: socketio.enabled.then(|| socketio::socketio(socketio, cluster.max_payload)),
        presence: presence.enabled.then(|| Presence {
            enabled: true,
            path: &presence.path,
            channel_prefix: &presence.channel_prefix,
            announcements: presence.announcements.as_deref(),
            ping_interval: &presence.ping_interval,
            pong_timeout: &presence.pong_timeout,
            idle_timeout: &presence.idle_timeout,
            cursor_rate: presence.cursor_rate,
            flush_interval: &presence.flush_interval,
            compress_above: cluster.compress_above,
        }),
        tcp: tcp.enabled.then(|| Tcp {
            enabled: true,
            address: format!("0.0.0.0:{}", tcp.port),
            ping_interval: &tcp.ping_interval,
            pong_timeout: &tcp.pong_timeout,
        }),
        udp: udp.enabled.then(|| Udp {
            enabled: true,
            address: format!("0.0.0.0:{}", udp.port),
            session_timeout: &udp.session_timeout,
            sessions: udp.sessions,
            datagram_size: udp.datagram_size,
            cookie: udp.cookie,
        }),
    }
}
