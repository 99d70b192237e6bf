//! What several of the tests do.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use e2e::{brokers::Brokers, history::Pods, http, lab::Lab, visitor::Visitor};
use serde_json::{Value, json};

/// The channel that visitors are in.
pub(crate) const ROOM: &str = "room";

/// Visitors on one instance, named after it: `0a`, `0b`, …
pub(crate) async fn visitors_on(
    lab: &Lab,
    brokers: &Brokers<'_>,
    ordinal: usize,
    count: usize,
    epoch: Instant,
) -> Result<Vec<Visitor>> {
    let address = brokers.address(ordinal).await?;
    let mut visitors = Vec::new();
    for letter in ('a'..='z').take(count) {
        let name = format!("visitor {ordinal}{letter}");
        visitors.push(Visitor::arrive(name, address, brokers.door(), ROOM, epoch, lab.report).await?);
    }
    lab.report.say("test", format!("{count} visitors are on {}", brokers.instance(ordinal)));
    Ok(visitors)
}

/// The one of these instances that has the only client.
pub(crate) async fn home(brokers: &Brokers<'_>, replicas: usize) -> Result<String> {
    for ordinal in 0..replicas {
        if brokers.health(ordinal).await?["connections"] == 1 {
            return Ok(brokers.instance(ordinal));
        }
    }
    None.context("no instance has one client")
}

/// Publishes into [`ROOM`], by the server API.
pub(crate) async fn publish(brokers: &Brokers<'_>, data: &Value) -> Result<()> {
    let body = json!({"channel": ROOM, "data": data});
    let answer = http::call(brokers.service().await?, "publish", &brokers.api_key().await?, &body).await?;
    ensure!(answer == json!({"result": {}}), "the server API answered {answer}");
    Ok(())
}

/// Every message from 1 to `last` arrived once, in order.
pub(crate) fn missed_nothing(visitor: &Visitor, last: u64) -> Result<()> {
    let memory = visitor.memory();
    let expected: Vec<u64> = (1..=last).collect();
    ensure!(memory.codes.is_empty(), "{}'s connection ended: {:?}", visitor.name, memory.codes);
    ensure!(
        memory.numbers == expected,
        "{} of 1..={last} got {:?}",
        visitor.name,
        gaps(&memory.numbers, last)
    );
    Ok(())
}

/// What arrived came in order and once; how many messages did not.
pub(crate) fn missed(visitor: &Visitor, last: u64) -> Result<u64> {
    let numbers = visitor.memory().numbers;
    ensure!(
        numbers.is_sorted_by(|one, next| one < next),
        "{} got messages twice or out of order",
        visitor.name
    );
    Ok(last - numbers.len() as u64)
}

/// What is wrong with a sequence that should be 1 to `last`: each step that is not by one.
fn gaps(numbers: &[u64], last: u64) -> Vec<(u64, u64)> {
    let ends: Vec<u64> = [&[0], numbers, &[last + 1]].concat();
    ends.windows(2).filter(|pair| pair[0] + 1 != pair[1]).map(|pair| (pair[0], pair[1])).collect()
}

/// At every one of these moments at most one broker was missing or leaving.
pub(crate) fn one_at_a_time(moments: &[Pods], brokers: &Brokers<'_>, replicas: usize) -> Result<()> {
    for pods in moments {
        let able = |ordinal: &usize| {
            pods.get(&brokers.instance(*ordinal)).is_some_and(|pod| pod.ready && !pod.leaving)
        };
        let away = (0..replicas).filter(|ordinal| !able(ordinal)).count();
        ensure!(away <= 1, "{away} of {replicas} brokers were away at the same time: {pods:?}");
    }
    Ok(())
}

/// How many brokers were on their way out at the same moment, at most.
pub(crate) fn most_leaving(moments: &[Pods], brokers: &Brokers<'_>) -> usize {
    let of_brokers = |name: &str| {
        name.strip_prefix(&format!("{}-", brokers.name)).is_some_and(|rest| rest.parse::<u32>().is_ok())
    };
    let leaving = |pods: &Pods| pods.iter().filter(|(name, pod)| of_brokers(name) && pod.leaving).count();
    moments.iter().map(leaving).max().unwrap_or_default()
}
