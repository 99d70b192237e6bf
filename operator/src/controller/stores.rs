//! What the watches have seen: reading from here costs no request.

use super::resources::Kind;
use crate::crd::BrokerCluster;
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, Pod, Service, ServiceAccount},
    policy::v1::PodDisruptionBudget,
};
use kube::{Resource, ResourceExt, runtime::reflector::Store};
use serde::Serialize;
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// The label that names the cluster of an object.
pub(super) const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";

/// The caches, filled by the watches of `runtime`.
#[derive(Clone)]
#[allow(missing_docs)]
pub struct Stores {
    pub clusters: Store<BrokerCluster>,
    pub stateful_sets: Store<StatefulSet>,
    pub services: Store<Service>,
    pub config_maps: Store<ConfigMap>,
    pub service_accounts: Store<ServiceAccount>,
    pub disruption_budgets: Store<PodDisruptionBudget>,
    pub pods: Store<Pod>,
}

/// The objects of one cluster as they are, by kind and name.
pub type Live = BTreeMap<(Kind, String), Value>;

impl Stores {
    /// All objects that carry a cluster's labels, except Secrets, which are not cached.
    pub fn live(&self, namespace: &str, cluster: &str) -> Live {
        let mut live = Live::new();
        collect(&mut live, Kind::StatefulSet, &self.stateful_sets, namespace, cluster);
        collect(&mut live, Kind::Service, &self.services, namespace, cluster);
        collect(&mut live, Kind::ConfigMap, &self.config_maps, namespace, cluster);
        collect(&mut live, Kind::ServiceAccount, &self.service_accounts, namespace, cluster);
        collect(&mut live, Kind::PodDisruptionBudget, &self.disruption_budgets, namespace, cluster);
        live
    }

    /// A StatefulSet by name.
    pub fn stateful_set(&self, namespace: &str, name: &str) -> Option<Arc<StatefulSet>> {
        self.stateful_sets.find(|set| set.namespace().as_deref() == Some(namespace) && set.name_any() == name)
    }

    /// The pods that carry a cluster's labels.
    pub fn pods(&self, namespace: &str, cluster: &str) -> Vec<Arc<Pod>> {
        self.pods.state_filter(|pod| belongs(pod, namespace, cluster))
    }
}

fn collect<K>(live: &mut Live, kind: Kind, store: &Store<K>, namespace: &str, cluster: &str)
where
    K: Resource<DynamicType = ()> + Clone + Serialize,
{
    for object in store.state_filter(|object| belongs(object, namespace, cluster)) {
        let body = serde_json::to_value(&*object).expect("an object is JSON");
        live.insert((kind, object.name_any()), body);
    }
}

fn belongs<K: Resource<DynamicType = ()>>(object: &K, namespace: &str, cluster: &str) -> bool {
    object.namespace().as_deref() == Some(namespace)
        && object.labels().get(INSTANCE_LABEL).is_some_and(|label| label == cluster)
}
