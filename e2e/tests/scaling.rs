//! More instances, and fewer.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use e2e::{
    brokers::{Brokers, CHAT, small},
    lab::Lab,
    process::{self, Signal},
    publisher::Publisher,
    report::{summary, time},
    wait::{LONG, until},
};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams},
};

use crate::support::{ROOM, missed, missed_nothing, most_leaving, one_at_a_time, visitors_on};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scale_up_and_down_under_load() -> Result<()> {
    Lab::run("scale-under-load", async |lab| {
        let brokers = Brokers::create(lab, CHAT, small(2)).await?;
        let epoch = Instant::now();
        let mut staying = visitors_on(lab, &brokers, 0, 2, epoch).await?;
        staying.extend(visitors_on(lab, &brokers, 1, 2, epoch).await?);
        let publisher = Publisher::start(brokers.client(0).await?, ROOM, 100, epoch);
        lab.report.say("test", "100 messages a second are published on chat-0");

        brokers.scale(3).await?;
        let grown = Instant::now();
        brokers.until("3 instances are ready", LONG, |status| status.ready_replicas == 3).await?;
        brokers.settled(LONG).await?;
        lab.report.say("test", format!("3 instances after {}", time(grown.elapsed())));
        scale_subresource_says(lab, &brokers, 3).await?;
        let leaving = visitors_on(lab, &brokers, 2, 3, epoch).await?;

        let shrunk = Instant::now();
        brokers.scale(2).await?;
        for visitor in &leaving {
            visitor.until_back(1).await?;
        }
        brokers.until("2 instances are left", LONG, |status| status.replicas == 2).await?;
        brokers.settled(LONG).await?;
        lab.report.say("test", format!("2 instances after {}", time(shrunk.elapsed())));
        scale_subresource_says(lab, &brokers, 2).await?;
        one_at_a_time(&lab.history.pods_since(shrunk), &brokers, 2)?;

        let published = publisher.stop().await?;
        lab.report.say(
            "publisher",
            format!("{} messages; replies: {}", published.last, summary(published.replies)),
        );
        for visitor in staying.iter().chain(&leaving) {
            visitor.until_number(published.last).await?;
        }
        for visitor in &staying {
            missed_nothing(visitor, published.last)?;
            let memory = visitor.memory();
            lab.report.say(&visitor.name, format!("missed nothing; {}", summary(memory.delays)));
        }
        for visitor in &leaving {
            let memory = visitor.memory();
            ensure!(memory.codes == [3001], "{} was closed with {:?}", visitor.name, memory.codes);
            let home = memory.nodes.last().context("it is nowhere")?;
            ensure!(*home != brokers.instance(2), "{} is on the instance that left", visitor.name);
            // It had joined late: what it missed while it was away is what lies between its first and last message.
            let first = memory.numbers.first().copied().unwrap_or(1);
            let gap = missed(visitor, published.last)? - (first - 1);
            let away = summary(memory.away);
            lab.report
                .say(&visitor.name, format!("told 3001, now on {home}; away: {away}; {gap} messages passed"));
        }
        Ok(())
    })
    .await
}

/// What an autoscaler reads: the counts, and a selector that finds exactly the brokers' pods.
async fn scale_subresource_says(lab: &Lab, brokers: &Brokers<'_>, replicas: i32) -> Result<()> {
    let (asked, there, selector) = brokers.scaled().await?;
    let status = brokers.status().await?;
    let pods = lab.api::<Pod>().list(&ListParams::default().labels(&selector)).await?;
    let mut names: Vec<String> = pods.items.iter().map(ResourceExt::name_any).collect();
    names.sort();
    let expected: Vec<String> = (0..replicas as usize).map(|ordinal| brokers.instance(ordinal)).collect();
    lab.report.say("scale", format!("asked {asked}, there {there}, selector {selector} finds {names:?}"));
    lab.show(&["get", "bc", &brokers.name]).await?;
    ensure!((asked, there) == (replicas, replicas), "the scale subresource says {asked} and {there}");
    ensure!(selector == status.selector && names == expected, "the selector finds {names:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operator_killed() -> Result<()> {
    Lab::run("operator-killed", async |lab| {
        let brokers = Brokers::create(lab, CHAT, small(4)).await?;
        let epoch = Instant::now();
        let mut staying = visitors_on(lab, &brokers, 0, 1, epoch).await?;
        staying.extend(visitors_on(lab, &brokers, 1, 1, epoch).await?);
        let leaving = visitors_on(lab, &brokers, 3, 2, epoch).await?;
        let publisher = Publisher::start(brokers.client(0).await?, ROOM, 50, epoch);

        let begun = Instant::now();
        brokers.scale(2).await?;
        until("chat-3 is leaving", LONG, async || {
            Ok((most_leaving(&lab.history.pods_since(begun), &brokers) > 0).then_some(()))
        })
        .await?;
        let killed = Instant::now();
        kill_operators(lab).await?;

        let status = brokers.until("2 instances are left", LONG, |status| status.replicas == 2).await?;
        brokers.settled(LONG).await?;
        lab.report
            .say("test", format!("the next operator was done after {}: {status}", time(killed.elapsed())));
        let together = most_leaving(&lab.history.pods_since(begun), &brokers);
        ensure!(together == 1, "{together} instances were leaving at the same time");

        let published = publisher.stop().await?;
        for visitor in &staying {
            visitor.until_number(published.last).await?;
            missed_nothing(visitor, published.last)?;
        }
        for visitor in &leaving {
            visitor.until_number(published.last).await?;
            let memory = visitor.memory();
            // Whoever came back to chat-2 had to leave once more.
            ensure!(memory.codes.iter().all(|code| *code == 3001), "{} got {:?}", visitor.name, memory.codes);
            lab.report.say(&visitor.name, format!("{:?}; away: {}", memory.nodes, summary(memory.away)));
        }
        lab.report.say("test", format!("{} messages; those who stayed missed nothing", published.last));
        Ok(())
    })
    .await
}

/// Ends the operator at once, without a chance to give its lease back.
async fn kill_operators(lab: &Lab) -> Result<()> {
    let pods = Api::<Pod>::namespaced(lab.client.clone(), "switchboard-system");
    let operators = ListParams::default().labels("app.kubernetes.io/name=switchboard-operator");
    let found = pods.list(&operators).await?.items;
    ensure!(!found.is_empty(), "there is no operator in switchboard-system");
    for pod in found {
        lab.report.say("test", format!("kills {}", pod.name_any()));
        process::signal(&pod.uid().unwrap_or_default(), "operator", Signal::KILL)?;
        pods.delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await?;
    }
    Ok(())
}
