//! What is valid but probably not meant.

use super::auth::SAFE_SECRET;
use super::channels::Subscribe;
use super::middleware::ENDPOINTS;
use super::{Config, Secret};

/// One line for each thing; to be read after the secrets.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |when: bool, text: String| {
        if when {
            warnings.push(text);
        }
    };
    let (auth, jwt) = (&config.auth, &config.auth.jwt);
    let endpoints = &config.endpoints;

    warn(
        endpoints.take_clients() && !auth.anonymous && !jwt.enabled() && !config.hooks.instead_of_token(),
        "nobody can connect: give auth.jwt.hmac_secret_file, keys or jwks_file, or set auth.anonymous to true"
            .into(),
    );
    let length = jwt.hmac_secret.as_ref().map(Secret::expose).map(str::len);
    warn(
        length.is_some_and(|length| length < SAFE_SECRET),
        format!(
            "auth.jwt.hmac_secret has {} bytes and can be guessed from a token; use {SAFE_SECRET} or more",
            length.unwrap_or_default()
        ),
    );
    warn(
        !jwt.enabled() && (jwt.audience.is_some() || jwt.issuer.is_some()),
        "auth.jwt.audience and issuer do nothing without a key".into(),
    );
    warn(
        jwt.hmac_secret.as_ref().is_some_and(|secret| secret.expose().contains("-----BEGIN ")),
        "auth.jwt.hmac_secret is a PEM: whoever has it can sign tokens; give a public key as auth.jwt.keys: [{public_key_file: …}]"
            .into(),
    );
    for warning in jwt.read_keys().map(|keys| keys.warnings).unwrap_or_default() {
        warn(true, warning);
    }
    for namespace in &config.channels.namespaces {
        warn(
            namespace.subscribe == Subscribe::Token && !jwt.enabled(),
            format!(
                "nobody can subscribe to the namespace {:?}: it wants a token, and auth.jwt has no key",
                namespace.name
            ),
        );
    }
    warn(
        endpoints.http.enabled && !auth.has_api_key(),
        "the server API refuses every request: give auth.api_keys or api_key_files".into(),
    );
    warn(
        !endpoints.take_clients() && !endpoints.http.enabled,
        "all endpoints are disabled: only the admin port will answer".into(),
    );
    for name in config.middleware.endpoints().filter(|name| !ENDPOINTS.contains(&name.as_str())) {
        let known = ENDPOINTS.join(", ");
        let text =
            format!("middleware names the endpoint {name:?}, which is not built in; those are {known}");
        warn(true, text);
    }
    for warning in config.hooks.warnings().chain(config.logic.warnings()) {
        warn(true, warning);
    }
    warn(
        endpoints.udp.enabled && !endpoints.udp.cookie,
        "endpoints.udp.cookie is off: forged datagrams can have this broker send others more than they are themselves"
            .into(),
    );
    warn(
        endpoints.socketio.emitter.enabled && config.redis.is_none(),
        "endpoints.socketio.emitter hears nothing without Redis: set redis.url".into(),
    );
    for (key, address) in [("client", config.client.address), ("admin", config.admin.address)] {
        warn(address.port() == 0, format!("{key}.address has port 0: each start takes another free port"));
    }
    warnings
}
