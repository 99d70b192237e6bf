//! Changes of the configuration, and no changes.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use e2e::{
    audit::Audit,
    brokers::{Brokers, CHAT, small},
    lab::Lab,
    report::{summary, time},
    visitor::Visitor,
    wait::{LONG, until},
};
use k8s_openapi::{
    ByteString,
    api::{
        apps::v1::StatefulSet,
        core::v1::{Pod, Secret, Service},
    },
};
use kube::{
    ResourceExt,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::support::{one_at_a_time, visitors_on};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn config_change_rolls() -> Result<()> {
    Lab::run("config-change-rolls", async |lab| {
        let secret = Secret {
            metadata: ObjectMeta { name: Some("keys".into()), ..ObjectMeta::default() },
            data: Some(BTreeMap::from([("first".to_owned(), ByteString(b"one".to_vec()))])),
            ..Secret::default()
        };
        lab.api::<Secret>().create(&PostParams::default(), &secret).await?;
        let mut spec = small(2);
        spec["auth"]["apiKeys"] = json!([{"name": "keys", "key": "first"}]);
        let brokers = Brokers::create(lab, CHAT, spec).await?;
        let epoch = Instant::now();
        let mut visitors = visitors_on(lab, &brokers, 0, 2, epoch).await?;
        visitors.extend(visitors_on(lab, &brokers, 1, 2, epoch).await?);

        rolls(lab, &brokers, &visitors, async || {
            brokers.patch(json!({"spec": {"limits": {"messageSize": "32Ki"}}})).await
        })
        .await?;
        rolls(lab, &brokers, &visitors, async || {
            lab.report.say("test", "changes the API key in the Secret keys");
            edit_secret(lab, json!({"stringData": {"first": "two"}})).await
        })
        .await?;
        ensure!(publish(&brokers, "one").await.is_err(), "the old API key is still taken");
        publish(&brokers, "two").await?;
        lab.report.say("test", "the new API key is taken, the old one is not");

        let (before, ends) = (pods(lab, &brokers).await?, ends(&visitors));
        brokers
            .patch(json!({"metadata": {"labels": {"team": "chat"}, "annotations": {"note": "unrelated"}}}))
            .await?;
        edit_secret(
            lab,
            json!({"metadata": {"labels": {"team": "chat"}}, "stringData": {"other": "unrelated"}}),
        )
        .await?;
        // Growing is what comes after; when that is done, the change before was seen.
        brokers.scale(3).await?;
        brokers.until("3 instances are ready", LONG, |status| status.ready_replicas == 3).await?;
        brokers.settled(LONG).await?;
        let after = pods(lab, &brokers).await?;
        ensure!(after[..2] == before[..], "the pods were {before:?}, and are {after:?}");
        ensure!(self::ends(&visitors) == ends, "some client was disconnected");
        lab.report
            .say("test", "other labels, annotations and Secret keys replaced no pod and disconnected nobody");
        Ok(())
    })
    .await
}

/// A change replaces every pod, one by one, and all clients are told to come back.
async fn rolls(
    lab: &Lab,
    brokers: &Brokers<'_>,
    visitors: &[Visitor],
    change: impl AsyncFnOnce() -> Result<()>,
) -> Result<()> {
    let (before, ends) = (pods(lab, brokers).await?, ends(visitors));
    let begun = Instant::now();
    change().await?;
    until("all pods are replaced", LONG, async || {
        let now = pods(lab, brokers).await;
        Ok(now.is_ok_and(|now| now.iter().all(|pod| !before.contains(pod))).then_some(()))
    })
    .await?;
    brokers.settled(LONG).await?;
    lab.report.say("test", format!("rolled after {}", time(begun.elapsed())));
    one_at_a_time(&lab.history.pods_since(begun), brokers, 2)?;
    for (visitor, before) in visitors.iter().zip(ends) {
        visitor.until_back(before + 1).await?;
        let memory = visitor.memory();
        let (codes, away) = (&memory.codes[before..], memory.away[before..].to_vec());
        ensure!(codes.iter().all(|code| *code == 3001), "{} was closed with {codes:?}", visitor.name);
        lab.report.say(&visitor.name, format!("told {codes:?}; away: {}", summary(away)));
    }
    Ok(())
}

fn ends(visitors: &[Visitor]) -> Vec<usize> {
    visitors.iter().map(Visitor::ends).collect()
}

async fn edit_secret(lab: &Lab, patch: Value) -> Result<()> {
    let patch = Patch::Merge(patch);
    lab.api::<Secret>()
        .patch("keys", &PatchParams::default(), &patch)
        .await
        .context("edit the Secret")
        .map(drop)
}

async fn publish(brokers: &Brokers<'_>, key: &str) -> Result<()> {
    let body = json!({"channel": "room", "data": {}});
    let answer = e2e::http::call(brokers.service().await?, "publish", key, &body).await?;
    ensure!(answer == json!({"result": {}}), "the server API answered {answer}");
    Ok(())
}

/// The identities of the brokers' pods, by ordinal.
async fn pods(lab: &Lab, brokers: &Brokers<'_>) -> Result<Vec<String>> {
    let set = lab.api::<StatefulSet>().get(&brokers.name).await?;
    let replicas = set.spec.and_then(|spec| spec.replicas).unwrap_or_default();
    let mut uids = Vec::new();
    for ordinal in 0..replicas as usize {
        let pod = lab.api::<Pod>().get(&brokers.instance(ordinal)).await?;
        uids.push(pod.uid().unwrap_or_default());
    }
    Ok(uids)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steady_state_writes_nothing() -> Result<()> {
    Lab::run("steady-state", async |lab| {
        let brokers = Brokers::create(lab, CHAT, small(2)).await?;
        let visitors = visitors_on(lab, &brokers, 0, 2, Instant::now()).await?;
        // Connections are news too: the status is written once more for them. A note that somebody else leaves on a
        // Service is none of the operator's business, but makes it look now instead of half a minute later.
        let mut turns = tokio::time::interval(Duration::from_secs(1));
        until("the status counts the clients", LONG, async || {
            let turn = turns.tick().await;
            let note = json!({"metadata": {"annotations": {"example.com/note": format!("{turn:?}")}}});
            lab.api::<Service>().patch(CHAT, &PatchParams::default(), &Patch::Merge(note)).await?;
            Ok((brokers.status().await?.connections == 2).then_some(()))
        })
        .await?;
        brokers.settled(LONG).await?;
        let audit = Audit::from_now()?;
        let minute = Duration::from_secs(60);
        lab.report.say("test", "nothing is done for a minute");
        // Nothing can be waited for: that nothing happens in this time is the point.
        tokio::time::sleep(minute).await;
        let writes = audit.operator()?;
        lab.report.say("audit", format!("{} renewals of the operator's Lease", writes.lease));
        lab.report.say(
            "audit",
            format!("{} other writes of the operator: {:?}", writes.others.len(), writes.others),
        );
        ensure!(writes.others.is_empty(), "the operator wrote {:?}", writes.others);
        ensure!(writes.lease > 0, "the audit log does not know the operator");
        ensure!(ends(&visitors).iter().all(|ends| *ends == 0), "some client was disconnected");
        Ok(())
    })
    .await
}
