//! The objects of a BrokerCluster: restored when somebody meddles, gone when it goes.

use std::{fmt::Debug, time::Instant};

use anyhow::{Context, Result, ensure};
use e2e::{
    brokers::{Brokers, CHAT, small},
    lab::Lab,
    publisher::Publisher,
    report::{summary, time},
    visitor::Visitor,
    wait::{LONG, SHORT, until},
};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::{ControllerRevision, StatefulSet},
        core::v1::{
            ConfigMap, PersistentVolume, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount,
        },
        discovery::v1::EndpointSlice,
        policy::v1::PodDisruptionBudget,
    },
};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::support::ROOM;

/// A kind of object that a BrokerCluster has.
trait Kind: Resource<DynamicType = (), Scope = NamespaceResourceScope> {}
impl<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>> Kind for K {}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_restored() -> Result<()> {
    Lab::run("children-restored", async |lab| {
        let brokers = Brokers::create(lab, CHAT, small(2)).await?;
        let epoch = Instant::now();
        let mut visitors = Vec::new();
        for name in ["visitor a", "visitor b"] {
            let service = brokers.service().await?;
            visitors.push(Visitor::arrive(name, service, brokers.door(), ROOM, epoch, lab.report).await?);
        }
        let pods = pods(lab).await?;
        let publisher = Publisher::start(brokers.client(0).await?, ROOM, 20, epoch);

        edited::<Service>(
            lab,
            "chat",
            json!({"spec": {"selector": {"app.kubernetes.io/instance": "other"}}}),
        )
        .await?;
        edited::<Service>(lab, "chat-headless", json!({"spec": {"publishNotReadyAddresses": false}})).await?;
        edited::<Service>(
            lab,
            "chat-redis",
            json!({"spec": {"selector": {"app.kubernetes.io/instance": "x"}}}),
        )
        .await?;
        edited::<ConfigMap>(lab, "chat-config", json!({"data": {"broker.yaml": "oops"}})).await?;
        edited::<ConfigMap>(lab, "chat-redis-config", json!({"data": {"redis.conf": "oops"}})).await?;
        edited::<PodDisruptionBudget>(lab, "chat", json!({"spec": {"maxUnavailable": 2}})).await?;
        edited::<ServiceAccount>(lab, "chat", json!({"automountServiceAccountToken": true})).await?;
        edited::<StatefulSet>(lab, "chat", json!({"spec": {"replicas": 3}})).await?;
        brokers.settled(LONG).await?;
        edited::<StatefulSet>(lab, "chat-redis", json!({"metadata": {"labels": {MANAGED_BY: "somebody"}}}))
            .await?;
        edited::<Secret>(lab, "chat-redis-auth", json!({"metadata": {"labels": {MANAGED_BY: "somebody"}}}))
            .await?;
        edited::<Secret>(lab, "chat-api-key", json!({"metadata": {"labels": {MANAGED_BY: "somebody"}}}))
            .await?;

        deleted::<Service>(lab, "chat-headless").await?;
        deleted::<Service>(lab, "chat-redis").await?;
        deleted::<ConfigMap>(lab, "chat-config").await?;
        deleted::<ConfigMap>(lab, "chat-redis-config").await?;
        deleted::<PodDisruptionBudget>(lab, "chat").await?;
        deleted::<ServiceAccount>(lab, "chat").await?;
        deleted::<StatefulSet>(lab, "chat").await?;
        deleted::<StatefulSet>(lab, "chat-redis").await?;
        deleted::<Service>(lab, "chat").await?;
        brokers.settled(LONG).await?;
        ensure!(self::pods(lab).await? == pods, "some pod was replaced though no pod's template had changed");

        let published = publisher.stop().await.context("nothing of this touches Redis or a broker")?;
        for visitor in &visitors {
            visitor.until_number(published.last).await?;
            crate::support::missed_nothing(visitor, published.last)?;
        }
        lab.report
            .say("test", format!("{} messages; nobody missed one, and no pod was replaced", published.last));
        secrets_are_made_again(lab, &brokers, &visitors).await
    })
    .await
}

/// A lost secret cannot be restored: there are new ones, and every pod that read the old ones is replaced.
async fn secrets_are_made_again(lab: &Lab, brokers: &Brokers<'_>, visitors: &[Visitor]) -> Result<()> {
    let before = pods(lab).await?;
    let begun = Instant::now();
    deleted::<Secret>(lab, "chat-api-key").await?;
    deleted::<Secret>(lab, "chat-redis-auth").await?;
    until("all pods are replaced", LONG, async || {
        let now = pods(lab).await?;
        Ok((now.len() == before.len() && now.iter().all(|pod| !before.contains(pod))).then_some(()))
    })
    .await?;
    brokers.settled(LONG).await?;
    lab.report.say("test", format!("settled with new secrets and new pods after {}", time(begun.elapsed())));
    for visitor in visitors {
        visitor.until_back(visitor.ends()).await?;
        let memory = visitor.memory();
        lab.report.say(&visitor.name, format!("codes {:?}, away: {}", memory.codes, summary(memory.away)));
    }
    brokers.until_messages_cross(2).await
}

const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// Name and identity of each pod.
async fn pods(lab: &Lab) -> Result<Vec<(String, String)>> {
    let list = lab.api::<Pod>().list_metadata(&ListParams::default()).await?;
    let mut pods: Vec<_> =
        list.items.iter().map(|pod| (pod.name_any(), pod.uid().unwrap_or_default())).collect();
    pods.sort();
    Ok(pods)
}

/// Deletes an object, but none that depend on it, and waits until there is another one.
async fn deleted<K: Kind + Clone + DeserializeOwned + Debug>(lab: &Lab, name: &str) -> Result<()> {
    let api: Api<K> = lab.api();
    let what = format!("{} {name}", K::kind(&()));
    let old = api.get(name).await?.uid();
    let begun = Instant::now();
    api.delete(name, &DeleteParams::orphan()).await.with_context(|| format!("delete {what}"))?;
    until(&format!("{what} is there again"), SHORT, async || {
        let new = api.get_opt(name).await?;
        Ok(new.filter(|new| new.uid() != old).map(drop))
    })
    .await?;
    lab.report.say("test", format!("deleted {what}: there again after {}", time(begun.elapsed())));
    Ok(())
}

/// Edits an object and waits until it is as it was.
async fn edited<K>(lab: &Lab, name: &str, patch: Value) -> Result<()>
where
    K: Kind + Clone + DeserializeOwned + Serialize + Debug,
{
    let api: Api<K> = lab.api();
    let what = format!("{} {name}", K::kind(&()));
    let read = async || anyhow::Ok(serde_json::to_value(api.get(name).await?)?);
    let before = part(&read().await?, &patch);
    let begun = Instant::now();
    let answer = api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await;
    let answer = serde_json::to_value(answer.with_context(|| format!("edit {what}"))?)?;
    ensure!(part(&answer, &patch) != before, "editing {what} with {patch} changed nothing");
    until(&format!("{what} is as it was"), SHORT, async || {
        Ok((part(&read().await?, &patch) == before).then_some(()))
    })
    .await?;
    lab.report.say("test", format!("edited {what}: as it was after {}", time(begun.elapsed())));
    Ok(())
}

/// What an object holds where the patch holds something.
fn part(object: &Value, patch: &Value) -> Value {
    match patch {
        Value::Object(fields) => {
            fields.iter().map(|(key, patch)| (key.clone(), part(&object[key], patch))).collect()
        }
        _ => object.clone(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delete_cleans_up() -> Result<()> {
    Lab::run("delete-cleans-up", async |lab| {
        let with_volume = |retain: bool| {
            let mut spec = small(1);
            spec["redis"]["managed"]["storage"] = json!({"persistent": {"size": "64Mi", "retain": retain}});
            spec
        };
        let [gone, kept] = [
            Brokers::create(lab, "gone", with_volume(false)).await?,
            Brokers::create(lab, "kept", with_volume(true)).await?,
        ];
        for brokers in [&gone, &kept] {
            let objects = objects(lab, &brokers.name).await?;
            lab.report.say("test", format!("{} has {}", brokers.name, objects.join(", ")));
            ensure!(objects.len() >= 15, "these are too few to be all");
        }
        let volumes = [volume(lab, "gone").await?, volume(lab, "kept").await?];

        let begun = Instant::now();
        for (brokers, left) in [(&gone, 0), (&kept, 1)] {
            brokers.delete().await?;
            let mut objects = Vec::new();
            let outcome = until("all objects are gone", LONG, async || {
                objects = self::objects(lab, &brokers.name).await?;
                Ok((objects.len() == left).then_some(()))
            });
            let outcome = outcome.await;
            let text = format!("{} is gone after {}, left: {objects:?}", brokers.name, time(begun.elapsed()));
            lab.report.say("test", text);
            outcome?;
        }
        let all = Api::<PersistentVolume>::all(lab.client.clone());
        until("the volume is gone", SHORT, async || {
            Ok(all.get_opt(&volumes[0]).await?.is_none().then_some(()))
        })
        .await?;
        ensure!(volume(lab, "kept").await? == volumes[1], "the retained claim has another volume");

        let again = Brokers::create(lab, "kept", with_volume(true)).await?;
        ensure!(volume(lab, "kept").await? == volumes[1], "the new cluster took another volume");
        lab.report.say("test", "one of the same name took the retained volume up again");
        again.delete().await
    })
    .await
}

/// The volume of a cluster's Redis.
async fn volume(lab: &Lab, cluster: &str) -> Result<String> {
    let claim = lab.api::<PersistentVolumeClaim>().get(&format!("data-{cluster}-redis-0")).await?;
    claim.spec.and_then(|spec| spec.volume_name).context("the claim has no volume")
}

/// Every object in the namespace that belongs to a cluster.
async fn objects(lab: &Lab, cluster: &str) -> Result<Vec<String>> {
    let mut all = Vec::new();
    named::<StatefulSet>(lab, cluster, &mut all).await?;
    named::<ControllerRevision>(lab, cluster, &mut all).await?;
    named::<Pod>(lab, cluster, &mut all).await?;
    named::<Service>(lab, cluster, &mut all).await?;
    named::<EndpointSlice>(lab, cluster, &mut all).await?;
    named::<ConfigMap>(lab, cluster, &mut all).await?;
    named::<Secret>(lab, cluster, &mut all).await?;
    named::<ServiceAccount>(lab, cluster, &mut all).await?;
    named::<PodDisruptionBudget>(lab, cluster, &mut all).await?;
    named::<PersistentVolumeClaim>(lab, cluster, &mut all).await?;
    Ok(all)
}

/// By name, which begins with the cluster's: an object that lost its labels must not stay either.
async fn named<K: Kind + Clone + DeserializeOwned + Debug>(
    lab: &Lab,
    cluster: &str,
    all: &mut Vec<String>,
) -> Result<()> {
    let list = lab.api::<K>().list_metadata(&ListParams::default()).await?;
    let names = list.items.iter().map(ResourceExt::name_any).filter(|name| name.contains(cluster));
    all.extend(names.map(|name| format!("{} {name}", K::kind(&()))));
    Ok(())
}
