//! From creation to deletion.

use super::fixture::{EVERYTHING, Fixture, chat, condition, pause, reason, until};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Secret},
    events::v1::Event,
};
use kube::{
    Resource, ResourceExt,
    api::{DeleteParams, ListParams},
};
use serde_json::json;
use std::time::{Duration, Instant};
use switchboard_operator::{controller::resources::Kind, crd::BrokerCluster, metrics::Metrics};

#[tokio::test]
async fn a_new_cluster_gets_all_its_objects_and_becomes_ready() {
    let fixture = Fixture::new().await;
    let _operator = fixture.operator().await;
    let cluster = fixture.chat().await;
    fixture.settled("chat").await;
    let objects = fixture.objects("chat").await;
    let names: Vec<_> = objects.keys().map(|(kind, name)| (*kind, name.as_str())).collect();
    let mut expected = EVERYTHING.to_vec();
    expected.sort_unstable();
    assert_eq!(names, expected);
    for ((kind, name), object) in &objects {
        let owner = &object.owner_references()[0];
        assert_eq!((&owner.uid, owner.controller), (&cluster.uid().unwrap(), Some(true)), "{kind} {name}");
    }
    let starting = fixture.cluster_until("chat", "starting", |c| reason(c, "Ready").is_some()).await;
    assert_eq!(reason(&starting, "Ready").unwrap(), "Starting");
    fixture.run_pods("chat-redis", 1).await;
    fixture.run_pods("chat", 2).await;
    // Pods and their StatefulSet come to the operator by two watches, so one can be ready before the other is complete.
    let ready = |c: &BrokerCluster| {
        condition(c, "Ready").is_some_and(|(status, ..)| status == "True")
            && reason(c, "Progressing").as_deref() == Some("Complete")
    };
    let cluster = fixture.cluster_until("chat", "ready and complete", ready).await;
    let status = cluster.status.clone().unwrap();
    assert_eq!((status.replicas, status.ready_replicas), (2, 2));
    assert_eq!(
        status.instances.iter().map(|instance| instance.id.as_str()).collect::<Vec<_>>(),
        ["chat-0", "chat-1"]
    );
    assert_eq!(status.redis.unwrap().topology, "Standalone");
    assert_eq!(reason(&cluster, "Degraded").unwrap(), "AsExpected");
    assert_eq!(
        row(&fixture).await,
        [json!("chat"), json!(2), json!(2), json!("Running"), json!(0), json!("Ready")]
    );
    until("events tell the story", async || {
        let events = fixture.api::<Event>().list(&ListParams::default()).await.expect("a list");
        let told = |reason: &str| events.iter().any(|event| event.reason.as_deref() == Some(reason));
        told("Created") && told("Ready")
    })
    .await;
}

/// What `kubectl get bc` shows, without the age.
async fn row(fixture: &Fixture) -> Vec<serde_json::Value> {
    let path = format!("/apis/switchboard.dev/v1alpha1/namespaces/{}/brokerclusters", fixture.namespace);
    let request = hyper::Request::get(path).header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io");
    let table: serde_json::Value =
        fixture.client.request(request.body(Vec::new()).expect("a request")).await.expect("a table");
    let columns = table["columnDefinitions"].as_array().expect("it has columns");
    let names: Vec<_> =
        columns.iter().filter(|column| column["priority"] == 0).map(|column| &column["name"]).collect();
    assert_eq!(names, ["Name", "Desired", "Ready", "Redis", "Connections", "Status", "Age"]);
    table["rows"][0]["cells"].as_array().expect("it has cells")[..6].to_vec()
}

#[tokio::test]
async fn a_steady_cluster_costs_no_writes_also_for_a_new_operator() {
    let fixture = Fixture::new().await;
    let operator = fixture.operator().await;
    // A quantity that the API server writes in another form must not look like drift for ever.
    let mut spec = chat();
    spec["podTemplate"] = json!({
        "resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}},
        "initContainers": [{"name": "receiver", "image": "example.test/receiver:1", "restartPolicy": "Always"}],
    });
    spec["endpoints"] = json!({"tcp": {"enabled": true}, "udp": {"enabled": true}});
    fixture.apply("chat", spec).await.expect("it is valid");
    fixture.settled("chat").await;
    fixture.run_pods("chat-redis", 1).await;
    fixture.run_pods("chat", 2).await;
    fixture
        .cluster_until("chat", "complete", |c| reason(c, "Progressing").as_deref() == Some("Complete"))
        .await;
    // What was complete may still change in small ways, such as a count that a controller is late with: the first
    // operator has said all when it has looked twice more and written nothing.
    let mut quiet_since = (u64::MAX, 0);
    until("the first operator has nothing more to write", async || {
        let metrics = &operator.operator.metrics;
        let (writes, looks) = (metrics.writes(), reconciles(metrics));
        if writes != quiet_since.0 {
            quiet_since = (writes, looks);
        }
        looks >= quiet_since.1 + 2
    })
    .await;
    drop(operator);
    let versions = versions(&fixture).await;
    // A new operator remembers nothing. It may apply once what it cannot tell from drift, but changes nothing.
    let operator = fixture.operator().await;
    until("the new operator has looked", async || reconciles(&operator.operator.metrics) > 0).await;
    assert_eq!(versions, self::versions(&fixture).await);
    let writes = operator.operator.metrics.writes();
    assert!(writes <= 1, "{writes} writes for one quantity");
    // And from then on nothing at all, however often something makes it look.
    for number in 0..5 {
        let note = json!({"metadata": {"annotations": {"example.test/number": number.to_string()}}});
        let api = fixture.dynamic(Kind::Service);
        let patch = kube::api::Patch::Merge(&note);
        api.patch("chat-headless", &kube::api::PatchParams::default(), &patch).await.expect("it is patched");
    }
    let deadline = Instant::now() + Duration::from_secs(2);
    while Instant::now() < deadline {
        pause().await;
    }
    assert_eq!(operator.operator.metrics.writes(), writes);
}

/// How often an operator has looked at a cluster, and found everything in order.
fn reconciles(metrics: &Metrics) -> u64 {
    let text = metrics.render();
    let success = "switchboard_operator_reconciles_total{result=\"success\"} ";
    let count = text.lines().find_map(|line| line.strip_prefix(success));
    count.map_or(0, |count| count.parse().expect("a count"))
}

async fn versions(fixture: &Fixture) -> Vec<(String, Option<String>)> {
    let objects = fixture.objects("chat").await;
    let mut versions: Vec<_> = objects
        .into_iter()
        .map(|((kind, name), object)| (format!("{kind} {name}"), object.resource_version()))
        .collect();
    let cluster: BrokerCluster = fixture.get("chat").await.expect("it exists");
    versions.push(("BrokerCluster".into(), cluster.resource_version()));
    versions
}

#[tokio::test]
async fn generated_secrets_are_kept_and_a_password_set_by_hand_rolls_the_pods() {
    let fixture = Fixture::new().await;
    let _operator = fixture.operator().await;
    fixture.chat().await;
    fixture.settled("chat").await;
    let password = async || -> Vec<u8> {
        let secret: Secret = fixture.get("chat-redis-auth").await.expect("it exists");
        secret.data.expect("it has data")["password"].0.clone()
    };
    let first = password().await;
    assert_eq!(first.len(), 64);
    let mut spec = chat();
    spec["log"] = json!({"level": "debug"});
    fixture.apply("chat", spec).await.expect("it is valid");
    fixture.settled("chat").await;
    assert_eq!(first, password().await, "another spec keeps the password");
    let hash = async |set: &str| -> Option<String> {
        let set: StatefulSet = fixture.get(set).await?;
        set.spec?.template.metadata?.annotations?.get("switchboard.dev/config-hash").cloned()
    };
    let (brokers, redis) = (hash("chat").await, hash("chat-redis").await);
    // With the line end that `echo` and editors leave.
    let by_hand = json!({"stringData": {"password": "a \"b\" c\n"}});
    let api = fixture.api::<Secret>();
    api.patch("chat-redis-auth", &kube::api::PatchParams::default(), &kube::api::Patch::Merge(&by_hand))
        .await
        .unwrap();
    until("both StatefulSets roll", async || {
        hash("chat").await != brokers && hash("chat-redis").await != redis
    })
    .await;
    until("the password is without its line end", async || password().await == b"a \"b\" c").await;
    let secret: Secret = fixture.get("chat-redis-auth").await.expect("it exists");
    let data = secret.data.expect("it has data");
    assert_eq!(data["password"].0, b"a \"b\" c");
    assert_eq!(data["auth.conf"].0, b"requirepass \"a\\x20\\x22b\\x22\\x20c\"\n");
}

#[tokio::test]
async fn a_generated_key_that_the_spec_names_stays() {
    let fixture = Fixture::new().await;
    let _operator = fixture.operator().await;
    fixture.chat().await;
    fixture.settled("chat").await;
    let before: Secret = fixture.get("chat-api-key").await.expect("it is made");
    fixture.secret("new", "key", "a-new-key").await;
    let keys = |names: &[&str]| {
        let mut spec = chat();
        spec["auth"]["apiKeys"] = names.iter().map(|name| json!({"name": name, "key": "key"})).collect();
        spec
    };
    // Rotation: the old one and the new one, then the new one alone.
    fixture.apply("chat", keys(&["chat-api-key", "new"])).await.expect("it is valid");
    fixture.settled("chat").await;
    let kept: Secret = fixture.get("chat-api-key").await.expect("it is named, so it stays");
    assert_eq!(kept.data, before.data);
    fixture.apply("chat", keys(&["new"])).await.expect("it is valid");
    until("it goes when nobody names it", async || fixture.get::<Secret>("chat-api-key").await.is_none())
        .await;
}

#[tokio::test]
async fn deleting_it_removes_everything_and_the_volume() {
    assert!(!volume_survives(false).await);
}

#[tokio::test]
async fn a_retained_volume_survives() {
    assert!(volume_survives(true).await);
}

/// Creates and deletes a cluster; whether the claim is still there at the end.
async fn volume_survives(retain: bool) -> bool {
    let fixture = Fixture::new().await;
    let _operator = fixture.operator().await;
    let storage = json!({"persistent": {"size": "1Gi", "retain": retain}});
    fixture.apply("chat", json!({"redis": {"managed": {"storage": storage}}})).await.expect("it is valid");
    fixture.settled("chat").await;
    let claim = async || fixture.get::<PersistentVolumeClaim>("data-chat-redis-0").await;
    until("the claim belongs to whom it should", async || {
        let owned = claim()
            .await
            .map(|claim| claim.owner_references().iter().any(|owner| owner.kind == "StatefulSet"));
        owned == Some(!retain)
    })
    .await;
    fixture.api::<BrokerCluster>().delete("chat", &DeleteParams::default()).await.expect("it is deleted");
    until("all objects are gone", async || fixture.objects("chat").await.is_empty()).await;
    until("the claim is gone, or stays", async || retain || claim().await.is_none()).await;
    claim().await.is_some()
}

#[tokio::test]
async fn one_killed_in_the_middle_is_completed_by_the_next() {
    let fixture = Fixture::new().await;
    // No StatefulSet is admitted, so the operator stops half-way, at Redis' StatefulSet.
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "none", "namespace": fixture.namespace},
        "spec": {"hard": {"count/statefulsets.apps": "0"}},
    });
    fixture.create::<k8s_openapi::api::core::v1::ResourceQuota>(quota).await;
    let status = json!({"status": {"hard": {"count/statefulsets.apps": "0"}, "used": {"count/statefulsets.apps": "0"}}});
    let quotas = fixture.api::<k8s_openapi::api::core::v1::ResourceQuota>();
    quotas
        .patch_status("none", &kube::api::PatchParams::default(), &kube::api::Patch::Merge(&status))
        .await
        .unwrap();
    let first = fixture.operator().await;
    fixture.chat().await;
    let failed = |c: &BrokerCluster| reason(c, "Degraded").as_deref() == Some("ApplyFailed");
    let cluster = fixture.cluster_until("chat", "failing at the quota", failed).await;
    let (_, _, message) = condition(&cluster, "Degraded").unwrap();
    assert!(message.contains("apply StatefulSet chat-redis") && message.contains("quota"), "{message}");
    let password: Secret = fixture.get("chat-redis-auth").await.expect("it is made before the StatefulSet");
    first.operator.kill();
    assert!(fixture.get::<StatefulSet>("chat").await.is_none());
    quotas.delete("none", &DeleteParams::default()).await.expect("it is deleted");
    let _second = fixture.operator().await;
    fixture
        .cluster_until("chat", "completed", |c| reason(c, "Degraded").as_deref() == Some("AsExpected"))
        .await;
    assert_eq!(fixture.objects("chat").await.len(), EVERYTHING.len());
    let kept: Secret = fixture.get("chat-redis-auth").await.expect("it exists");
    assert_eq!(kept.data, password.data);
}

#[tokio::test]
async fn an_object_of_somebody_else_is_left_alone() {
    let fixture = Fixture::new().await;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "chat", "namespace": fixture.namespace},
        "spec": {"ports": [{"port": 80}]},
    });
    fixture.create::<k8s_openapi::api::core::v1::Service>(service).await;
    let _operator = fixture.operator().await;
    fixture.chat().await;
    let taken = |c: &BrokerCluster| reason(c, "Ready").as_deref() == Some("NameTaken");
    let cluster = fixture.cluster_until("chat", "told that the name is taken", taken).await;
    let (_, _, message) = condition(&cluster, "Ready").unwrap();
    assert!(message.contains("Service chat") && message.contains("delete or rename it"), "{message}");
    let service: k8s_openapi::api::core::v1::Service = fixture.get("chat").await.expect("it is still there");
    assert!(service.meta().owner_references.is_none());
}
