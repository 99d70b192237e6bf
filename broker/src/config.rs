//! The configuration: one YAML file, every value of which an environment variable can override.
//!
//! [`Config::load`] joins file and environment, gives the settings their types and checks them; each error names
//! the line or the variable. [`Config::resolve_secrets`] is the separate step that reads the secrets' files.

use std::path::Path;

use serde::{Deserialize, Serialize};

mod auth;
mod channels;
mod drain;
mod endpoints;
mod environment;
#[cfg(test)]
mod golden;
mod history;
pub mod hooks;
mod instance;
mod keys;
mod limits;
mod listen;
mod log;
pub mod logic;
pub mod middleware;
mod network;
mod pages;
mod place;
mod redis;
#[cfg(test)]
mod reference;
mod runtime;
mod secret;
mod suggest;
#[cfg(test)]
mod tests;
mod tls;
mod tree;
mod typed;
mod units;
mod warnings;

pub use auth::{Auth, Jwt, JwtKey, JwtKeys, KeyFiles};
pub use channels::{Access, Channels, Namespace, Subscribe};
pub use drain::Drain;
pub use endpoints::{
    Act, Endpoints, EventRule, Http, ONLINE, Presence, Profile, Socketio, Sse, Tcp, Transport, Udp, Websocket,
};
pub use environment::variable_of;
pub use history::History;
pub use hooks::Hooks;
pub use instance::Instance;
pub use keys::{Leaf, leaves};
pub use limits::{Limits, Rate};
pub use listen::{Admin, Client, ProxyProtocol};
pub use log::{Log, LogFormat};
pub use logic::Logic;
pub use network::Network;
pub use pages::Pages;
pub use place::{ConfigError, Place, Problem};
pub use redis::{Redis, RedisUrl};
pub use runtime::Runtime;
pub use secret::Secret;
pub use tls::{Files, Pair, Tls, TlsVersion};
pub use units::{Period, Size};

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Who this broker is among the others.
    pub instance: Instance,
    /// Where clients connect.
    pub client: Client,
    /// Where metrics, probes and drain are asked for.
    pub admin: Admin,
    /// The ways to talk to the broker.
    pub endpoints: Endpoints,
    /// Pages for people.
    pub pages: Pages,
    /// Who may connect, and who may use the server API.
    pub auth: Auth,
    /// What a program of yours is asked, or told, of clients.
    pub hooks: Hooks,
    /// What is allowed in which channel.
    pub channels: Channels,
    /// What clients may use.
    pub limits: Limits,
    /// The rules that every message passes.
    pub middleware: middleware::Middleware,
    /// The modules that receive messages beside the clients.
    pub logic: Logic,
    /// The backplane that joins instances; without it the broker is alone.
    pub redis: Option<Redis>,
    /// Leaving in an orderly way.
    pub drain: Drain,
    /// What is said on standard error.
    pub log: Log,
    /// What the process takes from its machine.
    pub runtime: Runtime,
}

impl Config {
    /// Reads the file, if there is one, lays the environment over it and checks the whole.
    ///
    /// # Errors
    /// All that is wrong, each with its line or variable and what to write instead.
    pub fn load(
        file: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let Some(file) = file else { return Self::parse("", "", variables) };
        let name = file.display().to_string();
        match std::fs::read_to_string(file) {
            Ok(text) => Self::parse(&name, &text, variables),
            Err(error) => Err(Problem::of("", format!("{name}: cannot read the file: {error}")).into()),
        }
    }

    /// The same from a text; `name` stands for the file in errors.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(
        name: &str,
        text: &str,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut root = tree::parse(text, &tree::in_file(name))?;
        ConfigError::unless_empty(environment::overlay(&mut root, variables))?;
        let config: Self = typed::read(&root)?;
        config.validate().map_err(|mut error| {
            for problem in &mut error.problems {
                problem.place = root.place_of(&problem.path);
            }
            error
        })?;
        Ok(config)
    }

    /// Checks what types alone cannot say. Reads no file and asks nobody.
    ///
    /// # Errors
    /// All that is wrong, each with its key and what to write instead.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        self.instance.check(&mut problems);
        self.client.check(&mut problems);
        self.admin.check(&self.client, &mut problems);
        self.endpoints.check(&self.client, &self.admin, &mut problems);
        self.pages.check(&self.endpoints, &mut problems);
        self.auth.check(&mut problems);
        self.hooks.check(&self.channels, &mut problems);
        self.channels.check(&mut problems);
        self.endpoints.presence.check_channels(&self.channels, &mut problems);
        self.limits.check(&mut problems);
        self.middleware.check(&mut problems);
        self.logic.check(&mut problems);
        if let Some(redis) = &self.redis {
            redis.check(&mut problems);
        }
        self.drain.check(&mut problems);
        self.log.check(&mut problems);
        self.runtime.check(&mut problems);
        ConfigError::unless_empty(problems)
    }

    /// Reads the files of secrets and puts what they hold in their place: afterwards `auth.jwt.hmac_secret`,
    /// `auth.api_keys`, `redis.password` and the secrets of webhooks and hooks are complete. The files of `client.tls`, of
    /// `auth.jwt.keys` and `jwks_file` are looked at only: the running broker reads them again and again.
    ///
    /// # Errors
    /// Each file that cannot be used, with its key and the reason.
    pub fn resolve_secrets(&mut self) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        self.client.resolve(&mut problems);
        self.auth.resolve(&mut problems);
        self.hooks.resolve(&mut problems);
        self.logic.resolve(&mut problems);
        if let Some(redis) = &mut self.redis {
            redis.resolve(&mut problems);
        }
        ConfigError::unless_empty(problems)
    }

    /// What is valid but probably not meant, a line each; complete once the secrets are read. Files of keys are read
    /// for it.
    pub fn warnings(&self) -> Vec<String> {
        warnings::warnings(self)
    }
}
