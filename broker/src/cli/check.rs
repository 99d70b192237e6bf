//! `broker check`: what a broker would do with this configuration.

use std::fmt::Write;

use crate::config::{Config, Endpoints};

/// Prints that the configuration is valid, what it means, and what is probably not meant.
#[allow(clippy::print_stdout, reason = "this is the command's output")]
pub(super) fn print(config: &Config) {
    print!("{}", report(config));
}

fn report(config: &Config) -> String {
    let mut text = String::from("configuration is valid\n");
    let mut line = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<10} {value}");
    };
    line("instance", config.instance.id.clone());
    let tls = if config.client.tls.is_some() { " with TLS" } else { "" };
    line("clients", format!("{}{tls}, {}", config.client.address, endpoints(&config.endpoints)));
    if config.endpoints.tcp.enabled {
        line("tcp", config.endpoints.tcp.address.to_string());
    }
    if config.endpoints.udp.enabled {
        line("udp", config.endpoints.udp.address.to_string());
    }
    line("admin", config.admin.address.to_string());
    line("auth", auth(config));
    let namespaces: Vec<&str> = config
        .channels
        .namespaces
        .iter()
        .map(|namespace| if namespace.name.is_empty() { "(no prefix)" } else { &namespace.name })
        .collect();
    line("channels", namespaces.join(", "));
    line("backplane", backplane(config));
    line("drain", format!("within {}", config.drain.grace));
    line("log", format!("{}, {:?}", config.log.level, config.log.format).to_lowercase());
    for warning in config.warnings() {
        let _ = writeln!(text, "warning: {warning}");
    }
    text
}

fn endpoints(endpoints: &Endpoints) -> String {
    let Endpoints { websocket, sse, socketio, presence, http, .. } = endpoints;
    let offered = [
        ("WebSocket", websocket.enabled, &websocket.path),
        ("server-sent events", sse.enabled, &sse.path),
        ("Socket.IO", socketio.enabled, &socketio.path),
        ("boards", presence.enabled, &presence.path),
        ("server API", http.enabled, &http.path),
    ];
    let offered = offered.into_iter().filter(|(_, enabled, _)| *enabled);
    let offered: Vec<_> = offered.map(|(name, _, path)| format!("{name} at {path}")).collect();
    if offered.is_empty() { "no endpoints".into() } else { offered.join(", ") }
}

fn auth(config: &Config) -> String {
    let auth = &config.auth;
    let mut clients = match (auth.anonymous, auth.jwt.enabled()) {
        (true, true) => "clients with or without a token",
        (true, false) => "clients without a token",
        (false, true) => "clients with a token",
        (false, false) => "no clients",
    }
    .to_owned();
    if auth.jwt.enabled()
        && let Ok(keys) = auth.jwt.read_keys()
    {
        let _ = write!(clients, " ({})", keys.set);
    }
    let keys = match auth.api_keys.len() {
        0 => "no API key".into(),
        1 => "1 API key".into(),
        n => format!("{n} API keys"),
    };
    format!("{clients}, {keys}")
}

fn backplane(config: &Config) -> String {
    match &config.redis {
        None => "memory: a single instance, without Redis".into(),
        Some(redis) => {
            let otherwise =
                if redis.required { "required at the start" } else { "runs alone while Redis is away" };
            format!("{} ({otherwise})", redis.url)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_a_broker_would_do() {
        let yaml = "
instance: {id: chat-0}
auth: {anonymous: true, api_keys: [k1, k2]}
channels: {namespaces: [{name: \"\"}, {name: news}]}
redis: {url: \"redis://:pw@redis:6379/0\"}
";
        let config = Config::parse("broker.yaml", yaml, std::iter::empty()).unwrap();
        let expected = "\
configuration is valid
  instance   chat-0
  clients    0.0.0.0:8000, WebSocket at /connection/websocket, server API at /api
  admin      0.0.0.0:9000
  auth       clients without a token, 2 API keys
  channels   (no prefix), news
  backplane  redis://***@redis:6379/0 (runs alone while Redis is away)
  drain      within 25s
  log        info, text
";
        assert_eq!(report(&config), expected);
    }

    #[test]
    fn tells_how_many_keys_tokens_are_verified_with_and_none_of_them() {
        let yaml = "
auth:
  jwt:
    hmac_secret: 0123456789abcdef0123456789abcdef
    keys:
      - {id: b, algorithm: HS512, secret: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef}
      - {secret: 0123456789abcdef0123456789abcdef}
";
        let config = Config::parse("broker.yaml", yaml, std::iter::empty()).unwrap();
        let text = report(&config);
        assert!(text.contains("clients with a token (3 keys: HS256, HS512), no API key"), "{text}");
        assert!(!text.contains("abcdef"), "{text}");
    }

    #[test]
    fn tells_of_endpoints_with_addresses_of_their_own() {
        let yaml = "endpoints: {tcp: {enabled: true}, udp: {enabled: true, cookie: false}}";
        let text = report(&Config::parse("broker.yaml", yaml, std::iter::empty()).unwrap());
        assert!(text.contains("  tcp        0.0.0.0:8100\n  udp        0.0.0.0:8100\n"), "{text}");
        assert!(text.contains("\nwarning: endpoints.udp.cookie is off: "), "{text}");
        assert!(!report(&Config::default()).contains("8100"));
    }

    #[test]
    fn warns_when_nobody_can_connect() {
        let text = report(&Config::default());
        assert!(text.contains("\nwarning: nobody can connect: "), "{text}");
        assert!(text.contains("memory: a single instance"), "{text}");
    }

    #[test]
    fn all_that_is_offered_is_named() {
        let mut all = Endpoints::default();
        assert_eq!(endpoints(&all), "WebSocket at /connection/websocket, server API at /api");
        for enabled in [&mut all.sse.enabled, &mut all.socketio.enabled, &mut all.presence.enabled] {
            *enabled = true;
        }
        let text = endpoints(&all);
        for name in ["server-sent events", "Socket.IO at /socket.io", "boards at /"] {
            assert!(text.contains(name), "{name}: {text}");
        }
        all.websocket.enabled = false;
        assert!(!endpoints(&all).contains("WebSocket"));
    }
}
