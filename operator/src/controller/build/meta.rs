//! What all objects have in common: labels, owner, security.

use crate::{controller::validate::Valid, crd::BrokerCluster};
use k8s_openapi::{
    api::core::v1::{Capabilities, PodSecurityContext, SeccompProfile, SecurityContext},
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference},
};
use kube::Resource;
use std::collections::BTreeMap;

/// The field manager of everything that the operator applies.
pub const FIELD_MANAGER: &str = "switchboard-operator";
/// The label by which the operator finds its objects.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// That label's value.
pub const MANAGED_BY: &str = "switchboard-operator";
/// The label of brokers' pods that names their cluster.
pub const CLUSTER_LABEL: &str = "switchboard.dev/cluster";
/// The annotation of a pod template that changes with configuration and Secrets, so that a change rolls the pods.
pub const CONFIG_HASH: &str = "switchboard.dev/config-hash";
/// The annotation that tells what was applied, so that a steady cluster costs no writes.
pub const APPLIED_HASH: &str = "switchboard.dev/applied-hash";

/// A part of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Component {
    Broker,
    Redis,
}

impl Component {
    fn as_str(self) -> &'static str {
        match self {
            Component::Broker => "broker",
            Component::Redis => "redis",
        }
    }

    fn app(self) -> &'static str {
        match self {
            Component::Broker => "switchboard-broker",
            Component::Redis => "switchboard-redis",
        }
    }
}

/// The labels that select a component's pods. They can never change: a StatefulSet's selector is immutable.
pub(super) fn selector(cluster: &str, component: Component) -> BTreeMap<String, String> {
    strings([("app.kubernetes.io/instance", cluster), ("app.kubernetes.io/component", component.as_str())])
}

/// The brokers' selector as one string, for the scale subresource.
pub fn broker_selector(cluster: &str) -> String {
    let labels = selector(cluster, Component::Broker);
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

pub(super) fn label_selector(cluster: &str, component: Component) -> LabelSelector {
    LabelSelector { match_labels: Some(selector(cluster, component)), ..LabelSelector::default() }
}

pub(super) fn labels(cluster: &str, component: Component) -> BTreeMap<String, String> {
    let mut labels = selector(cluster, component);
    labels.extend(strings([("app.kubernetes.io/name", component.app()), (MANAGED_BY_LABEL, MANAGED_BY)]));
    labels
}

/// The metadata of an object of the cluster, owned by it: deleting the cluster deletes the object.
pub(super) fn metadata(cluster: &Valid, name: String, component: Component) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(cluster.namespace.clone()),
        labels: Some(labels(&cluster.name, component)),
        owner_references: Some(vec![OwnerReference {
            api_version: BrokerCluster::api_version(&()).into_owned(),
            kind: BrokerCluster::kind(&()).into_owned(),
            name: cluster.name.clone(),
            uid: cluster.uid.clone(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }]),
        ..ObjectMeta::default()
    }
}

pub(super) fn strings<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// A pod that runs as this user and may own files of this group.
pub(super) fn pod_security(user: i64) -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(user),
        run_as_group: Some(user),
        fs_group: Some(user),
        fs_group_change_policy: Some("OnRootMismatch".into()),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".into(), ..SeccompProfile::default() }),
        ..PodSecurityContext::default()
    }
}

/// A container without any privilege and with a root file system that it cannot write.
pub(super) fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".into()]), ..Capabilities::default() }),
        ..SecurityContext::default()
    }
}
