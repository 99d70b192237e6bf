//! The brokers' StatefulSet.

use super::{
    Inputs, Names, broker_pod,
    config_map::BROKER_YAML,
    meta::{CONFIG_HASH, Component, label_selector, metadata},
};
use crate::controller::{
    secrets::{Lookup, digest, secret_uses},
    validate::{Valid, ValidRedis},
};
use k8s_openapi::{
    api::{
        apps::v1::{StatefulSet, StatefulSetSpec, StatefulSetUpdateStrategy},
        core::v1::ConfigMap,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

pub(super) fn build(cluster: &Valid, config: &ConfigMap, inputs: &Inputs<'_>) -> StatefulSet {
    let names = Names(&cluster.name);
    let mut template = broker_pod::build(cluster, inputs.images);
    let annotations =
        template.metadata.get_or_insert_with(ObjectMeta::default).annotations.get_or_insert_default();
    annotations.insert(CONFIG_HASH.into(), config_hash(cluster, config, inputs));
    StatefulSet {
        metadata: metadata(cluster, names.broker(), Component::Broker),
        spec: Some(StatefulSetSpec {
            replicas: Some(inputs.replicas),
            service_name: Some(names.headless()),
            selector: label_selector(&cluster.name, Component::Broker),
            // Instances do not wait for each other at the start; a rollout still goes one by one.
            pod_management_policy: Some("Parallel".into()),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("RollingUpdate".into()),
                ..StatefulSetUpdateStrategy::default()
            }),
            revision_history_limit: Some(3),
            template,
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

/// Changes with everything that a broker reads once, at its start.
fn config_hash(cluster: &Valid, config: &ConfigMap, inputs: &Inputs<'_>) -> String {
    let file = config.data.as_ref().and_then(|data| data.get(BROKER_YAML));
    let mut parts: Vec<&[u8]> = file.iter().map(|file| file.as_bytes()).collect();
    for used in secret_uses(&cluster.spec).into_iter().filter(|used| !used.read_again) {
        if let Lookup::Found(digest) = inputs.references.get(&used) {
            parts.push(digest.as_bytes());
        }
    }
    if cluster.spec.auth.api_keys.is_empty() {
        parts.push(inputs.generated.api_key.value.as_bytes());
    }
    if matches!(cluster.redis, ValidRedis::Managed { .. }) {
        parts.push(inputs.generated.redis_password.value.as_bytes());
    }
    digest(parts)
}
