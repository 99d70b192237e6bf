//! `kubectl scale`, and one instance at a time on the way down.

use super::fixture::{Fixture, reason, until};
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod};
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;
use switchboard_operator::crd::BrokerCluster;

async fn scale(fixture: &Fixture, replicas: i32) {
    let body = json!({"spec": {"replicas": replicas}});
    let api = fixture.api::<BrokerCluster>();
    api.patch_scale("chat", &PatchParams::default(), &Patch::Merge(&body)).await.expect("it is scaled");
}

#[tokio::test]
async fn the_scale_subresource_knows_replicas_and_selector() {
    let fixture = Fixture::new().await;
    let _operator = fixture.operator().await;
    fixture.chat().await;
    fixture.settled("chat").await;
    scale(&fixture, 3).await;
    fixture.run_pods("chat", 3).await;
    until("the scale subresource says 3", async || {
        let scale = fixture.api::<BrokerCluster>().get_scale("chat").await.expect("it has one");
        let selector = scale.status.as_ref().and_then(|status| status.selector.clone()).unwrap_or_default();
        scale.spec.and_then(|spec| spec.replicas) == Some(3)
            && scale.status.map(|status| status.replicas) == Some(3)
            && selector == "app.kubernetes.io/component=broker,app.kubernetes.io/instance=chat"
    })
    .await;
}

#[tokio::test]
async fn shrinking_waits_for_each_instance_to_leave() {
    let fixture = Fixture::new().await;
    let _operator = fixture.operator().await;
    fixture.chat().await;
    scale(&fixture, 4).await;
    fixture.run_pods("chat-redis", 1).await;
    fixture.run_pods("chat", 4).await;
    // A finalizer keeps a pod, as a drain would.
    let hold = async |pod: &str, finalizers: serde_json::Value| {
        let body = json!({"metadata": {"finalizers": finalizers}});
        let patched = fixture.api::<Pod>().patch(pod, &PatchParams::default(), &Patch::Merge(&body)).await;
        patched.expect("the pod is patched");
    };
    for pod in ["chat-2", "chat-3"] {
        hold(pod, json!(["example.test/drain"])).await;
    }
    scale(&fixture, 1).await;
    let replicas = async || {
        let set: StatefulSet = fixture.get("chat").await.expect("it exists");
        set.spec.and_then(|spec| spec.replicas).expect("it has replicas")
    };
    for leaving in [3, 2] {
        let pod = format!("chat-{leaving}");
        until(&format!("{pod} is leaving"), async || {
            let pod = fixture.get::<Pod>(&pod).await;
            pod.is_some_and(|pod| pod.metadata.deletion_timestamp.is_some())
        })
        .await;
        let scaling = |c: &BrokerCluster| reason(c, "Progressing").as_deref() == Some("ScalingDown");
        fixture.cluster_until("chat", "scaling down", scaling).await;
        assert_eq!(replicas().await, leaving, "only {pod} may leave");
        let next: Pod =
            fixture.get(&format!("chat-{}", leaving - 1)).await.expect("the next one is still there");
        assert!(next.metadata.deletion_timestamp.is_none(), "{} must not leave yet", next.name_any());
        hold(&pod, json!(null)).await;
    }
    until("one is left", async || replicas().await == 1 && fixture.get::<Pod>("chat-1").await.is_none())
        .await;
    assert!(fixture.get::<Pod>("chat-0").await.is_some());
    fixture
        .cluster_until("chat", "complete", |c| reason(c, "Progressing").as_deref() == Some("Complete"))
        .await;
}

#[tokio::test]
async fn none_at_all_is_allowed() {
    let fixture = Fixture::new().await;
    let _operator = fixture.operator().await;
    fixture.chat().await;
    fixture.run_pods("chat", 2).await;
    scale(&fixture, 0).await;
    let stopped = |c: &BrokerCluster| {
        reason(c, "Ready").as_deref() == Some("Stopped")
            && c.status.as_ref().is_some_and(|s| s.instances.is_empty())
    };
    fixture.cluster_until("chat", "stopped", stopped).await;
}
