//! `client` and `admin`: the two addresses that the broker listens on.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Deserializer, Serialize, de};

use super::network::Network;
use super::place::Problem;
use super::tls::Tls;

/// Where clients connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Client {
    /// Address of all endpoints that speak HTTP or start as HTTP.
    #[serde(deserialize_with = "address")]
    pub address: SocketAddr,
    /// Values of a browser's `Origin` that may connect; empty: only pages of the same host; `*`: any.
    pub allowed_origins: Vec<String>,
    /// TLS on the address; without it the broker speaks plainly.
    pub tls: Option<Tls>,
    /// Proxies that say for whom they connect.
    pub proxy_protocol: ProxyProtocol,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8000)),
            allowed_origins: Vec::new(),
            tls: None,
            proxy_protocol: ProxyProtocol::default(),
        }
    }
}

/// The PROXY protocol, by which a proxy that passes on bytes tells the address of its client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProxyProtocol {
    /// Whether connections from the networks below begin with a header of the protocol.
    pub enabled: bool,
    /// Where proxies connect from; nobody else is believed.
    pub trusted: Vec<Network>,
}

impl Client {
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        for (i, origin) in self.allowed_origins.iter().enumerate() {
            if origin != "*" && !is_origin(origin) {
                problems.push(Problem::of(
                    format!("client.allowed_origins[{i}]"),
                    format!("{origin:?} is not an origin; write it as browsers send it, such as https://app.example.com or https://*.example.com, or \"*\" for any"),
                ));
            }
        }
        if let Some(tls) = &self.tls {
            tls.check(problems);
        }
        if self.proxy_protocol.enabled && self.proxy_protocol.trusted.is_empty() {
            problems.push(Problem::of(
                "client.proxy_protocol.trusted",
                "is empty, so that no proxy would be believed; list the networks that your proxies connect from, such as 10.0.0.0/8",
            ));
        }
    }

    /// Reads what the files of TLS hold, only to say now what is wrong with it.
    pub(super) fn resolve(&self, problems: &mut Vec<Problem>) {
        if let Some(tls) = &self.tls {
            problems.extend(tls.read().and_then(|files| files.pair(tls)).err());
        }
    }
}

/// `scheme://host` or `scheme://host:port`, nothing after it.
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return false };
    let plain =
        |c: char| !c.is_whitespace() && !c.is_ascii_uppercase() && !matches!(c, '/' | '?' | '#' | '@');
    !scheme.is_empty()
        && scheme
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '+' | '-' | '.'))
        && !host.is_empty()
        && host.chars().all(plain)
}

/// Where metrics, probes and drain are asked for; never reachable from outside the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Address of the admin endpoints.
    #[serde(deserialize_with = "address")]
    pub address: SocketAddr,
}

impl Default for Admin {
    fn default() -> Self {
        Self { address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 9000)) }
    }
}

impl Admin {
    pub(super) fn check(&self, client: &Client, problems: &mut Vec<Problem>) {
        let port = self.address.port();
        // Port 0 is "any free one", so two of them never meet.
        if port != 0 && port == client.address.port() {
            // The one that was written is the one to change.
            let written = if *self == Self::default() { "client.address" } else { "admin.address" };
            problems.push(Problem::of(
                written,
                format!("client and admin both have port {port}; give each its own, such as 8000 and 9000"),
            ));
        }
    }
}

pub(super) fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.trim().parse().map_err(|_| de::Error::custom(explain(&text)))
}

/// Tells a bad port from a bad address.
fn explain(text: &str) -> String {
    match text.rsplit_once(':') {
        Some((host, port)) if host.parse::<Ipv4Addr>().is_ok() && port.parse::<u16>().is_err() => {
            format!("{port:?} is not a port; write a number from 0 to 65535 (0: any free one)")
        }
        _ => format!("{text:?} is not an address; write an IP and a port, such as 0.0.0.0:8000 or [::]:8000"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        for (text, valid) in [
            ("https://app.example.com", true),
            ("http://localhost:3000", true),
            ("chrome-extension://abc", true),
            ("http://[::1]:80", true),
            ("app.example.com", false),
            ("https://app.example.com/", false),
            ("https://*.example.com", true),
            ("https://", false),
            ("HTTPS://a", false),
            ("", false),
        ] {
            assert_eq!(is_origin(text), valid, "{text:?}");
        }
    }

    #[test]
    fn a_proxy_is_believed_by_its_network_alone() {
        let mut client = Client::default();
        let problems = |client: &Client| {
            let mut problems = Vec::new();
            client.check(&mut problems);
            problems.into_iter().map(|problem| problem.path).collect::<Vec<_>>()
        };
        client.proxy_protocol.enabled = true;
        assert_eq!(problems(&client), ["client.proxy_protocol.trusted"]);
        client.proxy_protocol.trusted.push("10.0.0.0/8".parse().unwrap());
        assert!(problems(&client).is_empty());
    }

    #[test]
    fn a_bad_port_is_told_from_a_bad_address() {
        assert!(explain("0.0.0.0:80000").starts_with("\"80000\" is not a port"));
        assert!(explain("localhost:80").contains("is not an address"));
        assert!(explain("8000").contains("is not an address"));
    }
}
