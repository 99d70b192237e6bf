//! One test's namespace, its operator, and what tests ask again and again.

use super::server::{self, server};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{apps::v1::StatefulSet, core::v1::Pod},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DynamicObject, ListParams, Patch, PatchParams, PostParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};
use switchboard_operator::{
    controller::{build::Images, resources::Kind},
    crd::BrokerCluster,
    runtime::{self, Operator, Settings, lease::LeaseSettings},
};
use tokio_util::sync::CancellationToken;

/// How long anything may take that is not about time.
const PATIENCE: Duration = Duration::from_secs(60);

/// A namespace of its own.
pub(crate) struct Fixture {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

/// An operator that ends with the test.
pub(crate) struct Running {
    pub(crate) operator: Operator,
    pub(crate) stop: CancellationToken,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.operator.kill();
    }
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let client = server().admin();
        let namespace = format!("test-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        server::namespace(&client, &namespace).await;
        // The operator's Lease lies in the test's namespace; the chart gives that right in its own only.
        let rights = json!([
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
             "metadata": {"name": "lease", "namespace": namespace},
             "rules": [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create", "get", "update"]}]},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
             "metadata": {"name": "lease", "namespace": namespace},
             "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "lease"},
             "subjects": [{"kind": "ServiceAccount", "name": "switchboard", "namespace": "switchboard"}]},
        ]);
        for object in rights.as_array().expect("a list").clone() {
            server::apply(&client, object).await;
        }
        Self { client, namespace }
    }

    /// Starts an operator for this namespace, with the chart's rights.
    pub(crate) async fn operator(&self) -> Running {
        self.operator_with(server().operator(), |_| {}).await
    }

    pub(crate) async fn operator_with(&self, client: Client, change: impl FnOnce(&mut Settings)) -> Running {
        let mut settings = Settings {
            images: Images { broker: "example.test/broker:1".into(), redis: "example.test/redis:1".into() },
            namespace: Some(self.namespace.clone()),
            admin: "127.0.0.1:0".parse().expect("an address"),
            lease: LeaseSettings {
                namespace: self.namespace.clone(),
                name: "switchboard".into(),
                identity: format!("operator-{}", rand::random::<u32>()),
                duration: Duration::from_secs(3),
                deadline: Duration::from_secs(2),
                retry: Duration::from_millis(200),
            },
            broker_admin_port: 9000,
        };
        change(&mut settings);
        // The operator's own words, shown with a failed test.
        let _ = tracing_subscriber::fmt().with_test_writer().with_max_level(tracing::Level::INFO).try_init();
        let stop = CancellationToken::new();
        let operator = runtime::start(client, settings, stop.clone()).await.expect("the operator starts");
        Running { operator, stop }
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) fn dynamic(&self, kind: Kind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &kind.api_resource())
    }

    /// Creates or changes a BrokerCluster, as `kubectl apply --server-side` would.
    pub(crate) async fn apply(&self, name: &str, spec: Value) -> Result<BrokerCluster, String> {
        let body = json!({
            "apiVersion": "switchboard.dev/v1alpha1", "kind": "BrokerCluster",
            "metadata": {"name": name, "namespace": self.namespace}, "spec": spec,
        });
        let params = PatchParams::apply("test").force().validation_strict();
        let applied = self.api().patch(name, &params, &Patch::Apply(&body)).await;
        applied.map_err(server::message)
    }

    /// A small cluster, `chat`.
    pub(crate) async fn chat(&self) -> BrokerCluster {
        self.apply("chat", chat()).await.expect("it is valid")
    }

    pub(crate) async fn get<K>(&self, name: &str) -> Option<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
    {
        self.api().get_opt(name).await.expect("the API server answers")
    }

    /// Waits until the cluster is as the predicate says, and returns it.
    pub(crate) async fn cluster_until(
        &self,
        name: &str,
        what: &str,
        predicate: impl Fn(&BrokerCluster) -> bool,
    ) -> BrokerCluster {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let cluster = self.get::<BrokerCluster>(name).await;
            match cluster {
                Some(cluster) if predicate(&cluster) => return cluster,
                cluster => assert!(
                    Instant::now() < deadline,
                    "{name} did not come to: {what}; its status: {}",
                    serde_json::to_string_pretty(&cluster.and_then(|cluster| cluster.status)).expect("JSON")
                ),
            }
            pause().await;
        }
    }

    /// All objects that carry the cluster's label, by kind and name.
    pub(crate) async fn objects(&self, cluster: &str) -> BTreeMap<(Kind, String), DynamicObject> {
        let ours = ListParams::default().labels(&format!(
            "app.kubernetes.io/instance={cluster},app.kubernetes.io/managed-by=switchboard-operator"
        ));
        let mut objects = BTreeMap::new();
        for kind in Kind::ALL {
            for object in self.dynamic(kind).list(&ours).await.expect("a list") {
                objects.insert((kind, object.name_any()), object);
            }
        }
        objects
    }

    /// Waits until the operator has made the brokers' StatefulSet and reported it.
    pub(crate) async fn settled(&self, name: &str) {
        self.cluster_until(name, "reported after the first application", |cluster| {
            reason(cluster, "Progressing").is_some_and(|reason| reason != "Stopped")
        })
        .await;
    }

    /// Does what kubelets would: makes the pods of a StatefulSet run, with an address each.
    pub(crate) async fn run_pods(&self, set: &str, count: i32) {
        for ordinal in 0..count {
            let name = format!("{set}-{ordinal}");
            until(&format!("the pod {name} exists"), async || self.get::<Pod>(&name).await.is_some()).await;
            self.set_pod(&name, true, None).await;
        }
        until(&format!("{count} pods of {set} are counted as ready"), async || {
            let set = self.get::<StatefulSet>(set).await;
            set.and_then(|set| set.status).and_then(|status| status.ready_replicas).unwrap_or_default()
                == count
        })
        .await;
    }

    /// Sets a pod's status as its kubelet would.
    pub(crate) async fn set_pod(&self, name: &str, ready: bool, ip: Option<&str>) {
        let status = if ready { "True" } else { "False" };
        let now = k8s_openapi::jiff::Timestamp::now().to_string();
        let mut body = json!({"status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": status, "lastTransitionTime": now}],
        }});
        if let Some(ip) = ip {
            body["status"]["podIP"] = json!(ip);
            body["status"]["podIPs"] = json!([{"ip": ip}]);
        }
        let patched =
            self.api::<Pod>().patch_status(name, &PatchParams::default(), &Patch::Merge(body)).await;
        patched.unwrap_or_else(|error| panic!("cannot set the status of the pod {name}: {error}"));
    }

    /// Makes a Secret with one key.
    pub(crate) async fn secret(&self, name: &str, key: &str, value: &str) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": self.namespace},
            "stringData": {key: value},
        });
        server::apply(&self.client, secret).await;
    }

    pub(crate) async fn create<K>(&self, object: Value)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + serde::Serialize
            + Debug,
    {
        let object: K = serde_json::from_value(object).expect("an object");
        self.api().create(&PostParams::default(), &object).await.expect("it is created");
    }
}

/// The spec of the small cluster.
pub(crate) fn chat() -> Value {
    json!({"auth": {"anonymous": true}, "redis": {"managed": {"storage": {"persistent": {"size": "1Gi"}}}}})
}

/// The reason of a condition.
pub(crate) fn reason(cluster: &BrokerCluster, type_: &str) -> Option<String> {
    condition(cluster, type_).map(|(_, reason, _)| reason)
}

/// Status, reason and message of a condition, once it speaks of the newest spec.
pub(crate) fn condition(cluster: &BrokerCluster, type_: &str) -> Option<(String, String, String)> {
    let status = cluster.status.as_ref()?;
    if Some(status.observed_generation) != cluster.metadata.generation {
        return None;
    }
    let condition = status.conditions.iter().find(|condition| condition.type_ == type_)?;
    Some((condition.status.clone(), condition.reason.clone(), condition.message.clone()))
}

/// Polls until it is so, or fails saying what was waited for.
pub(crate) async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so().await {
        assert!(Instant::now() < deadline, "it did not come to this: {what}");
        pause().await;
    }
}

/// Between two looks.
pub(crate) async fn pause() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// What a cluster consists of, for tests that go through all kinds.
pub(crate) const EVERYTHING: [(Kind, &str); 11] = [
    (Kind::ServiceAccount, "chat"),
    (Kind::Secret, "chat-api-key"),
    (Kind::Secret, "chat-redis-auth"),
    (Kind::ConfigMap, "chat-config"),
    (Kind::ConfigMap, "chat-redis-config"),
    (Kind::Service, "chat"),
    (Kind::Service, "chat-headless"),
    (Kind::Service, "chat-redis"),
    (Kind::PodDisruptionBudget, "chat"),
    (Kind::StatefulSet, "chat"),
    (Kind::StatefulSet, "chat-redis"),
];
