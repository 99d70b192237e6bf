//! Rules of `spec.endpoints`.

use super::{IS_DURATION, rule, rule_on_value};
use kube::core::Rule;

const IS_NEVER: &str = "self.matches('^0+(ms|s|m|h)$')";

/// For a ping interval that may also be no pings at all.
pub(in crate::crd) fn ping_interval_or_never() -> Rule {
    rule_on_value(
        &format!(
            "{IS_DURATION} && (self.matches('^[0-9]+[smh]$') || self.matches('^[0-9]*000ms$') || {IS_NEVER})"
        ),
        "is no whole number of seconds, which is what clients are told: write 1s or more, for example 25s, or 0s for no \
         pings",
    )
}

/// The protocol tells clients the interval in seconds.
pub(in crate::crd) fn ping_interval() -> Rule {
    rule_on_value(
        &format!("!({IS_DURATION}) || self.matches('^([0-9]+[smh]|[0-9]+000ms)$')"),
        "is no whole number of seconds, which is what clients are told: write 1s or more, for example 25s",
    )
}

/// Silent where the rules of one of the two fields speak, and where nobody is pinged.
pub(in crate::crd) fn pong_before_ping() -> Rule {
    let is_duration = |field: &str| IS_DURATION.replace("self", &format!("self.{field}"));
    rule(
        &format!(
            "!({}) || !({}) || {} || duration(self.pongTimeout) < duration(self.pingInterval)",
            is_duration("pongTimeout"),
            is_duration("pingInterval"),
            IS_NEVER.replace("self", "self.pingInterval")
        ),
        "pongTimeout must be less than pingInterval, so that a ping is answered before the next one: write for example \
         pingInterval: 25s and pongTimeout: 8s",
    )
}

pub(in crate::crd) fn path() -> Rule {
    rule_on_value(
        "self.matches('^(/[A-Za-z0-9._~-]+)+$')",
        "is not a path: begin with /, end without it, and use letters, digits, '.', '_', '~' and '-' between, for \
         example /connection/websocket",
    )
}

pub(in crate::crd) fn one_endpoint() -> Rule {
    rule(
        "self.websocket.enabled || self.http.enabled || self.sse.enabled || self.socketio.enabled || \
         self.presence.enabled || self.tcp.enabled || self.udp.enabled",
        "all endpoints are disabled, so nobody could use the cluster: set one to true, for example websocket.enabled",
    )
}

pub(in crate::crd) fn endpoint_paths() -> Rule {
    let apart = |name: &str| {
        format!("(!self.{name}.enabled || !(self.{name}.path + '/').startsWith(self.http.path + '/'))")
    };
    rule(
        &format!(
            "!self.http.enabled || ({})",
            ["websocket", "sse", "socketio", "presence"].map(apart).join(" && ")
        ),
        "websocket.path, sse.path, socketio.path or presence.path is http.path or inside it: give each endpoint a path of its \
         own, for example /connection/websocket, /connection/uni_sse, /socket.io, /presence and /api",
    )
}

pub(in crate::crd) fn sse_path() -> Rule {
    rule(
        "!self.websocket.enabled || !self.sse.enabled || self.websocket.path != self.sse.path",
        "sse.path is websocket.path too: give each endpoint a path of its own, for example /connection/websocket and \
         /connection/uni_sse",
    )
}

pub(in crate::crd) fn socketio_path() -> Rule {
    rule(
        &path_of_its_own("socketio", &["websocket", "sse"]),
        "socketio.path is the path of websocket or sse too: give each endpoint a path of its own, for example /socket.io",
    )
}

pub(in crate::crd) fn presence_path() -> Rule {
    rule(
        &path_of_its_own("presence", &["websocket", "sse", "socketio"]),
        "presence.path is the path of websocket, sse or socketio too: give each endpoint a path of its own, for example \
         /presence",
    )
}

/// That an endpoint, where it is there, is not where one of the others is.
fn path_of_its_own(name: &str, others: &[&str]) -> String {
    let apart = others
        .iter()
        .map(|other| format!("(!self.{other}.enabled || self.{other}.path != self.{name}.path)"));
    format!("!self.{name}.enabled || ({})", apart.collect::<Vec<_>>().join(" && "))
}

pub(in crate::crd) fn description_path() -> Rule {
    rule(
        "[self.websocket.path, self.sse.path, self.socketio.path, self.presence.path, self.http.path].all(p, p != '/openapi.json')",
        "/openapi.json is where the server API is described: give the endpoint another path, for example /api",
    )
}

/// For the TCP endpoint, which shares its port with no other.
pub(in crate::crd) fn tcp_port() -> Rule {
    rule(
        "self != 8000 && self != 9000",
        "tcp.port cannot be 8000, where the other endpoints are, nor 9000, the admin port: write another, for example \
         8100",
    )
}

pub(in crate::crd) fn allowed_origins() -> Rule {
    rule(
        "self.all(o, o == '*' || o.matches('^[a-z][a-z0-9+.-]*://[^A-Z/?#@\\\\s]+$'))",
        "an allowed origin is what browsers send, scheme and host in lower case without a path, for example \
         https://app.example.com or https://*.example.com; write '*' alone to allow any",
    )
}

pub(in crate::crd) fn trusted_proxies() -> Rule {
    rule(
        "!self.enabled || (has(self.trusted) && self.trusted.size() > 0)",
        "proxyProtocol is enabled and trusts no proxy: list the networks that your proxies connect from, for example \
         trusted: [10.0.0.0/8]",
    )
}

/// Networks, or single addresses.
pub(in crate::crd) fn networks() -> Rule {
    rule(
        "self.all(n, isCIDR(n) || isIP(n))",
        "an entry of trusted is not a network: write an address and the length of its prefix, for example 10.0.0.0/8 or \
         fd00::/8",
    )
}
