//! From a spec as written to one that can be built. Pure.
//!
//! The API server has checked most of it by the rules of the CRD; what is left is what it cannot see (Secrets), and
//! the same forms once more for objects that were stored under an older CRD. What comes out holds the choices as
//! enums, so `build` has no impossible case to think of.

use super::{
    secrets::{Lookup, References, SecretUse, secret_uses},
    webhooks::{Place, webhooks},
};
use crate::crd::{
    BrokerCluster, BrokerClusterSpec, EmptyDirStorage, ExternalRedis, ManagedRedis, PersistentStorage,
    SecretKeyRef,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use std::{collections::BTreeMap, fmt};

/// A cluster that can be built.
#[derive(Clone, Debug)]
pub struct Valid {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its unique ID, for owner references.
    pub uid: String,
    /// The rest of what was written.
    pub spec: BrokerClusterSpec,
    /// Its Redis.
    pub redis: ValidRedis,
    /// `limits.messageSize` in bytes.
    pub message_size: u64,
    /// `limits.outboxSize` in bytes.
    pub outbox_size: u64,
    /// `endpoints.socketio.maxPayload` in bytes.
    pub max_payload: u64,
    /// `endpoints.presence.compressAbove` in bytes.
    pub compress_above: u64,
    /// `responseSize` of each webhook in bytes.
    pub response_sizes: BTreeMap<Place, u64>,
}

/// The one Redis that was chosen.
#[derive(Clone, Debug)]
pub enum ValidRedis {
    /// Run by the operator.
    Managed {
        /// As written.
        redis: ManagedRedis,
        /// The one storage that was chosen.
        storage: ValidStorage,
        /// `maxMemory` in bytes.
        max_memory: Option<u64>,
    },
    /// Run by somebody else.
    External(ExternalRedis),
}

/// The one storage that was chosen.
#[derive(Clone, Debug)]
pub enum ValidStorage {
    /// A volume.
    Persistent(PersistentStorage),
    /// The node's disk.
    EmptyDir(EmptyDirStorage),
}

/// Why a cluster cannot be built. Neither kind is retried: a change of the spec or of the Secret starts it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The spec is wrong, in these ways.
    Spec(Vec<String>),
    /// Secrets that it refers to are missing or lack a key.
    Secrets(Vec<String>),
}

impl Rejection {
    /// The reason that conditions and events carry.
    pub fn reason(&self) -> &'static str {
        match self {
            Rejection::Spec(_) => "InvalidSpec",
            Rejection::Secrets(_) => "SecretMissing",
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Rejection::Spec(problems) | Rejection::Secrets(problems)) = self;
        f.write_str(&problems.join("; "))
    }
}

/// Checks a cluster against everything that can be known before building it.
pub fn validate(cluster: &BrokerCluster, secrets: &References) -> Result<Valid, Rejection> {
    let mut problems = Vec::new();
    let spec = &cluster.spec;
    let name = cluster.metadata.name.clone().unwrap_or_default();
    let namespace = cluster.metadata.namespace.clone().unwrap_or_else(|| "default".into());
    if spec.replicas < 0 {
        problems.push("spec.replicas cannot be negative: write 0 or more".into());
    }
    let message_size = size("spec.limits.messageSize", &spec.limits.message_size, &mut problems);
    let outbox_size = size("spec.limits.outboxSize", &spec.limits.outbox_size, &mut problems);
    let endpoints = &spec.endpoints;
    let max_payload =
        size("spec.endpoints.socketio.maxPayload", &endpoints.socketio.max_payload, &mut problems);
    let compress_above =
        size("spec.endpoints.presence.compressAbove", &endpoints.presence.compress_above, &mut problems);
    let response_sizes = response_sizes(spec, &mut problems);
    let redis = redis(spec, &mut problems);
    let Some(redis) = redis.filter(|_| problems.is_empty()) else { return Err(Rejection::Spec(problems)) };
    let missing = missing_secrets(spec, &namespace, secrets);
    if !missing.is_empty() {
        return Err(Rejection::Secrets(missing));
    }
    let uid = cluster.metadata.uid.clone().unwrap_or_default();
    Ok(Valid {
        name,
        namespace,
        uid,
        spec: spec.clone(),
        redis,
        message_size,
        outbox_size,
        max_payload,
        compress_above,
        response_sizes,
    })
}

fn redis(spec: &BrokerClusterSpec, problems: &mut Vec<String>) -> Option<ValidRedis> {
    match (&spec.redis.managed, &spec.redis.external) {
        (Some(redis), None) => {
            let max_memory = redis.max_memory.as_ref();
            let max_memory =
                max_memory.map(|quantity| size("spec.redis.managed.maxMemory", quantity, problems));
            let storage = match (&redis.storage.persistent, &redis.storage.empty_dir) {
                (Some(persistent), None) => ValidStorage::Persistent(persistent.clone()),
                (None, Some(empty_dir)) => ValidStorage::EmptyDir(empty_dir.clone()),
                _ => {
                    problems.push(
                        "spec.redis.managed.storage: write exactly one of persistent: {size: 1Gi} and emptyDir: {}"
                            .into(),
                    );
                    return None;
                }
            };
            Some(ValidRedis::Managed { redis: redis.clone(), storage, max_memory })
        }
        (None, Some(redis)) => {
            if !redis.url.starts_with("redis://") && !redis.url.starts_with("rediss://") {
                problems.push("spec.redis.external.url must begin with redis:// or rediss://".into());
            }
            if redis.url.contains('@') {
                problems.push(
                    "spec.redis.external.url must not contain credentials: use username and passwordSecretRef".into(),
                );
            }
            Some(ValidRedis::External(redis.clone()))
        }
        _ => {
            problems.push("spec.redis: write exactly one of managed and external".into());
            None
        }
    }
}

fn response_sizes(spec: &BrokerClusterSpec, problems: &mut Vec<String>) -> BTreeMap<Place, u64> {
    let sizes = webhooks(spec).map(|(place, webhook)| {
        let quantity = Quantity(webhook.response_size.clone());
        let bytes = size(&place.field("responseSize"), &quantity, problems);
        (place, bytes)
    });
    sizes.collect()
}

fn size(field: &str, quantity: &Quantity, problems: &mut Vec<String>) -> u64 {
    let bytes = bytes(quantity).filter(|bytes| *bytes > 0);
    bytes.unwrap_or_else(|| {
        problems.push(format!("{field}: '{}' is not a size: write one such as 64Ki, 1Mi or 2Gi", quantity.0));
        0
    })
}

/// A quantity as whole bytes, rounded up.
fn bytes(quantity: &Quantity) -> Option<u64> {
    let text = quantity.0.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '+').unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let number: f64 = number.parse().ok()?;
    let scale = match suffix {
        "" => 1.0,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "Ki" => 1024.0,
        "Mi" => 1024f64.powi(2),
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        exponent => 10f64.powi(exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
    };
    let bytes = (number * scale).ceil();
    (bytes.is_finite() && bytes < u64::MAX as f64).then_some(bytes as u64)
}

fn missing_secrets(spec: &BrokerClusterSpec, namespace: &str, secrets: &References) -> Vec<String> {
    let mut missing = Vec::new();
    for used in secret_uses(spec) {
        let SecretUse { field, reference: SecretKeyRef { name, key }, .. } = &used;
        let problem = match secrets.get(&used) {
            Lookup::Found(_) => continue,
            Lookup::Unusable(why) => {
                format!("the key {key} of the Secret {name}, which {field} names, {why}")
            }
            Lookup::NoKey(keys) => format!(
                "the Secret {name} has no key {key}, which {field} names; it has: {}",
                if keys.is_empty() { "none".into() } else { keys.join(", ") }
            ),
            Lookup::NoSecret => format!(
                "the Secret {name}, which {field} names, does not exist in the namespace {namespace}: create it with {}",
                used.how_to_create(namespace)
            ),
        };
        // A field that names several keys of one Secret has one thing to say when there is no such Secret.
        if !missing.contains(&problem) {
            missing.push(problem);
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cluster(spec: serde_json::Value) -> BrokerCluster {
        serde_json::from_value(json!({
            "apiVersion": "switchboard.dev/v1alpha1", "kind": "BrokerCluster",
            "metadata": {"name": "chat", "namespace": "here", "uid": "u"}, "spec": spec,
        }))
        .unwrap()
    }

    fn problems(spec: serde_json::Value) -> String {
        validate(&cluster(spec), &References::default()).unwrap_err().to_string()
    }

    #[test]
    fn quantities_become_bytes() {
        for (text, expected) in [
            ("65536", Some(65536)),
            ("64Ki", Some(65536)),
            ("1.5Mi", Some(1_572_864)),
            ("2k", Some(2000)),
            ("1e6", Some(1_000_000)),
            ("1500m", Some(2)),
            ("64KB", None),
            ("", None),
            ("-1", None),
            ("lots", None),
        ] {
            assert_eq!(bytes(&Quantity(text.into())), expected, "{text}");
        }
    }

    #[test]
    fn choices_become_enums() {
        let managed =
            cluster(json!({"redis": {"managed": {"storage": {"emptyDir": {}}, "maxMemory": "1Ki"}}}));
        let valid = validate(&managed, &References::default()).unwrap();
        assert!(matches!(
            valid.redis,
            ValidRedis::Managed { storage: ValidStorage::EmptyDir(_), max_memory: Some(1024), .. }
        ));
        assert_eq!((valid.message_size, valid.outbox_size), (65_536, 1_048_576));
    }

    #[test]
    fn what_an_older_definition_let_through_is_refused() {
        let storage = json!({"storage": {"emptyDir": {}}});
        assert!(problems(json!({})).contains("exactly one of managed and external"));
        assert!(problems(json!({"redis": {"managed": {}}})).contains("exactly one of persistent"));
        assert!(problems(json!({"redis": {"external": {"url": "http://x"}}})).contains("redis://"));
        assert!(
            problems(json!({"redis": {"external": {"url": "redis://a:b@x"}}})).contains("passwordSecretRef")
        );
        assert!(problems(json!({"replicas": -1, "redis": {"managed": storage}})).contains("negative"));
        let limits = json!({"messageSize": "64KB"});
        assert!(
            problems(json!({"limits": limits, "redis": {"managed": storage}}))
                .contains("'64KB' is not a size")
        );
        let endpoints = json!({"socketio": {"maxPayload": "1MB"}, "presence": {"compressAbove": "lots"}});
        let sizes = problems(json!({"endpoints": endpoints, "redis": {"managed": storage}}));
        assert!(sizes.contains("spec.endpoints.socketio.maxPayload: '1MB' is not a size"), "{sizes}");
        assert!(sizes.contains("spec.endpoints.presence.compressAbove: 'lots' is not a size"), "{sizes}");
        let hooks = json!({"connect": {"webhook": {"url": "http://h", "responseSize": "1MB"}}});
        assert!(
            problems(json!({"hooks": hooks, "redis": {"managed": storage}}))
                .contains("spec.hooks.connect.webhook.responseSize: '1MB' is not a size")
        );
    }

    #[test]
    fn missing_secrets_are_named_with_the_field() {
        let spec = json!({
            "endpoints": {"tls": {"secretName": "cert"}},
            "auth": {"jwt": {"hmacSecretRef": {"name": "tokens", "key": "hmac"}}, "apiKeys": [{"name": "api", "key": "k"}]},
            "hooks": {"publish": {"webhook": {"url": "http://h", "secretRef": {"name": "hooks", "key": "secret"}}}},
            "redis": {"external": {"url": "redis://r", "passwordSecretRef": {"name": "pass", "key": "p"}}},
        });
        let mut secrets = References::default();
        let cluster = cluster(spec);
        for used in secret_uses(&cluster.spec) {
            match used.field.as_str() {
                "spec.redis.external.passwordSecretRef" => secrets.insert(&used, Lookup::Found("x".into())),
                "spec.auth.apiKeys[0]" => secrets.insert(&used, Lookup::NoKey(vec!["key".into()])),
                _ => {}
            }
        }
        let rejection = validate(&cluster, &secrets).unwrap_err();
        assert_eq!(rejection.reason(), "SecretMissing");
        let text = rejection.to_string();
        assert!(
            text.contains("the Secret tokens, which spec.auth.jwt.hmacSecretRef names, does not exist"),
            "{text}"
        );
        assert!(
            text.contains("the Secret api has no key k, which spec.auth.apiKeys[0] names; it has: key"),
            "{text}"
        );
        assert_eq!(
            text.matches("kubectl -n here create secret tls cert --cert=FILE --key=FILE").count(),
            1,
            "{text}"
        );
        let hook = "the Secret hooks, which spec.hooks.publish.webhook.secretRef names, does not exist in the namespace \
                    here: create it with kubectl -n here create secret generic hooks --from-file=secret=FILE";
        assert!(text.contains(hook), "{text}");
        assert!(!text.contains("pass"), "{text}");
    }
}
