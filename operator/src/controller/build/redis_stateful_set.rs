//! A managed Redis' StatefulSet.

use super::{
    Inputs, Names,
    broker_pod::{item, pull_policy},
    meta::{
        CONFIG_HASH, Component, container_security, label_selector, labels, metadata, pod_security, selector,
    },
    ports::Port,
    redis_config::REDIS_CONF,
    secrets::{AUTH_CONF, PASSWORD},
};
use crate::{
    controller::{
        secrets::digest,
        validate::{Valid, ValidStorage},
    },
    crd::ManagedRedis,
};
use k8s_openapi::{
    api::{
        apps::v1::{StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec},
        core::v1::{
            ConfigMap, ConfigMapProjection, Container, EmptyDirVolumeSource, EnvVar, EnvVarSource,
            ExecAction, PersistentVolumeClaim, PersistentVolumeClaimSpec, PodSpec, PodTemplateSpec, Probe,
            ProjectedVolumeSource, SecretKeySelector, SecretProjection, Volume, VolumeMount,
            VolumeProjection, VolumeResourceRequirements,
        },
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use std::collections::BTreeMap;

/// Where Redis listens.
pub(super) const REDIS_PORT: i32 = 6379;
/// Where its configuration is mounted.
pub(super) const SETTINGS_PATH: &str = "/etc/redis";
/// Where it keeps its data.
pub(super) const DATA_PATH: &str = "/data";

const USER: i64 = 999;
const SETTINGS: &str = "settings";
const DATA: &str = "data";

pub(super) fn build(
    cluster: &Valid,
    redis: &ManagedRedis,
    storage: &ValidStorage,
    config: &ConfigMap,
    inputs: &Inputs<'_>,
) -> StatefulSet {
    let names = Names(&cluster.name);
    let when_deleted = match storage {
        ValidStorage::Persistent(persistent) if persistent.retain => "Retain",
        _ => "Delete",
    };
    StatefulSet {
        metadata: metadata(cluster, names.redis(), Component::Redis),
        spec: Some(StatefulSetSpec {
            replicas: Some(1),
            service_name: Some(names.redis()),
            // One pod waits for no other; and in order, a pod that cannot start would block its own mending for ever.
            pod_management_policy: Some("Parallel".into()),
            selector: label_selector(&cluster.name, Component::Redis),
            revision_history_limit: Some(3),
            template: pod(cluster, redis, storage, config, inputs),
            volume_claim_templates: claim(cluster, storage).map(|claim| vec![claim]),
            persistent_volume_claim_retention_policy: Some(StatefulSetPersistentVolumeClaimRetentionPolicy {
                when_deleted: Some(when_deleted.into()),
                when_scaled: Some("Retain".into()),
            }),
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

fn pod(
    cluster: &Valid,
    redis: &ManagedRedis,
    storage: &ValidStorage,
    config: &ConfigMap,
    inputs: &Inputs<'_>,
) -> PodTemplateSpec {
    let conf =
        config.data.as_ref().and_then(|data| data.get(REDIS_CONF)).map(String::as_bytes).unwrap_or_default();
    let hash = digest([conf, inputs.generated.redis_password.value.as_bytes()]);
    let mut volumes = vec![settings(cluster)];
    if let ValidStorage::EmptyDir(empty_dir) = storage {
        volumes.push(Volume {
            name: DATA.into(),
            empty_dir: Some(EmptyDirVolumeSource { size_limit: empty_dir.size_limit.clone(), medium: None }),
            ..Volume::default()
        });
    }
    let pull_secrets = &cluster.spec.image_pull_secrets;
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels(&cluster.name, Component::Redis)),
            annotations: Some(BTreeMap::from([(CONFIG_HASH.into(), hash)])),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            termination_grace_period_seconds: Some(30),
            security_context: Some(pod_security(USER)),
            image_pull_secrets: (!pull_secrets.is_empty()).then(|| pull_secrets.clone()),
            containers: vec![container(cluster, redis, inputs)],
            volumes: Some(volumes),
            ..PodSpec::default()
        }),
    }
}

fn container(cluster: &Valid, redis: &ManagedRedis, inputs: &Inputs<'_>) -> Container {
    Container {
        name: "redis".into(),
        image: Some(redis.image.clone().unwrap_or_else(|| inputs.images.redis.clone())),
        image_pull_policy: Some(pull_policy(cluster.spec.image_pull_policy)),
        command: Some(vec!["redis-server".into(), format!("{SETTINGS_PATH}/{REDIS_CONF}")]),
        // redis-cli reads the password from here, so that it never stands in a process list.
        env: Some(vec![EnvVar {
            name: "REDISCLI_AUTH".into(),
            value_from: Some(EnvVarSource {
                secret_key_ref: Some(SecretKeySelector {
                    name: Names(&cluster.name).redis_auth(),
                    key: PASSWORD.into(),
                    optional: None,
                }),
                ..EnvVarSource::default()
            }),
            ..EnvVar::default()
        }]),
        ports: Some(vec![Port::tcp("redis", REDIS_PORT).of_container()]),
        // Five minutes for loading a large append-only file; `-e` fails on the error that Redis answers meanwhile.
        startup_probe: Some(probe(&["redis-cli", "-e", "ping"], 1, 300)),
        readiness_probe: Some(probe(&["redis-cli", "-e", "ping"], 5, 2)),
        liveness_probe: Some(probe(&["redis-cli", "ping"], 15, 3)),
        resources: redis.resources.clone(),
        security_context: Some(container_security()),
        volume_mounts: Some(vec![
            VolumeMount {
                name: SETTINGS.into(),
                mount_path: SETTINGS_PATH.into(),
                read_only: Some(true),
                ..VolumeMount::default()
            },
            VolumeMount { name: DATA.into(), mount_path: DATA_PATH.into(), ..VolumeMount::default() },
        ]),
        ..Container::default()
    }
}

fn probe(command: &[&str], period_seconds: i32, failure_threshold: i32) -> Probe {
    Probe {
        exec: Some(ExecAction { command: Some(command.iter().map(|word| (*word).into()).collect()) }),
        period_seconds: Some(period_seconds),
        failure_threshold: Some(failure_threshold),
        timeout_seconds: Some(3),
        ..Probe::default()
    }
}

fn settings(cluster: &Valid) -> Volume {
    let names = Names(&cluster.name);
    let config = ConfigMapProjection {
        name: names.redis_config(),
        items: Some(vec![item(REDIS_CONF, REDIS_CONF)]),
        ..ConfigMapProjection::default()
    };
    let auth = SecretProjection {
        name: names.redis_auth(),
        items: Some(vec![item(AUTH_CONF, AUTH_CONF)]),
        ..SecretProjection::default()
    };
    Volume {
        name: SETTINGS.into(),
        projected: Some(ProjectedVolumeSource {
            sources: Some(vec![
                VolumeProjection { config_map: Some(config), ..VolumeProjection::default() },
                VolumeProjection { secret: Some(auth), ..VolumeProjection::default() },
            ]),
            default_mode: Some(0o440),
        }),
        ..Volume::default()
    }
}

fn claim(cluster: &Valid, storage: &ValidStorage) -> Option<PersistentVolumeClaim> {
    let ValidStorage::Persistent(persistent) = storage else { return None };
    Some(PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(DATA.into()),
            // Claim templates can never change, so they carry only the labels that never do.
            labels: Some(selector(&cluster.name, Component::Redis)),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".into()]),
            storage_class_name: persistent.storage_class_name.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([("storage".to_owned(), persistent.size.clone())])),
                limits: None,
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    })
}
