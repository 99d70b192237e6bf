//! `endpoints.presence`: boards, with live cursors.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{check_path, check_pings};
use crate::config::{
    channels::{Channels, Namespace, Subscribe},
    place::Problem,
    units::{Period, Size},
};

/// The endpoint of boards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Presence {
    /// Whether it is there at all.
    pub enabled: bool,
    /// The path that clients open.
    pub path: String,
    /// What stands before a board's name in its channel's.
    pub channel_prefix: String,
    /// The channel whose publications come to all clients of the endpoint.
    pub announcements: Option<String>,
    /// How often the broker asks a client whether it is there.
    pub ping_interval: Period,
    /// How long a client may take to answer.
    pub pong_timeout: Period,
    /// After which time a member that does nothing is taken off its board; zero: never.
    pub idle_timeout: Period,
    /// How many movements of one member in a second are told to others.
    pub cursor_rate: u32,
    /// How often what has happened on a board is told.
    pub flush_interval: Period,
    /// Messages above this size are packed.
    pub compress_above: Size,
}

impl Default for Presence {
    fn default() -> Self {
        Self {
            enabled: false,
            path: "/presence".into(),
            channel_prefix: "board:".into(),
            announcements: None,
            ping_interval: Period::from_secs(25),
            pong_timeout: Period::from_secs(8),
            idle_timeout: Period::from_secs(300),
            cursor_rate: 30,
            flush_interval: Period::from_millis(20),
            compress_above: Size::from_bytes(1024),
        }
    }
}

impl Presence {
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        let mut problem = |key: &str, message: String| {
            problems.push(Problem::of(format!("endpoints.presence.{key}"), message));
        };
        // Without, the name of a board could choose the namespace.
        if !self.channel_prefix.contains(':') || self.channel_prefix.chars().any(char::is_control) {
            let prefix = &self.channel_prefix;
            problem("channel_prefix", format!("{prefix:?} names no namespace; write something like board:"));
        }
        if self.cursor_rate == 0 || self.cursor_rate > 1000 {
            problem("cursor_rate", format!("{} is not from 1 to 1000; write 30 or so", self.cursor_rate));
        }
        let flush = self.flush_interval.get();
        if flush.is_zero() || flush > Duration::from_secs(1) {
            problem(
                "flush_interval",
                format!("{} is not from 1ms to 1s; write 20ms or so", self.flush_interval),
            );
        }
        // Clients of the service that boards come from open no path.
        if self.path != "/" {
            check_path("endpoints.presence.path", &self.path, problems);
        }
        check_pings("endpoints.presence", self.ping_interval, self.pong_timeout, problems);
    }

    /// The namespace that boards are in.
    fn namespace(&self) -> &str {
        self.channel_prefix.split_once(':').map_or("", |(namespace, _)| namespace)
    }

    /// Members learn of each other by the joins and leaves of the channel.
    pub(in crate::config) fn check_channels(&self, channels: &Channels, problems: &mut Vec<Problem>) {
        let name = self.namespace();
        let found = channels.namespaces.iter().position(|namespace| namespace.name == name);
        if let Some(i) = found.filter(|i| self.enabled && !channels.namespaces[*i].join_leave) {
            problems.push(Problem::of(
                format!("channels.namespaces[{i}].join_leave"),
                format!(
                    "boards are in the namespace {name:?} (endpoints.presence.channel_prefix): write join_leave: true"
                ),
            ));
        }
        let Some(announcements) = self.announcements.as_ref().filter(|_| self.enabled) else { return };
        let channels = self.with_boards(channels);
        let name = announcements.split_once(':').map_or("", |(namespace, _)| namespace);
        let namespace = channels.namespaces.iter().find(|namespace| namespace.name == name);
        // With joins and leaves, everybody would be told of everybody.
        if namespace.is_none_or(|rules| rules.join_leave || rules.subscribe != Subscribe::Any) {
            problems.push(Problem::of(
                "endpoints.presence.announcements",
                format!(
                    "{announcements:?} has to be in a namespace of channels.namespaces with subscribe: any and without join_leave; \
                     write announcements, or add a namespace"
                ),
            ));
        }
    }

    /// The channels, and the namespace of boards where they do not name it.
    pub fn with_boards(&self, channels: &Channels) -> Channels {
        let mut channels = channels.clone();
        if self.enabled && !channels.namespaces.iter().any(|namespace| namespace.name == self.namespace()) {
            channels.namespaces.push(Namespace { join_leave: true, ..Namespace::named(self.namespace()) });
        }
        channels
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn problems(yaml: &str) -> Vec<String> {
        match Config::parse("test", yaml, std::iter::empty()) {
            Ok(_) => Vec::new(),
            Err(error) => error.problems.into_iter().map(|problem| problem.path).collect(),
        }
    }

    #[test]
    fn boards_are_in_a_namespace_that_tells_who_comes_and_goes() {
        let config =
            Config::parse("t", "endpoints: {presence: {enabled: true}}", std::iter::empty()).unwrap();
        let channels = config.endpoints.presence.with_boards(&config.channels);
        let names: Vec<_> = channels.namespaces.iter().map(|n| (n.name.as_str(), n.join_leave)).collect();
        assert_eq!(names, [("", false), ("board", true)]);
        let without = "channels: {namespaces: [{name: board}]}\nendpoints: {presence: {enabled: true}}";
        assert_eq!(problems(without), ["channels.namespaces[0].join_leave"]);
        let with = without.replace("name: board", "name: board, join_leave: true");
        assert_eq!(problems(&with), Vec::<String>::new());
        assert_eq!(problems(&without.replace("enabled: true", "enabled: false")), Vec::<String>::new());
    }

    #[test]
    fn announcements_are_heard_by_all_and_tell_nobody_of_them() {
        let yaml = |channel: &str| {
            format!("endpoints: {{presence: {{enabled: true, announcements: \"{channel}\"}}}}")
        };
        assert_eq!(problems(&yaml("announcements")), Vec::<String>::new());
        for channel in ["board:all", "other:all"] {
            assert_eq!(problems(&yaml(channel)), ["endpoints.presence.announcements"]);
        }
    }

    #[test]
    fn the_environment_of_the_service_before_starts_it() {
        let variables = [
            ("REDIS_URL", "redis://localhost:6379"),
            ("WS_PORT", "3001"),
            ("LOG_LEVEL", "debug"),
            ("SWITCHBOARD_AUTH__ANONYMOUS", "true"),
            ("SWITCHBOARD_ENDPOINTS__PRESENCE__ENABLED", "true"),
            ("SWITCHBOARD_ENDPOINTS__PRESENCE__PATH", "/"),
            ("SWITCHBOARD_ENDPOINTS__PRESENCE__CHANNEL_PREFIX", "presence:board:"),
        ];
        let variables = variables.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let config = Config::parse("", "", variables.into_iter()).unwrap();
        assert_eq!(config.client.address.port(), 3001);
        assert_eq!(
            config.redis.as_ref().map(|redis| redis.url.to_string()).as_deref(),
            Some("redis://localhost:6379")
        );
        let channels = config.endpoints.presence.with_boards(&config.channels);
        assert!(channels.namespaces.iter().any(|namespace| namespace.name == "presence"));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (key, good, bad) in [
            ("path", "/", "boards"),
            ("cursor_rate", "1", "0"),
            ("cursor_rate", "1000", "1001"),
            ("flush_interval", "1s", "2s"),
            ("flush_interval", "1ms", "0s"),
            ("pong_timeout", "24s", "25s"),
            ("channel_prefix", "\"presence:board:\"", "\"a:\\n\""),
            ("channel_prefix", "\"b:\"", "boards-"),
        ] {
            let yaml = |value: &str| format!("endpoints: {{presence: {{{key}: {value}}}}}");
            assert_eq!(problems(&yaml(good)), Vec::<String>::new(), "{key}: {good}");
            assert_eq!(problems(&yaml(bad)), [format!("endpoints.presence.{key}")], "{key}: {bad}");
        }
        let taken = "endpoints: {presence: {enabled: true, path: /connection/websocket}}";
        assert_eq!(problems(taken), ["endpoints.presence.path"]);
        let inside = "endpoints: {presence: {enabled: true, path: /api/board}}";
        assert_eq!(problems(inside), ["endpoints.presence.path"]);
    }
}
