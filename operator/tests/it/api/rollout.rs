//! What rolls the pods: settings and Secrets, and nothing else.

use super::fixture::{Fixture, condition, reason, until};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Pod, Secret},
};
use kube::{
    ResourceExt,
    api::{DeleteParams, PostParams},
};
use serde_json::json;
use switchboard_operator::crd::BrokerCluster;

async fn hash(fixture: &Fixture) -> Option<String> {
    let set: StatefulSet = fixture.get("chat").await?;
    set.spec?.template.metadata?.annotations?.get("switchboard.dev/config-hash").cloned()
}

#[tokio::test]
async fn a_missing_secret_is_named_and_its_arrival_and_change_are_noticed() {
    let fixture = Fixture::new().await;
    let _operator = fixture.operator().await;
    let spec = json!({
        "auth": {"jwt": {"hmacSecretRef": {"name": "tokens", "key": "hmac"}}},
        "redis": {"managed": {"storage": {"emptyDir": {}}}},
    });
    fixture.apply("chat", spec).await.expect("it is valid");
    let missing = |c: &BrokerCluster| reason(c, "Ready").as_deref() == Some("SecretMissing");
    let cluster = fixture.cluster_until("chat", "told that a Secret is missing", missing).await;
    let (_, _, message) = condition(&cluster, "Ready").unwrap();
    let expected =
        format!("kubectl -n {} create secret generic tokens --from-file=hmac=FILE", fixture.namespace);
    assert!(message.contains(&expected), "{message}");
    assert!(fixture.objects("chat").await.is_empty(), "nothing is made that could not start");

    fixture.secret("tokens", "wrong", "x").await;
    let no_key = |c: &BrokerCluster| {
        condition(c, "Ready")
            .is_some_and(|(_, _, message)| message.contains("has no key hmac") && message.contains("wrong"))
    };
    fixture.cluster_until("chat", "told which keys there are", no_key).await;

    fixture.secret("tokens", "hmac", "\n").await;
    let empty = |c: &BrokerCluster| {
        condition(c, "Ready").is_some_and(|(_, _, message)| message.ends_with("is empty"))
    };
    fixture.cluster_until("chat", "told that the value is empty", empty).await;

    fixture.secret("tokens", "hmac", "first").await;
    until("the StatefulSet is made", async || hash(&fixture).await.is_some()).await;
    let first = hash(&fixture).await;
    fixture.secret("tokens", "hmac", "second").await;
    until("the pods roll", async || hash(&fixture).await != first).await;
}

#[tokio::test]
async fn keys_that_brokers_read_again_do_not_roll_the_pods() {
    let fixture = Fixture::new().await;
    let _operator = fixture.operator().await;
    let spec = json!({
        "endpoints": {"tls": {"secretName": "cert"}},
        "auth": {"jwt": {
            "keys": [{"secretRef": {"name": "tokens", "key": "one"}}],
            "jwksRef": {"name": "identity", "key": "jwks.json"},
        }},
        "redis": {"managed": {"storage": {"emptyDir": {}}}},
    });
    fixture.secret("tokens", "one", "first").await;
    fixture.secret("identity", "jwks.json", r#"{"keys": []}"#).await;
    fixture.apply("chat", spec).await.expect("it is valid");
    let told = async |what: &str, expected: &str| {
        let told = |c: &BrokerCluster| {
            condition(c, "Ready").is_some_and(|(_, _, message)| message.contains(expected))
        };
        fixture.cluster_until("chat", what, told).await;
    };
    told("told that the certificate is missing", "create secret tls cert --cert=FILE --key=FILE").await;
    let pair = json!({"tls.crt": "-----BEGIN CERTIFICATE-----", "tls.key": "-----BEGIN PRIVATE KEY-----"});
    let metadata = json!({"name": "cert", "namespace": fixture.namespace});
    fixture
        .create::<Secret>(json!({"metadata": metadata, "type": "kubernetes.io/tls", "stringData": pair}))
        .await;
    until("the StatefulSet is made", async || hash(&fixture).await.is_some()).await;
    let first = hash(&fixture).await;

    fixture.secret("tokens", "one", "second").await;
    fixture.secret("identity", "jwks.json", "broken").await;
    told("told that the document is broken", "is not JSON").await;
    fixture.secret("identity", "jwks.json", r#"{"keys": [{"kty": "oct"}]}"#).await;
    let mended = |c: &BrokerCluster| reason(c, "Ready").is_some_and(|reason| reason != "SecretMissing");
    fixture.cluster_until("chat", "applied again", mended).await;
    assert_eq!(hash(&fixture).await, first, "brokers take up other keys by themselves");
}

#[tokio::test]
async fn a_pod_that_cannot_start_is_replaced_when_its_image_is_mended() {
    let fixture = Fixture::new().await;
    let _operator = fixture.operator().await;
    let spec = |redis: &str| json!({"redis": {"managed": {"image": redis, "storage": {"emptyDir": {}}}}});
    fixture.apply("chat", spec("example.test/wrong")).await.expect("it is valid");
    until("Redis' pod is made", async || fixture.get::<Pod>("chat-redis-0").await.is_some()).await;
    fixture.set_pod("chat-redis-0", false, None).await;
    fixture.apply("chat", spec("example.test/right")).await.expect("it is valid");
    until("the pod has the right image", async || {
        let pod = fixture.get::<Pod>("chat-redis-0").await.and_then(|pod| pod.spec);
        pod.is_some_and(|spec| spec.containers[0].image.as_deref() == Some("example.test/right"))
    })
    .await;
}

#[tokio::test]
async fn what_a_statefulset_cannot_change_is_changed_without_restarting_pods() {
    let fixture = Fixture::new().await;
    let operator = fixture.operator().await;
    fixture.chat().await;
    fixture.settled("chat").await;
    fixture.run_pods("chat", 2).await;
    drop(operator);
    // As a former release might have made it: another policy, which is immutable.
    let sets = fixture.api::<StatefulSet>();
    let mut set = fixture.get::<StatefulSet>("chat").await.expect("it exists");
    let pod = fixture.get::<Pod>("chat-0").await.and_then(|pod| pod.uid());
    sets.delete("chat", &DeleteParams::orphan()).await.expect("it is deleted");
    until("it is gone", async || fixture.get::<StatefulSet>("chat").await.is_none()).await;
    let old = set.metadata.uid.take();
    set.metadata.resource_version = None;
    set.metadata
        .annotations
        .get_or_insert_default()
        .insert("switchboard.dev/applied-hash".into(), "former".into());
    set.spec.as_mut().expect("it has a spec").pod_management_policy = Some("OrderedReady".into());
    sets.create(&PostParams::default(), &set).await.expect("it is created");
    let _operator = fixture.operator().await;
    until("it is made anew", async || {
        let set = fixture.get::<StatefulSet>("chat").await;
        set.and_then(|set| set.spec).and_then(|spec| spec.pod_management_policy).as_deref()
            == Some("Parallel")
    })
    .await;
    assert_ne!(fixture.get::<StatefulSet>("chat").await.and_then(|set| set.uid()), old);
    until("it has taken up its pods", async || {
        let set = fixture.get::<StatefulSet>("chat").await;
        set.and_then(|set| set.status).and_then(|status| status.ready_replicas) == Some(2)
    })
    .await;
    assert_eq!(fixture.get::<Pod>("chat-0").await.and_then(|pod| pod.uid()), pod, "the pod is the same");
}

#[tokio::test]
async fn settings_roll_the_pods_and_scaling_does_not() {
    let fixture = Fixture::new().await;
    let _operator = fixture.operator().await;
    let spec = |replicas: i32, size: &str| {
        json!({
            "replicas": replicas, "limits": {"messageSize": size},
            "redis": {"managed": {"storage": {"emptyDir": {}}}},
        })
    };
    let replicas = async || {
        let set = fixture.get::<StatefulSet>("chat").await;
        set.and_then(|set| set.spec).and_then(|spec| spec.replicas)
    };
    fixture.apply("chat", spec(1, "64Ki")).await.expect("it is valid");
    until("the StatefulSet is made", async || replicas().await == Some(1)).await;
    let first = hash(&fixture).await;
    fixture.apply("chat", spec(2, "65536")).await.expect("it is valid");
    until("it is scaled", async || replicas().await == Some(2)).await;
    assert_eq!(hash(&fixture).await, first, "the same size, written in another way");
    fixture.apply("chat", spec(2, "32Ki")).await.expect("it is valid");
    until("the pods roll", async || hash(&fixture).await != first).await;
}
