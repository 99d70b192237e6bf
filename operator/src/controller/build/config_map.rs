//! The brokers' ConfigMap.

use super::{
    Names,
    broker_config::broker_config,
    meta::{Component, metadata},
};
use crate::controller::validate::Valid;
use k8s_openapi::api::core::v1::ConfigMap;
use std::collections::BTreeMap;

/// The key with the configuration file.
pub(super) const BROKER_YAML: &str = "broker.yaml";

pub(super) fn build(cluster: &Valid) -> ConfigMap {
    let file = serde_yaml::to_string(&broker_config(cluster)).expect("a configuration is YAML");
    ConfigMap {
        metadata: metadata(cluster, Names(&cluster.name).config(), Component::Broker),
        data: Some(BTreeMap::from([(BROKER_YAML.to_owned(), file)])),
        ..ConfigMap::default()
    }
}
