//! Environment variables over the file: `SWITCHBOARD_AUTH__ANONYMOUS=true` is `auth.anonymous`.

use std::net::SocketAddr;
use std::sync::Arc;

use super::keys;
use super::listen::Client;
use super::place::{Place, Problem};
use super::suggest::did_you_mean;
use super::tree::{DEEPEST, Node, Value, too_deep};

const PREFIX: &str = "SWITCHBOARD_";

/// What the commands for people read: no setting of a broker, which may be started in the same shell.
const OF_COMMANDS: [&str; 2] = ["SWITCHBOARD_URL", "SWITCHBOARD_API_KEY"];

/// Writes the variables over what the file says: aliases first, so that a variable of our own wins.
pub(super) fn overlay(root: &mut Node, variables: impl Iterator<Item = (String, String)>) -> Vec<Problem> {
    let variables = variables.filter(|(name, _)| !OF_COMMANDS.contains(&name.as_str()));
    let (mut own, aliases): (Vec<_>, Vec<_>) = variables.partition(|(name, _)| name.starts_with(PREFIX));
    // A section before its keys: `SWITCHBOARD_REDIS`, then `SWITCHBOARD_REDIS__URL`.
    own.sort();
    let mut problems = Vec::new();
    for (name, text) in aliases {
        problems.extend(alias(root, &name, text).err());
    }
    for (name, text) in own {
        problems.extend(variable(root, &name, text).err());
    }
    problems
}

/// The name of the variable that sets the key `path`.
pub fn variable_of(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "__").to_ascii_uppercase())
}

fn alias(root: &mut Node, name: &str, text: String) -> Result<(), Problem> {
    // Container files set variables to nothing to say that they are not given.
    if text.is_empty() {
        return Ok(());
    }
    match name {
        "REDIS_URL" => set(root, &["redis", "url"], name, text),
        "LOG_LEVEL" => set(root, &["log", "level"], name, text),
        // Kubernetes gives this name to the address of a Service called `ws`.
        "WS_PORT" if text.contains("://") => Ok(()),
        "WS_PORT" => {
            let Ok(port) = text.trim().parse() else {
                return Err(Problem {
                    place: Some(Place::Variable(name.into())),
                    path: String::new(),
                    message: format!(
                        "{text:?} is not a port; write a number from 0 to 65535 (0: any free one)"
                    ),
                });
            };
            let mut address = match root.get(&["client", "address"]).map(|node| &node.value) {
                Some(Value::Text(text)) => match text.trim().parse::<SocketAddr>() {
                    Ok(address) => address,
                    // The file's error is the one to report.
                    Err(_) => return Ok(()),
                },
                Some(_) => return Ok(()),
                None => Client::default().address,
            };
            address.set_port(port);
            set(root, &["client", "address"], name, address.to_string())
        }
        _ => Ok(()),
    }
}

fn variable(root: &mut Node, name: &str, text: String) -> Result<(), Problem> {
    let key = name[PREFIX.len()..].to_ascii_lowercase();
    let path: Vec<&str> = key.split("__").collect();
    if path.len() > DEEPEST {
        let place = Some(Place::Variable(name.into()));
        return Err(Problem { place, path: String::new(), message: too_deep() });
    }
    if keys::sections().iter().any(|section| section == path[0]) {
        return set(root, &path, name, text);
    }
    if is_service_link(&key, &text) {
        return Ok(());
    }
    let known: Vec<String> = keys::leaves().iter().map(|leaf| variable_of(&leaf.path)).collect();
    let hint = did_you_mean(name, known.iter().map(String::as_str))
        .map(|near| format!("did you mean {near}?"))
        .unwrap_or_else(|| format!("settings are named like {}", variable_of("auth.anonymous")));
    Err(Problem {
        place: Some(Place::Variable(name.into())),
        path: String::new(),
        message: format!("no setting has this name; {hint}"),
    })
}

fn set(root: &mut Node, path: &[&str], name: &str, text: String) -> Result<(), Problem> {
    let place = Place::Variable(Arc::from(name));
    root.set(path, Node { value: Value::Raw(text), place })
}

/// Kubernetes describes each Service of the namespace to containers by variables made of its name. For a
/// Service that is called `switchboard`, or starts so, they look like settings and are passed over.
fn is_service_link(key: &str, text: &str) -> bool {
    let key = format!("_{key}");
    let Some((_, rest)) = key.split_once("_service_host").or_else(|| key.split_once("_service_port")) else {
        return match key.rsplit_once("_port_") {
            Some((_, tail)) => is_port_variable(tail),
            None => key.ends_with("_port") && text.contains("://"),
        };
    };
    rest.is_empty() || rest.starts_with('_')
}

/// `8000_tcp`, `8000_tcp_addr`, …
fn is_port_variable(tail: &str) -> bool {
    let mut parts = tail.split('_');
    parts.next().is_some_and(|port| port.parse::<u16>().is_ok())
        && parts.next().is_some_and(|protocol| ["tcp", "udp", "sctp"].contains(&protocol))
        && parts.next().is_none_or(|what| ["addr", "port", "proto"].contains(&what))
        && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_links_are_told_from_settings() {
        for (name, text, link) in [
            ("service_host", "10.0.0.1", true),
            ("service_port", "8000", true),
            ("service_port_http", "8000", true),
            ("port", "tcp://10.0.0.1:8000", true),
            ("port_8000_tcp", "tcp://10.0.0.1:8000", true),
            ("port_8000_tcp_addr", "10.0.0.1", true),
            ("port_8000_tcp_port", "8000", true),
            ("port_8000_tcp_proto", "tcp", true),
            ("operator_service_host", "10.0.0.1", true),
            ("operator_port_8080_tcp", "tcp://10.0.0.1:8080", true),
            ("port", "8000", false),
            ("port_http", "8000", false),
            ("service", "x", false),
            ("log_level", "debug", false),
        ] {
            assert_eq!(is_service_link(name, text), link, "{name}");
        }
    }
}
