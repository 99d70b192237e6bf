//! `endpoints`: the ways to talk to the broker on the client address.

use serde::{Deserialize, Serialize};

use super::place::Problem;
use super::units::Period;

/// The server API's description is there, beside the endpoints.
const DOCUMENT: &str = "/openapi.json";

/// The endpoints on the client address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Endpoints {
    /// Clients over WebSocket.
    pub websocket: Websocket,
    /// Clients that only listen, over server-sent events.
    pub sse: Sse,
    /// The server API.
    pub http: Http,
}

/// The WebSocket endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Websocket {
    /// Whether it is there at all.
    pub enabled: bool,
    /// The path that clients open.
    pub path: String,
    /// How often the broker pings a client.
    pub ping_interval: Period,
    /// How long a client may take to answer a ping.
    pub pong_timeout: Period,
}

impl Default for Websocket {
    fn default() -> Self {
        Self {
            enabled: true,
            path: "/connection/websocket".into(),
            ping_interval: Period::from_secs(25),
            pong_timeout: Period::from_secs(8),
        }
    }
}

/// The endpoint of server-sent events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sse {
    /// Whether it is there at all.
    pub enabled: bool,
    /// The path that clients open.
    pub path: String,
    /// How often the broker says that it is still there.
    pub ping_interval: Period,
    /// Whether events are compressed for clients that understand that.
    pub compression: bool,
}

impl Default for Sse {
    fn default() -> Self {
        Self {
            enabled: false,
            path: "/connection/uni_sse".into(),
            ping_interval: Period::from_secs(25),
            compression: true,
        }
    }
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
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        self.websocket.check(problems);
        self.sse.check(problems);
        let usable = check_path("endpoints.http.path", &self.http.path, problems);
        let http = &self.http.path;
        let (websocket, sse) = (&self.websocket, &self.sse);
        for (key, enabled, path) in
            [("websocket", websocket.enabled, &websocket.path), ("sse", sse.enabled, &sse.path)]
        {
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
    }
}

impl Sse {
    fn check(&self, problems: &mut Vec<Problem>) {
        check_path("endpoints.sse.path", &self.path, problems);
        check_ping("endpoints.sse.ping_interval", self.ping_interval, problems);
    }
}

impl Websocket {
    fn check(&self, problems: &mut Vec<Problem>) {
        check_path("endpoints.websocket.path", &self.path, problems);
        check_ping("endpoints.websocket.ping_interval", self.ping_interval, problems);
        let (ping, pong) = (self.ping_interval.get(), self.pong_timeout.get());
        if pong.is_zero() || pong >= ping {
            problems.push(Problem::of(
                "endpoints.websocket.pong_timeout",
                format!(
                    "{} must be more than 0s and less than ping_interval ({})",
                    self.pong_timeout, self.ping_interval
                ),
            ));
        }
    }
}

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
mod tests {
    use super::*;

    fn problems(change: impl FnOnce(&mut Endpoints)) -> Vec<String> {
        let mut endpoints = Endpoints::default();
        change(&mut endpoints);
        let mut problems = Vec::new();
        endpoints.check(&mut problems);
        problems.into_iter().map(|problem| problem.path).collect()
    }

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(problems(|_| {}), Vec::<String>::new());
    }

    #[test]
    fn pongs_come_before_the_next_ping() {
        let path = vec!["endpoints.websocket.pong_timeout".to_owned()];
        assert_eq!(problems(|e| e.websocket.pong_timeout = Period::from_secs(25)), path);
        assert_eq!(problems(|e| e.websocket.pong_timeout = Period::from_secs(0)), path);
        assert_eq!(
            problems(|e| e.websocket.pong_timeout = Period::from_millis(24_999)),
            Vec::<String>::new()
        );
    }

    #[test]
    fn pings_are_whole_seconds() {
        let path = vec!["endpoints.websocket.ping_interval".to_owned()];
        assert_eq!(problems(|e| e.websocket.ping_interval = Period::from_millis(9500)), path);
        let path = ["endpoints.sse.ping_interval"];
        assert_eq!(problems(|e| e.sse.ping_interval = Period::from_secs(0)), path);
    }

    #[test]
    fn paths() {
        for bad in ["", "/", "api", "/api/", "/a b", "/a?b", "/{id}", "//a", "/:id", "/a/:b", "/openapi.json"]
        {
            assert_eq!(problems(|e| e.http.path = bad.into()), ["endpoints.http.path"], "{bad:?}");
            assert_eq!(problems(|e| e.websocket.path = bad.into())[0], "endpoints.websocket.path", "{bad:?}");
        }
        assert_eq!(problems(|e| e.websocket.path = "/a:b".into()), Vec::<String>::new());
        assert_eq!(problems(|e| e.http.path = "/connection".into()), ["endpoints.websocket.path"]);
        assert_eq!(problems(|e| e.http.path = "/conn".into()), Vec::<String>::new());
        assert_eq!(
            problems(|e| {
                e.sse.enabled = true;
                e.sse.path = e.websocket.path.clone();
            }),
            ["endpoints.sse.path"]
        );
        assert_eq!(
            problems(|e| {
                e.sse.enabled = true;
                e.sse.path = "/api/events".into();
            }),
            ["endpoints.sse.path"]
        );
        assert_eq!(
            problems(|e| {
                e.http.path = "/connection".into();
                e.http.enabled = false;
            }),
            Vec::<String>::new()
        );
    }
}
