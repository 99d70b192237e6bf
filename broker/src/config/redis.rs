//! `redis`: the backplane that joins instances.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize, Serializer};

use super::auth::{check_file, unreadable};
use super::place::Problem;
use super::secret::Secret;

/// How to reach Redis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// `redis://host:6379/0`, or `rediss://…` for TLS.
    pub url: RedisUrl,
    /// The user of Redis's access lists.
    #[serde(default)]
    pub username: Option<String>,
    /// The password.
    #[serde(default)]
    pub password: Option<Secret>,
    /// A file that holds the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Whether the broker ends when Redis is not there at its start, instead of running alone until it comes.
    #[serde(default)]
    pub required: bool,
    /// What the names of all keys and Redis channels start with.
    #[serde(default = "prefix")]
    pub prefix: String,
}

fn prefix() -> String {
    "switchboard".into()
}

impl Redis {
    /// Redis at `url` and the defaults for the rest.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: RedisUrl(url.into()),
            username: None,
            password: None,
            password_file: None,
            required: false,
            prefix: prefix(),
        }
    }

    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        if let Err(why) = self.url.check() {
            problems.push(Problem::of("redis.url", why));
        }
        if self.password.is_some() && self.password_file.is_some() {
            problems.push(Problem::of("redis.password_file", "password is given too; keep one of the two"));
        }
        let password_key = if self.password.is_some() { "redis.password" } else { "redis.password_file" };
        if self.url.has_credentials() && (self.password.is_some() || self.password_file.is_some()) {
            problems.push(Problem::of(password_key, "redis.url holds a password too; keep one of the two"));
        }
        if self.url.has_credentials() && self.username.is_some() {
            problems.push(Problem::of("redis.username", "redis.url holds a user too; keep one of the two"));
        }
        if self.password.as_ref().is_some_and(|password| password.expose().is_empty()) {
            problems.push(Problem::of("redis.password", "is empty; write null for none"));
        }
        if self.username.is_some() && self.password.is_none() && self.password_file.is_none() {
            problems
                .push(Problem::of("redis.username", "has no password; give password or password_file too"));
        }
        check_file("redis.password_file", self.password_file.as_ref(), problems);
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
        if self.prefix.is_empty() || !self.prefix.chars().all(valid) {
            problems.push(Problem::of(
                "redis.prefix",
                format!("{:?} cannot start a key; write letters, digits, '-', '_', '.' or ':'", self.prefix),
            ));
        }
    }

    pub(super) fn resolve(&mut self, problems: &mut Vec<Problem>) {
        if let Some(path) = &self.password_file {
            match Secret::read(path) {
                Ok(password) => {
                    self.password = Some(password);
                    self.password_file = None;
                }
                Err(why) => problems.push(unreadable("redis.password_file", path, &why)),
            }
        }
    }
}

/// The URL of Redis. It may hold a password, so it is shown without its user part.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct RedisUrl(String);

impl RedisUrl {
    /// The URL as written, for the one call that connects.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether a user or password stands in it.
    pub fn has_credentials(&self) -> bool {
        self.0.contains('@')
    }

    fn check(&self) -> Result<(), String> {
        let example = "write redis://host:6379/0, or rediss://host:6379/0 for TLS";
        let Some((scheme, rest)) = self.0.split_once("://") else {
            return Err(format!("\"{self}\" is not a URL; {example}"));
        };
        if scheme != "redis" && scheme != "rediss" {
            return Err(format!("{scheme:?} is not a scheme of Redis; {example}"));
        }
        let (_, server) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (authority, database) = server.split_once('/').unwrap_or((server, ""));
        let (host, port) = match authority.rsplit_once(':') {
            // The last colon of a bare `[::1]` is inside the brackets.
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || matches!(c, '?' | '#')) {
            return Err(format!("\"{self}\" has no usable host; {example}"));
        }
        if port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|port| port != 0)) {
            return Err(format!("\"{self}\" has no usable port; write a number from 1 to 65535"));
        }
        if !database.is_empty() && database.parse::<u32>().is_err() {
            return Err(format!("{database:?} is not a database; {example}"));
        }
        Ok(())
    }
}

impl From<&str> for RedisUrl {
    fn from(url: &str) -> Self {
        Self(url.to_owned())
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // By the last `@` of the whole text, for a password may hold any character.
        match self.0.rsplit_once('@') {
            None => f.write_str(&self.0),
            Some((before, server)) => {
                let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
                write!(f, "{scheme}://***@{server}")
            }
        }
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl Serialize for RedisUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urls() {
        for good in [
            "redis://localhost",
            "redis://localhost:6379",
            "redis://localhost:6379/",
            "rediss://redis.example.com:6380/3",
            "redis://[::1]:6379/0",
            "redis://[::1]",
            "redis://:p@ss/w:rd@host:6379/1",
            "redis://user:pw@host",
        ] {
            assert_eq!(RedisUrl::from(good).check(), Ok(()), "{good}");
        }
        for bad in [
            "",
            "localhost:6379",
            "http://localhost",
            "redis://",
            "redis://:6379",
            "redis://h:0",
            "redis://h:99999",
            "redis://h:x",
            "redis://h/x",
            "redis://h?x=1",
            "REDIS://h",
        ] {
            assert!(RedisUrl::from(bad).check().is_err(), "{bad}");
        }
    }

    #[test]
    fn one_password_at_most() {
        let paths = |redis: &Redis| {
            let mut problems = Vec::new();
            redis.check(&mut problems);
            problems.into_iter().map(|problem| problem.path).collect::<Vec<_>>()
        };
        let plain = Redis::at("redis://h");
        assert_eq!(paths(&plain), Vec::<String>::new());
        let both = Redis { password: Some("a".into()), password_file: Some("/f".into()), ..plain.clone() };
        assert_eq!(paths(&both), ["redis.password_file"]);
        let twice = Redis { password: Some("a".into()), ..Redis::at("redis://:b@h") };
        assert_eq!(paths(&twice), ["redis.password"]);
        let nameless = Redis { username: Some("u".into()), ..plain.clone() };
        assert_eq!(paths(&nameless), ["redis.username"]);
        let prefixed = Redis { prefix: "a{b}".into(), ..plain };
        assert_eq!(paths(&prefixed), ["redis.prefix"]);
    }

    proptest! {
        #[test]
        fn a_password_in_the_url_is_never_shown(password in "[A-Z/@:?#%]{1,20}", rest in "[a-z0-9:/]{0,20}") {
            let url = RedisUrl(format!("redis://user:Q{password}@{rest}"));
            let shown = format!("{url} {url:?} {} {:?}", serde_json::to_string(&url).unwrap(), url.check());
            prop_assert!(!shown.contains('Q'), "{}", shown);
        }

        #[test]
        fn no_text_panics(text: String) {
            let url = RedisUrl(text);
            let _ = url.check();
            let _ = url.to_string();
        }
    }
}
