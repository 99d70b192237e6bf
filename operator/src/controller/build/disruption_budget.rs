//! The brokers' PodDisruptionBudget.

use super::{
    Names,
    meta::{Component, label_selector, metadata},
};
use crate::controller::validate::Valid;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};

pub(super) fn build(cluster: &Valid) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: metadata(cluster, Names(&cluster.name).broker(), Component::Broker),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(cluster.spec.disruption_budget.max_unavailable.clone()),
            selector: Some(label_selector(&cluster.name, Component::Broker)),
            // A pod that is not ready serves nobody: it must not keep a node from being emptied.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".into()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}
