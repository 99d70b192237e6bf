//! `endpoints`: the ways to talk to the broker.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Admin, Client, place::Problem, units::Period};

mod presence;
mod socketio;
mod sse;
mod tcp;
mod udp;
mod websocket;

pub use presence::Presence;
pub use socketio::{Act, EventRule, ONLINE, Profile, Socketio, Transport};
pub use sse::Sse;
pub use tcp::Tcp;
pub use udp::Udp;
pub use websocket::Websocket;

/// The server API's description is there, beside the endpoints.
const DOCUMENT: &str = "/openapi.json";

/// The endpoints: on the client address, and on addresses of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Endpoints {
    /// Clients over WebSocket.
    pub websocket: Websocket,
    /// Clients that only listen, over server-sent events.
    pub sse: Sse,
    /// Boards, with live cursors.
    pub presence: Presence,
    /// Clients that speak Socket.IO.
    pub socketio: Socketio,
    /// The server API.
    pub http: Http,
    /// Clients over TCP.
    pub tcp: Tcp,
    /// Clients over UDP.
    pub udp: Udp,
}

/// The server API over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Whether it is there at all.
    pub enabled: bool,
    /// The path that the methods are under.
    pub path: String,
}

impl Default for Http {
    fn default() -> Self {
        Self { enabled: true, path: "/api".into() }
    }
}

impl Endpoints {
    /// Whether clients can connect at all.
    pub(super) fn take_clients(&self) -> bool {
        self.websocket.enabled
            || self.sse.enabled
            || self.presence.enabled
            || self.socketio.enabled
            || self.tcp.enabled
            || self.udp.enabled
    }

    /// The keys and values of the paths on the client address that are in use.
    pub(super) fn paths(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("endpoints.websocket.path", self.websocket.enabled, &self.websocket.path),
            ("endpoints.sse.path", self.sse.enabled, &self.sse.path),
            ("endpoints.socketio.path", self.socketio.enabled, &self.socketio.path),
            ("endpoints.presence.path", self.presence.enabled, &self.presence.path),
            ("endpoints.http.path", self.http.enabled, &self.http.path),
        ];
        all.into_iter().filter_map(|(key, enabled, path)| enabled.then_some((key, path.as_str())))
    }

    pub(super) fn check(&self, client: &Client, admin: &Admin, problems: &mut Vec<Problem>) {
        self.websocket.check(problems);
        self.sse.check(problems);
        self.presence.check(problems);
        self.socketio.check(problems);
        self.tcp.check(client, admin, problems);
        self.udp.check(problems);
        let usable = check_path("endpoints.http.path", &self.http.path, problems);
        let http = &self.http.path;
        let (websocket, sse, presence, socketio) =
            (&self.websocket, &self.sse, &self.presence, &self.socketio);
        for (key, enabled, path) in [
            ("websocket", websocket.enabled, &websocket.path),
            ("sse", sse.enabled, &sse.path),
            ("presence", presence.enabled, &presence.path),
            ("socketio", socketio.enabled, &socketio.path),
        ] {
            let both = usable && enabled && self.http.enabled;
            if both && (path == http || lies_under(path, http)) {
                problems.push(Problem::of(
                    format!("endpoints.{key}.path"),
                    format!("{path:?} is inside the server API's path {http:?}; choose paths that are apart"),
                ));
            }
        }
        if websocket.enabled && sse.enabled && websocket.path == sse.path {
            problems.push(Problem::of(
                "endpoints.sse.path",
                format!("{:?} is the WebSocket endpoint's path too; give each its own", sse.path),
            ));
        }
        let others = [(websocket.enabled, &websocket.path), (sse.enabled, &sse.path)];
        if presence.enabled && others.contains(&(true, &presence.path)) {
            problems.push(Problem::of(
                "endpoints.presence.path",
                format!("{:?} is another endpoint's path too; give each its own", presence.path),
            ));
        }
        for (key, enabled, path) in [
            ("websocket", websocket.enabled, &websocket.path),
            ("sse", sse.enabled, &sse.path),
            ("presence", presence.enabled, &presence.path),
        ] {
            if enabled && socketio.enabled && *path == socketio.path {
                problems.push(Problem::of(
                    "endpoints.socketio.path",
                    format!("{path:?} is the path of endpoints.{key} too; give each its own"),
                ));
            }
        }
    }
}

/// How often clients of an endpoint are pinged.
fn check_ping(key: &str, interval: Period, problems: &mut Vec<Problem>) {
    let time = interval.get();
    if time.is_zero() || time.subsec_nanos() != 0 {
        problems.push(Problem::of(
            key,
            format!(
                "{interval} is not a whole number of seconds, which the protocol tells clients; write 1s or more"
            ),
        ));
    }
}

/// Pings, and the time to answer them, of the endpoint at `key`.
fn check_pings(key: &str, ping: Period, pong: Period, problems: &mut Vec<Problem>) {
    check_ping(&format!("{key}.ping_interval"), ping, problems);
    if pong.get().is_zero() || pong >= ping {
        problems.push(Problem::of(
            format!("{key}.pong_timeout"),
            format!("{pong} must be more than 0s and less than ping_interval ({ping})"),
        ));
    }
}

/// The port of an address of its own, and the addresses that have one already.
fn check_port(key: &str, address: SocketAddr, others: [(&str, SocketAddr); 2], problems: &mut Vec<Problem>) {
    let port = address.port();
    // Port 0 is "any free one", so two of them never meet.
    for (other, _) in others.iter().filter(|(_, other)| port != 0 && other.port() == port) {
        problems.push(Problem::of(
            key,
            format!("has port {port}, as {other}.address has; give each its own, such as 8100"),
        ));
    }
}

fn check_path(key: &str, path: &str, problems: &mut Vec<Problem>) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '{' | '}' | '*' | '%' | '\\');
    if path == DOCUMENT {
        problems.push(Problem::of(
            key,
            format!("{path:?} is where the server API is described; choose another path"),
        ));
        return false;
    }
    let valid = path.len() > 1
        && path.starts_with('/')
        && !path.ends_with('/')
        && !path.contains("//")
        // In a route this would be a parameter in the old notation, which the router refuses with a panic.
        && !path.contains("/:")
        && path.chars().all(plain);
    if !valid {
        problems.push(Problem::of(
            key,
            format!(
                "{path:?} is not a path; write one that starts with / and ends without it, such as /api, and that \
                 has no part that starts with ':'"
            ),
        ));
    }
    valid
}

fn lies_under(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests;
