//! What happens when somebody else touches the cluster's objects, and when they are no longer wanted.

use super::fixture::{EVERYTHING, Fixture, chat, until};
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Service};
use kube::{
    ResourceExt,
    api::{DeleteParams, DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};
use switchboard_operator::controller::resources::Kind;

async fn patch(fixture: &Fixture, kind: Kind, name: &str, body: &Value) {
    let patched = fixture.dynamic(kind).patch(name, &PatchParams::default(), &Patch::Merge(body)).await;
    patched.unwrap_or_else(|error| panic!("cannot patch {kind} {name}: {error}"));
}

async fn get(fixture: &Fixture, kind: Kind, name: &str) -> Option<DynamicObject> {
    fixture.dynamic(kind).get_opt(name).await.expect("the API server answers")
}

#[tokio::test]
async fn tcp_and_udp_have_one_port_of_one_service() {
    let fixture = Fixture::new().await;
    let _operator = fixture.operator().await;
    let ports = async |service: &str| {
        let service = fixture.get::<Service>(service).await.and_then(|service| service.spec);
        let ports = service.and_then(|spec| spec.ports).unwrap_or_default();
        let mut ports: Vec<_> = ports
            .into_iter()
            .map(|port| format!("{}/{}", port.port, port.protocol.unwrap_or_default()))
            .collect();
        ports.sort();
        ports.join(" ")
    };
    for (tcp, expected) in [
        (json!({"enabled": true}), "8000/TCP 8100/TCP 8100/UDP"),
        (json!({"enabled": true, "port": 8200}), "8000/TCP 8100/UDP 8200/TCP"),
        (json!({"enabled": false}), "8000/TCP 8100/UDP"),
    ] {
        let mut spec = chat();
        spec["endpoints"] = json!({"tcp": tcp, "udp": {"enabled": true}});
        fixture.apply("chat", spec).await.expect("it is valid");
        until(expected, async || ports("chat").await == expected).await;
        let headless = format!("{expected} 9000/TCP");
        until(&headless, async || ports("chat-headless").await == headless).await;
    }
}

#[tokio::test]
async fn affinity_of_the_service_comes_and_goes() {
    let fixture = Fixture::new().await;
    let _operator = fixture.operator().await;
    let affinity = async || {
        let spec = fixture.get::<Service>("chat").await.and_then(|service| service.spec);
        let spec = spec.unwrap_or_default();
        let seconds = spec.session_affinity_config.and_then(|config| config.client_ip?.timeout_seconds);
        (spec.session_affinity.unwrap_or_default(), seconds)
    };
    for (service, expected) in [
        (json!({"sessionAffinity": "ClientIP"}), ("ClientIP", Some(10_800))),
        (json!({}), ("None", None)),
        (json!({"sessionAffinity": "ClientIP", "sessionAffinitySeconds": 60}), ("ClientIP", Some(60))),
        (json!({"sessionAffinity": "None"}), ("None", None)),
    ] {
        let mut spec = chat();
        spec["service"] = service;
        fixture.apply("chat", spec).await.expect("it is valid");
        let expected = (expected.0.to_owned(), expected.1);
        until(&format!("the affinity is {expected:?}"), async || affinity().await == expected).await;
    }
}

#[tokio::test]
async fn what_somebody_changed_is_restored_in_every_kind() {
    let fixture = Fixture::new().await;
    let _operator = fixture.operator().await;
    fixture.chat().await;
    fixture.settled("chat").await;
    let cases = [
        (Kind::ServiceAccount, "chat", json!({"automountServiceAccountToken": true})),
        (Kind::ConfigMap, "chat-config", json!({"data": {"broker.yaml": "nonsense"}})),
        (Kind::ConfigMap, "chat-redis-config", json!({"data": {"redis.conf": null}})),
        (Kind::Secret, "chat-redis-auth", json!({"data": {"auth.conf": null}})),
        (Kind::Secret, "chat-api-key", json!({"metadata": {"labels": {"app.kubernetes.io/name": "other"}}})),
        (Kind::Service, "chat", json!({"spec": {"selector": {"app.kubernetes.io/instance": "other"}}})),
        (Kind::Service, "chat-headless", json!({"spec": {"publishNotReadyAddresses": false}})),
        (Kind::PodDisruptionBudget, "chat", json!({"spec": {"maxUnavailable": 2}})),
        (Kind::StatefulSet, "chat", json!({"spec": {"replicas": 5}})),
        (Kind::StatefulSet, "chat-redis", json!({"spec": {"replicas": 0}})),
        // The operator finds its objects by this label and its clusters by this owner.
        (
            Kind::Service,
            "chat-redis",
            json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}}),
        ),
        (Kind::ConfigMap, "chat-config", json!({"metadata": {"ownerReferences": null}})),
    ];
    for (kind, name, change) in cases {
        let before = get(&fixture, kind, name).await.expect("it exists");
        patch(&fixture, kind, name, &change).await;
        let same = |now: &DynamicObject| {
            now.data["spec"] == before.data["spec"]
                && now.data["data"] == before.data["data"]
                && now.data["automountServiceAccountToken"] == before.data["automountServiceAccountToken"]
                && now.labels() == before.labels()
                && now.owner_references() == before.owner_references()
        };
        until(&format!("{kind} {name} is restored after {change}"), async || {
            get(&fixture, kind, name).await.is_some_and(|now| same(&now))
        })
        .await;
    }
}

#[tokio::test]
async fn what_somebody_deleted_comes_back_in_every_kind() {
    let fixture = Fixture::new().await;
    let _operator = fixture.operator().await;
    fixture.chat().await;
    fixture.settled("chat").await;
    for (kind, name) in EVERYTHING {
        let before = get(&fixture, kind, name).await.expect("it exists").uid();
        fixture.dynamic(kind).delete(name, &DeleteParams::background()).await.expect("it is deleted");
        until(&format!("{kind} {name} comes back"), async || {
            get(&fixture, kind, name).await.is_some_and(|now| now.uid() != before)
        })
        .await;
    }
}

#[tokio::test]
async fn what_is_no_longer_wanted_goes() {
    let fixture = Fixture::new().await;
    let _operator = fixture.operator().await;
    fixture.chat().await;
    fixture.settled("chat").await;
    fixture.secret("backend", "key", "value").await;
    let spec = json!({
        "auth": {"anonymous": true, "apiKeys": [{"name": "backend", "key": "key"}]},
        "disruptionBudget": {"enabled": false},
        "redis": {"external": {"url": "redis://elsewhere"}},
    });
    fixture.apply("chat", spec).await.expect("it is valid");
    let left = [
        (Kind::ServiceAccount, "chat"),
        (Kind::ConfigMap, "chat-config"),
        (Kind::Service, "chat"),
        (Kind::Service, "chat-headless"),
        (Kind::StatefulSet, "chat"),
    ];
    until("only what is wanted is left", async || {
        let objects = fixture.objects("chat").await;
        objects.keys().map(|(kind, name)| (*kind, name.as_str())).eq(left)
    })
    .await;
    fixture.apply("chat", chat()).await.expect("it is valid");
    until("all of it is back", async || fixture.objects("chat").await.len() == EVERYTHING.len()).await;
}

#[tokio::test]
async fn what_others_add_stays() {
    let fixture = Fixture::new().await;
    let _operator = fixture.operator().await;
    fixture.chat().await;
    fixture.settled("chat").await;
    // What `kubectl rollout restart` does.
    let restart = "kubectl.kubernetes.io/restartedAt";
    let note =
        json!({"spec": {"template": {"metadata": {"annotations": {restart: "2026-01-01T00:00:00Z"}}}}});
    patch(&fixture, Kind::StatefulSet, "chat", &note).await;
    // And then the operator writes the same object itself.
    let mut spec = chat();
    spec["replicas"] = json!(3);
    fixture.apply("chat", spec).await.expect("it is valid");
    let set =
        async || fixture.get::<StatefulSet>("chat").await.expect("it exists").spec.expect("it has a spec");
    until("the operator has written", async || set().await.replicas == Some(3)).await;
    let annotations =
        set().await.template.metadata.expect("it has metadata").annotations.expect("it has some");
    assert!(annotations.contains_key(restart), "{annotations:?}");
}
