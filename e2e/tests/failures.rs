//! What clients and status show when something is killed.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use e2e::{
    brokers::{Brokers, CHAT, small},
    client::{Client, Event},
    lab::Lab,
    process::{self, Signal},
    prometheus,
    report::{summary, time},
    visitor::Visitor,
    wait::{LONG, SHORT, until},
};
use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt, api::DeleteParams};
use serde_json::{Value, json};
use tokio::time::{interval, timeout_at};

use crate::support::{ROOM, visitors_on};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pod_killed() -> Result<()> {
    Lab::run("pod-killed", async |lab| {
        let brokers = Brokers::create(lab, CHAT, small(2)).await?;
        let epoch = Instant::now();
        let mut visitors = visitors_on(lab, &brokers, 0, 2, epoch).await?;
        visitors.extend(visitors_on(lab, &brokers, 1, 2, epoch).await?);

        lab.report.say("test", "deletes the pod chat-0 without grace");
        lost(lab, &brokers, &visitors, 0, async || {
            let now = DeleteParams::default().grace_period(0);
            lab.api::<Pod>().delete("chat-0", &now).await.context("delete chat-0").map(drop)
        })
        .await?;

        lab.report.say("test", "sends SIGKILL to the broker in chat-1");
        lost(lab, &brokers, &visitors, 1, async || {
            let pod = brokers.pod(1).await?;
            process::signal(&pod.uid().unwrap_or_default(), "broker", Signal::KILL)
        })
        .await?;
        let statuses = lab.history.statuses_since(CHAT, epoch);
        ensure!(
            statuses.iter().any(|status| !status.is("Ready")),
            "the status never said that it was not ready"
        );
        Ok(())
    })
    .await
}

/// Loses one of two instances: its clients come back, the dead ones are present no more, the instance is itself again.
async fn lost(
    lab: &Lab,
    brokers: &Brokers<'_>,
    visitors: &[Visitor],
    ordinal: usize,
    kill: impl AsyncFnOnce() -> Result<()>,
) -> Result<()> {
    let instance = brokers.instance(ordinal);
    let before = brokers.health(ordinal).await?;
    let lives_there = |visitor: &&Visitor| visitor.memory().nodes.last() == Some(&instance);
    let hit: Vec<(&Visitor, usize)> =
        visitors.iter().filter(lives_there).map(|visitor| (visitor, visitor.ends())).collect();
    ensure!(!hit.is_empty(), "nobody is on {instance}");
    let mut dead: BTreeSet<String> = BTreeSet::new();
    for (visitor, _) in &hit {
        dead.extend(visitor.memory().ids.last().cloned());
    }
    let mut witness = brokers.client(1 - ordinal).await?;
    let present = |ids: Vec<String>| ids.into_iter().collect::<BTreeSet<_>>();
    let seen = present(witness.presence(ROOM).await?);
    ensure!(seen.is_superset(&dead), "before: of {dead:?} only {seen:?} are present");

    let killed = Instant::now();
    kill().await?;
    for (visitor, ends) in &hit {
        visitor.until_back(ends + 1).await?;
    }
    lab.report.say("test", format!("its {} clients were back after {}", hit.len(), time(killed.elapsed())));
    let mut last = BTreeSet::new();
    until("the dead clients are present no more", SHORT, async || {
        let now = present(witness.presence(ROOM).await?);
        if now != last {
            let dead = now.intersection(&dead).count();
            let text = format!(
                "{} present in {ROOM}, {dead} of them dead, after {}",
                now.len(),
                time(killed.elapsed())
            );
            lab.report.say("presence", text);
            last = now;
        }
        let living: BTreeSet<String> =
            visitors.iter().filter_map(|visitor| visitor.memory().ids.pop()).collect();
        Ok((last == living).then_some(()))
    })
    .await?;
    lab.report.say("test", format!("presence was right after {}", time(killed.elapsed())));

    let after = until("the instance is itself again", LONG, async || {
        let health = brokers.health(ordinal).await?;
        Ok((health["epoch"] != before["epoch"] && health["status"] == "ok").then_some(health))
    })
    .await?;
    ensure!(after["instance"] == before["instance"], "it was {before}, and is {after}");
    let epochs = format!("epoch {} → {}", before["epoch"], after["epoch"]);
    lab.report.say("test", format!("{instance} was back after {}, {epochs}", time(killed.elapsed())));
    brokers.settled(LONG).await?;
    lab.report.say("test", format!("settled after {}", time(killed.elapsed())));
    brokers.until_messages_cross(2).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_killed() -> Result<()> {
    Lab::run("redis-killed", async |lab| {
        let brokers = Brokers::create(lab, CHAT, small(2)).await?;
        let mut pairs = [Pair::on(&brokers, 0).await?, Pair::on(&brokers, 1).await?];

        lab.report.say("test", "deletes Redis' pod without grace");
        let killed = Instant::now();
        lab.api::<Pod>().delete("chat-redis-0", &DeleteParams::default().grace_period(0)).await?;
        let mut failures = without_redis(lab, &mut pairs, killed, async |_| Ok(())).await?;
        lab.show(&["get", "bc", CHAT]).await?;
        brokers.settled(LONG).await?;
        lab.report.say("test", format!("settled after {}", time(killed.elapsed())));
        let statuses = lab.history.statuses_since(CHAT, killed);
        ensure!(
            statuses.iter().any(|status| status.condition("RedisReady") == "False"),
            "RedisReady never was False"
        );

        let pod = lab.api::<Pod>().get("chat-redis-0").await?;
        let signal = |signal| process::signal(&pod.uid().unwrap_or_default(), "redis-server", signal);
        lab.report.say("test", "freezes Redis: it is there, and answers nothing");
        let frozen = Instant::now();
        signal(Signal::STOP)?;
        failures += without_redis(lab, &mut pairs, frozen, async |failures| {
            // Long enough for both instances to have noticed.
            if failures == 10 {
                lab.report.say("test", "lets it go on");
                signal(Signal::CONT)?;
            }
            Ok(())
        })
        .await?;
        brokers.settled(LONG).await?;
        lab.report.say("test", format!("settled after {}", time(frozen.elapsed())));
        refusals_are_counted(lab, failures).await
    })
    .await
}

async fn refusals_are_counted(lab: &Lab, failures: usize) -> Result<()> {
    let metric = "switchboard_publish_failures_total";
    let query = format!("sum by (pod) ({metric}{{namespace=\"{}\"}})", lab.namespace);
    until("Prometheus has counted the refused publishes", SHORT, async || {
        let counted = prometheus::by_pod(&lab.client, &query).await?;
        let whole = counted.values().sum::<f64>() == failures as f64;
        if whole {
            lab.report.say("prometheus", format!("{metric} {counted:?}: all {failures} are counted"));
        }
        Ok(whole.then_some(()))
    })
    .await
}

/// Publishes on both instances by turns while Redis is away and until messages cross again; how many were refused.
async fn without_redis(
    lab: &Lab,
    pairs: &mut [Pair; 2],
    since: Instant,
    mut failed: impl AsyncFnMut(usize) -> Result<()>,
) -> Result<usize> {
    let mut failures = Vec::new();
    let mut last = [String::new(), String::new()];
    let deadline = Instant::now() + LONG;
    let mut turns = interval(Duration::from_millis(100));
    loop {
        turns.tick().await;
        let mut crossed = 0;
        for index in [0, 1] {
            let attempt = pairs[index].publish().await?;
            if attempt.outcome != last[index] {
                let text = format!("publish: {} in {}", attempt.outcome, time(attempt.took));
                lab.report.say(&pairs[index].publisher.node, text);
                last[index] = attempt.outcome;
            }
            if attempt.failed {
                ensure!(
                    attempt.took < Duration::from_secs(1),
                    "a publish took {} to fail",
                    time(attempt.took)
                );
                failures.push(attempt.took);
                failed(failures.len()).await?;
            } else if pairs[1 - index].has_remote(attempt.number, Duration::from_millis(500)).await? {
                crossed += 1;
            }
        }
        if crossed == 2 && !failures.is_empty() {
            break;
        }
        ensure!(Instant::now() < deadline, "messages do not cross, {} publishes failed", failures.len());
    }
    lab.report.say("test", format!("messages crossed again after {}", time(since.elapsed())));
    let count = failures.len();
    lab.report.say("test", format!("refused publishes, answered within: {}", summary(failures)));
    for pair in pairs {
        let (published, received) = pair.locally();
        ensure!(received == published, "of {published} messages {received} arrived on their own instance");
        ensure!(pair.remote.is_sorted_by(|one, next| one < next), "twice or out of order: {:?}", pair.remote);
        lab.report.say(
            &pair.publisher.node,
            format!("all {published} messages arrived on their own instance, once"),
        );
    }
    Ok(count)
}

/// A publisher and a subscriber on one instance. Neither comes back: their connections have to last.
struct Pair {
    publisher: Client,
    subscriber: Client,
    number: u64,
    local: Vec<u64>,
    remote: Vec<u64>,
}

struct Attempt {
    number: u64,
    outcome: String,
    failed: bool,
    took: Duration,
}

impl Pair {
    async fn on(brokers: &Brokers<'_>, ordinal: usize) -> Result<Self> {
        let mut subscriber = brokers.client(ordinal).await?;
        subscriber.subscribe(ROOM).await?;
        let mut publisher = brokers.client(ordinal).await?;
        publisher.subscribe(ROOM).await?;
        Ok(Self { publisher, subscriber, number: 0, local: Vec::new(), remote: Vec::new() })
    }

    /// Publishes one message; it arrives on this instance whatever becomes of Redis.
    async fn publish(&mut self) -> Result<Attempt> {
        self.number += 1;
        let data = json!({"from": self.publisher.node, "number": self.number});
        let begun = Instant::now();
        let reply = self.publisher.ask(json!({"publish": {"channel": ROOM, "data": data}})).await?;
        let took = begun.elapsed();
        let error = &reply["error"];
        ensure!(error.is_null() || error["temporary"] == true, "not a temporary error: {reply}");
        let outcome = match error {
            Value::Null => "taken".to_owned(),
            error => format!("temporary error {}: {}", error["code"], error["message"]),
        };
        ensure!(self.has_local(self.number, SHORT).await?, "message {} did not arrive here", self.number);
        Ok(Attempt { number: self.number, outcome, failed: !error.is_null(), took })
    }

    /// Whether a message of this instance arrives here in time.
    async fn has_local(&mut self, number: u64, within: Duration) -> Result<bool> {
        self.read_until(within, |pair| pair.local.contains(&number)).await
    }

    /// Whether a message of the other instance arrives here in time.
    async fn has_remote(&mut self, number: u64, within: Duration) -> Result<bool> {
        self.read_until(within, |pair| pair.remote.contains(&number)).await
    }

    async fn read_until(&mut self, within: Duration, is: impl Fn(&Self) -> bool) -> Result<bool> {
        let deadline = tokio::time::Instant::now() + within;
        while !is(self) {
            let Ok(event) = timeout_at(deadline, self.subscriber.event()).await else { return Ok(false) };
            let Event::Publication(data, _) = event else { bail!("the subscriber was closed: {event:?}") };
            let of =
                if data["from"] == self.publisher.node.as_str() { &mut self.local } else { &mut self.remote };
            of.extend(data["number"].as_u64());
        }
        Ok(true)
    }

    /// How many messages were published here, and how many of them arrived here, each once and in order.
    fn locally(&self) -> (u64, u64) {
        let in_order =
            self.local.iter().zip(1..).take_while(|(number, expected)| **number == *expected).count();
        (self.number, if in_order == self.local.len() { in_order as u64 } else { 0 })
    }
}
