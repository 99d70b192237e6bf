//! What rolls the pods: settings and Secrets, and nothing else.

use super::fixture::{Fixture, condition, reason, until};
use k8s_openapi::api::apps::v1::StatefulSet;
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

    fixture.secret("tokens", "hmac", "first").await;
    until("the StatefulSet is made", async || hash(&fixture).await.is_some()).await;
    let first = hash(&fixture).await;
    fixture.secret("tokens", "hmac", "second").await;
    until("the pods roll", async || hash(&fixture).await != first).await;
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
