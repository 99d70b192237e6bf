//! The Secrets that the operator makes. Their values are generated once and kept: whoever wants another value edits
//! the Secret, and the pods roll.

use super::{
    Names,
    meta::{Component, metadata, strings},
};
use crate::controller::{secrets::Generated, validate::Valid};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use std::collections::BTreeMap;

/// The key with the server API's key.
pub(super) const API_KEY: &str = "key";
/// The key with Redis' password.
pub(super) const PASSWORD: &str = "password";
/// The key with the part of Redis' configuration that holds the password.
pub(super) const AUTH_CONF: &str = "auth.conf";

pub(super) fn api_key(cluster: &Valid, generated: &Generated) -> Secret {
    let name = Names(&cluster.name).api_key();
    secret(cluster, name, Component::Broker, strings([(API_KEY, &generated.api_key.value)]))
}

/// The password twice: as it is for the brokers and probes, and as the line that Redis reads. A password given by hand
/// may hold any character, so it is quoted for Redis.
pub(super) fn redis_auth(cluster: &Valid, generated: &Generated) -> Secret {
    let password = &generated.redis_password.value;
    let quoted: String = password.bytes().map(quote).collect();
    let line = format!("requirepass \"{quoted}\"\n");
    let name = Names(&cluster.name).redis_auth();
    secret(cluster, name, Component::Redis, strings([(PASSWORD, password), (AUTH_CONF, &line)]))
}

fn quote(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("\\x{byte:02x}") }
}

fn secret(cluster: &Valid, name: String, component: Component, data: BTreeMap<String, String>) -> Secret {
    let data = data.into_iter().map(|(key, value)| (key, ByteString(value.into_bytes())));
    Secret {
        metadata: metadata(cluster, name, component),
        type_: Some("Opaque".into()),
        data: Some(data.collect()),
        ..Secret::default()
    }
}
