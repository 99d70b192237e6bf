//! A managed Redis' ConfigMap. The password is not in it: `redis.conf` includes a file from the Secret.

use super::{
    Names,
    meta::{Component, metadata, strings},
    redis_stateful_set::{DATA_PATH, REDIS_PORT, SETTINGS_PATH},
    secrets::AUTH_CONF,
};
use crate::controller::validate::{Valid, ValidStorage};
use k8s_openapi::api::core::v1::ConfigMap;
use std::fmt::Write;

/// The key with Redis' configuration file.
pub(super) const REDIS_CONF: &str = "redis.conf";

pub(super) fn build(cluster: &Valid, storage: &ValidStorage, max_memory: Option<u64>) -> ConfigMap {
    ConfigMap {
        metadata: metadata(cluster, Names(&cluster.name).redis_config(), Component::Redis),
        data: Some(strings([(REDIS_CONF, &redis_conf(storage, max_memory))])),
        ..ConfigMap::default()
    }
}

fn redis_conf(storage: &ValidStorage, max_memory: Option<u64>) -> String {
    // What is on a node's disk is gone with the pod, so writing it there would be work for nothing.
    let append_only = match storage {
        ValidStorage::Persistent(_) => "yes",
        ValidStorage::EmptyDir(_) => "no",
    };
    let mut conf = format!(
        "include {SETTINGS_PATH}/{AUTH_CONF}\n\
         port {REDIS_PORT}\n\
         protected-mode yes\n\
         dir {DATA_PATH}\n\
         appendonly {append_only}\n\
         save \"\"\n\
         tcp-keepalive 60\n"
    );
    if let Some(bytes) = max_memory {
        // Refusing a write is an error that somebody sees; evicting keys would lose presence silently.
        let _ = write!(conf, "maxmemory {bytes}\nmaxmemory-policy noeviction\n");
    }
    conf
}
