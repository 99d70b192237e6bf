//! A broker's pod.

use super::{
    Images, Names,
    config_map::BROKER_YAML,
    meta::{CLUSTER_LABEL, Component, container_security, labels, pod_security, selector, strings},
    ports::Port,
    secrets::{API_KEY, PASSWORD},
};
use crate::{
    controller::{
        secrets::{JWT_FILE, REDIS_PASSWORD_FILE, api_key_file, further_uses},
        validate::{Valid, ValidRedis},
    },
    crd::{Endpoints, ImagePullPolicy, SecretKeyRef},
};
use k8s_openapi::{
    api::core::v1::{
        Affinity, ConfigMapProjection, Container, ContainerPort, EnvVar, EnvVarSource, ExecAction,
        HTTPGetAction, KeyToPath, Lifecycle, LifecycleHandler, ObjectFieldSelector, PodAffinityTerm,
        PodAntiAffinity, PodSpec, PodTemplateSpec, Probe, ProjectedVolumeSource, SecretProjection, Volume,
        VolumeMount, VolumeProjection, WeightedPodAffinityTerm,
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};
use std::collections::BTreeMap;

/// Where clients connect.
pub(super) const CLIENT_PORT: i32 = 8000;
/// Probes, metrics and health.
pub(super) const ADMIN_PORT: i32 = 9000;

const USER: i64 = 65532;
const SETTINGS: &str = "settings";
const SETTINGS_PATH: &str = "/etc/switchboard";

/// The drain's own time, and some for the process to end by itself.
const GRACE_BEYOND_DRAIN: i64 = 10;

/// Until the nodes have learnt that a pod is leaving, Services send it connections. A broker with few clients is drained
/// sooner than that; gone at once, it would leave those clients to their own time limits, seconds later.
const LINGER: &str = "3s";

/// The path of a file below the folder of settings.
pub(super) fn settings_file(file: &str) -> String {
    format!("{SETTINGS_PATH}/{file}")
}

pub(super) fn api_key_files(cluster: &Valid) -> Vec<String> {
    api_keys(cluster).map(|(file, _)| settings_file(&file)).collect()
}

/// Each key of the server API with its path below the settings: the user's, or the generated one.
fn api_keys(cluster: &Valid) -> impl Iterator<Item = (String, SecretKeyRef)> {
    let mut keys = cluster.spec.auth.api_keys.clone();
    if keys.is_empty() {
        keys.push(SecretKeyRef { name: Names(&cluster.name).api_key(), key: API_KEY.into() });
    }
    keys.into_iter().enumerate().map(|(index, key)| (api_key_file(index), key))
}

pub(super) fn build(cluster: &Valid, images: &Images) -> PodTemplateSpec {
    let template = &cluster.spec.pod_template;
    let mut pod_labels = template.labels.clone();
    pod_labels.extend(labels(&cluster.name, Component::Broker));
    pod_labels.extend(strings([(CLUSTER_LABEL, &cluster.name)]));
    let mut containers = vec![broker(cluster, images)];
    containers.extend(template.containers.iter().cloned());
    let mut volumes = vec![settings(cluster)];
    volumes.extend(template.volumes.iter().cloned());
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(pod_labels),
            annotations: Some(annotations(cluster)),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            service_account_name: Some(Names(&cluster.name).broker()),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            termination_grace_period_seconds: Some(
                cluster.spec.drain.grace_period_seconds + GRACE_BEYOND_DRAIN,
            ),
            security_context: Some(pod_security(USER)),
            image_pull_secrets: some(&cluster.spec.image_pull_secrets),
            init_containers: some(&template.init_containers),
            containers,
            volumes: Some(volumes),
            node_selector: Some(template.node_selector.clone()).filter(|selector| !selector.is_empty()),
            tolerations: some(&template.tolerations),
            affinity: Some(template.affinity.clone().unwrap_or_else(|| apart(cluster))),
            topology_spread_constraints: some(&template.topology_spread_constraints),
            priority_class_name: template.priority_class_name.clone(),
            ..PodSpec::default()
        }),
    }
}

fn some<T: Clone>(items: &[T]) -> Option<Vec<T>> {
    (!items.is_empty()).then(|| items.to_vec())
}

fn annotations(cluster: &Valid) -> BTreeMap<String, String> {
    let mut annotations = cluster.spec.pod_template.annotations.clone();
    if cluster.spec.monitoring.annotations {
        annotations.extend(strings([
            ("prometheus.io/scrape", "true"),
            ("prometheus.io/port", &ADMIN_PORT.to_string()),
            ("prometheus.io/path", "/metrics"),
        ]));
    }
    annotations
}

fn broker(cluster: &Valid, images: &Images) -> Container {
    Container {
        name: "broker".into(),
        image: Some(cluster.spec.image.clone().unwrap_or_else(|| images.broker.clone())),
        image_pull_policy: Some(pull_policy(cluster.spec.image_pull_policy)),
        args: Some(vec!["run".into(), "--config".into(), settings_file(BROKER_YAML)]),
        env: Some(vec![EnvVar {
            name: "SWITCHBOARD_INSTANCE__ID".into(),
            value_from: Some(EnvVarSource {
                field_ref: Some(ObjectFieldSelector {
                    api_version: Some("v1".into()),
                    field_path: "metadata.name".into(),
                }),
                ..EnvVarSource::default()
            }),
            ..EnvVar::default()
        }]),
        ports: Some(container_ports(&cluster.spec.endpoints)),
        // A broker starts in well under a second; it has a minute for a node that is out of breath.
        startup_probe: Some(probe("/livez", 1, 60)),
        liveness_probe: Some(probe("/livez", 10, 3)),
        readiness_probe: Some(probe("/readyz", 2, 2)),
        lifecycle: Some(Lifecycle {
            pre_stop: Some(LifecycleHandler {
                exec: Some(ExecAction {
                    command: Some(
                        ["/usr/local/bin/broker", "drain", "--linger", LINGER].map(Into::into).to_vec(),
                    ),
                }),
                ..LifecycleHandler::default()
            }),
            ..Lifecycle::default()
        }),
        resources: cluster.spec.pod_template.resources.clone(),
        security_context: Some(container_security()),
        volume_mounts: Some(vec![VolumeMount {
            name: SETTINGS.into(),
            mount_path: SETTINGS_PATH.into(),
            read_only: Some(true),
            ..VolumeMount::default()
        }]),
        ..Container::default()
    }
}

pub(super) fn pull_policy(policy: ImagePullPolicy) -> String {
    let policy = match policy {
        ImagePullPolicy::Always => "Always",
        ImagePullPolicy::IfNotPresent => "IfNotPresent",
        ImagePullPolicy::Never => "Never",
    };
    policy.into()
}

/// The ports that clients connect to.
pub(super) fn client_ports(endpoints: &Endpoints) -> Vec<Port> {
    let mut ports = vec![Port::tcp("client", CLIENT_PORT)];
    if endpoints.tcp.enabled {
        ports.push(Port::tcp("tcp", endpoints.tcp.port.into()));
    }
    if endpoints.udp.enabled {
        ports.push(Port { name: "udp", number: endpoints.udp.port.into(), protocol: "UDP" });
    }
    ports
}

fn container_ports(endpoints: &Endpoints) -> Vec<ContainerPort> {
    let mut ports = client_ports(endpoints);
    ports.insert(1, Port::tcp("admin", ADMIN_PORT));
    ports.iter().map(Port::of_container).collect()
}

fn probe(path: &str, period_seconds: i32, failure_threshold: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.into()),
            port: IntOrString::String("admin".into()),
            scheme: Some("HTTP".into()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_seconds),
        failure_threshold: Some(failure_threshold),
        timeout_seconds: Some(2),
        ..Probe::default()
    }
}

/// Everything that the broker reads, in one volume: its configuration file and the secrets that the file names.
fn settings(cluster: &Valid) -> Volume {
    let config = VolumeProjection {
        config_map: Some(ConfigMapProjection {
            name: Names(&cluster.name).config(),
            items: Some(vec![item(BROKER_YAML, BROKER_YAML)]),
            ..ConfigMapProjection::default()
        }),
        ..VolumeProjection::default()
    };
    let mut sources = vec![config];
    let hmac = cluster.spec.auth.jwt.as_ref().and_then(|jwt| jwt.hmac_secret_ref.as_ref());
    sources.extend(hmac.map(|reference| secret(reference, JWT_FILE)));
    sources.extend(api_keys(cluster).map(|(path, key)| secret(&key, &path)));
    sources.extend(redis_password(cluster).map(|reference| secret(&reference, REDIS_PASSWORD_FILE)));
    sources.extend(further_uses(&cluster.spec).map(|used| secret(&used.reference, &used.file)));
    Volume {
        name: SETTINGS.into(),
        projected: Some(ProjectedVolumeSource { sources: Some(sources), default_mode: Some(0o440) }),
        ..Volume::default()
    }
}

fn redis_password(cluster: &Valid) -> Option<SecretKeyRef> {
    match &cluster.redis {
        ValidRedis::Managed { .. } => {
            Some(SecretKeyRef { name: Names(&cluster.name).redis_auth(), key: PASSWORD.into() })
        }
        ValidRedis::External(redis) => redis.password_secret_ref.clone(),
    }
}

fn secret(reference: &SecretKeyRef, path: &str) -> VolumeProjection {
    VolumeProjection {
        secret: Some(SecretProjection {
            name: reference.name.clone(),
            items: Some(vec![item(&reference.key, path)]),
            ..SecretProjection::default()
        }),
        ..VolumeProjection::default()
    }
}

pub(super) fn item(key: &str, path: &str) -> KeyToPath {
    KeyToPath { key: key.into(), path: path.into(), mode: None }
}

/// Instances of one cluster prefer different nodes, so that one node takes at most one of them with it.
fn apart(cluster: &Valid) -> Affinity {
    let term = PodAffinityTerm {
        topology_key: "kubernetes.io/hostname".into(),
        label_selector: Some(LabelSelector {
            match_labels: Some(selector(&cluster.name, Component::Broker)),
            ..LabelSelector::default()
        }),
        ..PodAffinityTerm::default()
    };
    Affinity {
        pod_anti_affinity: Some(PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![WeightedPodAffinityTerm {
                weight: 100,
                pod_affinity_term: term,
            }]),
            ..PodAntiAffinity::default()
        }),
        ..Affinity::default()
    }
}
