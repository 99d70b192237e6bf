//! `endpoints.socketio`: clients that speak Socket.IO.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::check_path;
use crate::{
    codec::socketio::{MAIN, is_reserved},
    config::{
        place::Problem,
        units::{Period, Size},
    },
};

mod rule;

use rule::USER_TYPING;
pub use rule::{Act, EventRule, ONLINE};

/// The Socket.IO endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Socketio {
    /// Whether it is there at all.
    pub enabled: bool,
    /// The path that clients open.
    pub path: String,
    /// How clients may connect.
    pub transports: Vec<Transport>,
    /// Whether clients that began with polling may move to a WebSocket.
    pub upgrades: bool,
    /// How often the broker pings a client.
    pub ping_interval: Period,
    /// How long a client may take to answer a ping.
    pub ping_timeout: Period,
    /// One body or frame of a client, and one event with all its attachments.
    pub max_payload: Size,
    /// The name of the cookie that tells load balancers connections apart; without one there is none.
    pub cookie: Option<String>,
    /// The namespaces that clients may be in.
    pub namespaces: Vec<String>,
    /// The event that data becomes which is none.
    pub message_event: String,
    /// Events that a client does without which has not read what was there before.
    pub volatile: Vec<String>,
    /// How long clients may take to answer an event that another client asks them with.
    pub ack_timeout: Period,
    /// What clients' events do; without any, those of the built-in set.
    pub events: Vec<EventRule>,
    /// A ready set of rules, beside which those of `events` stand.
    pub profile: Option<Profile>,
    /// How long users of the profile may be away before the others are told that they have gone.
    pub offline_after: Period,
    /// Whether other programs may emit to the clients through Redis.
    pub emitter: Emitter,
}

/// Hearing what other programs emit with `@socket.io/redis-emitter`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Emitter {
    /// Whether it is heard at all.
    pub enabled: bool,
    /// What the names begin with that it publishes under: its option `key`.
    pub key: String,
}

impl Default for Emitter {
    fn default() -> Self {
        Self { enabled: false, key: "socket.io".into() }
    }
}

/// A ready set of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Conversations, typing, and who is online.
    Chat,
}

/// A way to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// By requests that wait until there is something to be told.
    Polling,
    /// By a WebSocket.
    Websocket,
}

impl Default for Socketio {
    fn default() -> Self {
        Self {
            enabled: false,
            path: "/socket.io".into(),
            transports: vec![Transport::Polling, Transport::Websocket],
            upgrades: true,
            ping_interval: Period::from_secs(25),
            ping_timeout: Period::from_secs(20),
            max_payload: Size::from_bytes(1024 * 1024),
            cookie: None,
            namespaces: vec![MAIN.into()],
            message_event: "message".into(),
            volatile: Vec::new(),
            ack_timeout: Period::from_secs(5),
            events: Vec::new(),
            profile: None,
            offline_after: Period::from_secs(5),
            emitter: Emitter::default(),
        }
    }
}

impl Socketio {
    /// What clients' events do: the configured rules, and those of the profile that they do not replace; or the built-in
    /// set.
    pub fn rules(&self) -> Vec<EventRule> {
        match (self.profile, self.events.is_empty()) {
            (None, true) => EventRule::built_in(),
            (None, false) => self.events.clone(),
            (Some(Profile::Chat), _) => {
                let is_new = |rule: &EventRule| self.events.iter().all(|own| own.event != rule.event);
                let rest = EventRule::chat().into_iter().filter(is_new);
                self.events.iter().cloned().chain(rest).collect()
            }
        }
    }

    /// Events that a client may do without.
    pub fn volatile(&self) -> Vec<String> {
        let of_profile = self.profile.map(|Profile::Chat| USER_TYPING.to_owned());
        self.volatile.iter().cloned().chain(of_profile).collect()
    }

    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        let mut problem = |key: &str, text: String| {
            problems.push(Problem::of(format!("endpoints.socketio.{key}"), text));
        };
        if self.transports.is_empty() {
            problem("transports", "is empty, so that nobody can connect; write [polling, websocket]".into());
        }
        for (key, period) in [
            ("ping_interval", self.ping_interval),
            ("ping_timeout", self.ping_timeout),
            ("ack_timeout", self.ack_timeout),
        ] {
            if period.get().is_zero() {
                problem(key, "must be more than 0s; write 20s or so".into());
            }
        }
        if self.emitter.key.is_empty() {
            problem("emitter.key", "is empty; write socket.io, or the key that the emitter is given".into());
        }
        if self.max_payload.bytes() == 0 {
            problem("max_payload", "is 0, so that no packet fits; write 1MiB or so".into());
        }
        let token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if let Some(cookie) = self.cookie.as_ref().filter(|name| name.is_empty() || !name.chars().all(token))
        {
            problem(
                "cookie",
                format!("{cookie:?} cannot be a cookie's name; write letters, digits, '-', '_', '.'"),
            );
        }
        if is_reserved(&self.message_event) {
            let name = &self.message_event;
            problem(
                "message_event",
                format!("{name:?} means something to clients themselves; write message"),
            );
        }
        let mut seen = HashSet::new();
        for (number, namespace) in self.namespaces.iter().enumerate() {
            let plain = |c: char| !c.is_control() && !matches!(c, ',' | ':' | '?');
            let name = namespace.strip_prefix('/');
            if !name.is_some_and(|name| name.chars().all(plain) && !name.starts_with('/')) {
                let text = format!(
                    "{namespace:?} cannot be a namespace; write / or /name, without ',', ':' and '?'"
                );
                problem(&format!("namespaces[{number}]"), text);
            } else if !seen.insert(namespace) {
                problem(&format!("namespaces[{number}]"), format!("{namespace:?} is there twice"));
            }
        }
        let mut names = HashSet::new();
        for (number, rule) in self.events.iter().enumerate() {
            let mut wrong = rule.problem(&self.namespaces);
            if wrong.is_none() && !names.insert((&rule.event, &rule.namespace)) {
                wrong = Some(("event", format!("{:?} is there twice: an event does one thing", rule.event)));
            }
            if let Some((key, text)) = wrong {
                problem(&format!("events[{number}].{key}"), text);
            }
        }
        check_path("endpoints.socketio.path", &self.path, problems);
    }
}
