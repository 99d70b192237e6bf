//! The watches: what fills the caches and what starts reconciles.

use crate::{
    controller::{
        build::{MANAGED_BY, MANAGED_BY_LABEL, Names},
        secrets::secret_uses,
        stores::Stores,
    },
    crd::BrokerCluster,
};
use futures_util::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::{DeserializeGuard, NamespaceResourceScope, PartialObjectMeta},
    runtime::{
        Controller, WatchStreamExt, predicates,
        reflector::{self, ObjectRef, Store},
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::fmt::Debug;

/// Secrets that are many, large and never named in a BrokerCluster.
const OTHER_SECRETS: &str = "type!=helm.sh/release.v1,type!=kubernetes.io/service-account-token";

/// A controller that is triggered by everything that concerns a BrokerCluster, and the caches that it reads.
pub(super) fn controller(client: &Client, namespace: Option<&str>) -> (Controller<BrokerCluster>, Stores) {
    let (clusters, writer) = reflector::store();
    let own = watcher(api::<DeserializeGuard<BrokerCluster>>(client, namespace), watcher::Config::default())
        .default_backoff()
        .map_ok(readable)
        .modify(forget_managers)
        .reflect(writer)
        .applied_objects()
        // Not its status: that is the operator's own writing.
        .predicate_filter(predicates::generation, Default::default());
    let controller = Controller::for_stream(own, clusters.clone());
    let (controller, stateful_sets) = owns(controller, client, namespace);
    let (controller, services) = owns(controller, client, namespace);
    let (controller, config_maps) = owns(controller, client, namespace);
    let (controller, service_accounts) = owns(controller, client, namespace);
    let (controller, disruption_budgets) = owns(controller, client, namespace);
    let (pods, stream) = children::<Pod>(client, namespace);
    let controller = controller.watches_stream(stream, cluster_of_pod);
    let secrets = api::<PartialObjectMeta<Secret>>(client, namespace);
    let secrets = watcher(secrets, watcher::Config::default().fields(OTHER_SECRETS))
        .default_backoff()
        .touched_objects()
        .predicate_filter(predicates::resource_version, Default::default());
    let known = clusters.clone();
    let controller = controller.watches_stream(secrets, move |secret| users_of(&known, &secret));
    let stores =
        Stores { clusters, stateful_sets, services, config_maps, service_accounts, disruption_budgets, pods };
    (controller, stores)
}

/// An object that cannot be read, such as one with a port past what fits, must not keep all others from being looked
/// at. It counts as gone: what was made for it runs on, and nothing more is done until it can be read.
fn readable(event: Event<DeserializeGuard<BrokerCluster>>) -> Event<BrokerCluster> {
    let (guard, seen): (_, fn(BrokerCluster) -> Event<BrokerCluster>) = match event {
        Event::Apply(guard) => (guard, Event::Apply),
        Event::InitApply(guard) => (guard, Event::InitApply),
        Event::Delete(guard) => (guard, Event::Delete),
        Event::Init => return Event::Init,
        Event::InitDone => return Event::InitDone,
    };
    let invalid = match guard.0 {
        Ok(cluster) => return seen(cluster),
        Err(invalid) => invalid,
    };
    let (namespace, cluster) = (&invalid.metadata.namespace, &invalid.metadata.name);
    tracing::error!(namespace, cluster, "a BrokerCluster cannot be read: {}", invalid.error);
    let gone = json!({
        "apiVersion": BrokerCluster::api_version(&()), "kind": BrokerCluster::kind(&()),
        "metadata": invalid.metadata, "spec": {},
    });
    Event::Delete(serde_json::from_value(gone).expect("an empty spec can be read"))
}

fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

fn owns<K>(
    controller: Controller<BrokerCluster>,
    client: &Client,
    namespace: Option<&str>,
) -> (Controller<BrokerCluster>, Store<K>)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + Sync
        + 'static,
{
    let (store, stream) = children(client, namespace);
    (controller.owns_stream(stream), store)
}

/// A watch of all objects of a kind that the operator made.
fn children<K>(
    client: &Client,
    namespace: Option<&str>,
) -> (Store<K>, impl Stream<Item = Result<K, watcher::Error>> + Send + 'static)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + Sync
        + 'static,
{
    let (store, writer) = reflector::store();
    let ours = watcher::Config::default().labels(&format!("{MANAGED_BY_LABEL}={MANAGED_BY}"));
    let stream = watcher(api::<K>(client, namespace), ours)
        .default_backoff()
        .modify(forget_managers)
        .reflect(writer)
        .touched_objects()
        // The generation would hide changes of labels, deletions, and everything of kinds that have none.
        .predicate_filter(predicates::resource_version, Default::default());
    (store, stream.boxed())
}

/// Who set which field is half of an object's size, and not read.
fn forget_managers<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}

fn cluster_of_pod(pod: Pod) -> Option<ObjectRef<BrokerCluster>> {
    let cluster = pod.labels().get("app.kubernetes.io/instance")?;
    Some(ObjectRef::new(cluster).within(&pod.namespace()?))
}

/// The clusters that use a Secret: those that it was made for, and those that name it.
fn users_of(
    clusters: &Store<BrokerCluster>,
    secret: &PartialObjectMeta<Secret>,
) -> Vec<ObjectRef<BrokerCluster>> {
    let (namespace, name) = (secret.namespace(), secret.name_any());
    let uses = |cluster: &BrokerCluster| {
        let owner = cluster.name_any();
        let names = Names(&owner);
        cluster.namespace() == namespace
            && (names.api_key() == name
                || names.redis_auth() == name
                || secret_uses(&cluster.spec).iter().any(|used| used.reference.name == name))
    };
    clusters.state_filter(uses).iter().map(|cluster| ObjectRef::from_obj(&**cluster)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_that_cannot_be_read_counts_as_gone() {
        let chat = |port: u64| {
            let probe = json!({"httpGet": {"port": port}});
            json!({
                "apiVersion": BrokerCluster::api_version(&()), "kind": BrokerCluster::kind(&()),
                "metadata": {"name": "chat", "namespace": "here", "uid": "u"},
                "spec": {"podTemplate": {"containers": [{"name": "a", "livenessProbe": probe}]}},
            })
        };
        let seen = |port: u64| readable(Event::Apply(serde_json::from_value(chat(port)).unwrap()));
        assert!(matches!(seen(3000), Event::Apply(cluster) if cluster.name_any() == "chat"));
        let Event::Delete(gone) = seen(3_000_000_000) else { panic!("it was read") };
        assert_eq!((gone.name_any().as_str(), gone.uid().as_deref()), ("chat", Some("u")));
    }
}
