//! The brokers' counters, as the Prometheus inside the cluster scraped them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;

use super::DEMO;
use super::demo::PODS;
use super::target::Target;
use crate::steps::{Step, Steps, wait_for};
use crate::terminal::{bold, cyan, say};

/// What is shown: a PromQL query each, with a value per pod.
const QUERIES: [&str; 5] = [
    "sum by (pod) (switchboard_publishes_total)",
    "sum by (pod) (switchboard_deliveries_total{origin=\"local\"})",
    "sum by (pod) (switchboard_deliveries_total{origin=\"remote\"})",
    "sum by (pod) (switchboard_envelopes_total{direction=\"sent\"})",
    "sum by (pod) (switchboard_redis_up)",
];

/// How long ago each pod was scraped, in seconds.
const AGE: &str = "max by (pod) (time() - timestamp(switchboard_redis_up))";

pub(super) fn show(steps: &Steps, target: &Target) -> Result<()> {
    let rows = steps.run("counters", |step| {
        // All messages have arrived: what was scraped from now on has counted them.
        let started = Instant::now();
        wait_for("Prometheus has counted the messages", Duration::from_secs(30), || {
            let since = started.elapsed().as_secs_f64();
            let ages = query(step, target, AGE).unwrap_or_default();
            Ok(PODS.iter().all(|pod| ages.get(*pod).is_some_and(|age| *age < since)).then_some(()))
        })?;
        QUERIES.iter().map(|text| Ok((*text, query(step, target, text)?))).collect::<Result<Vec<_>>>()
    })?;
    say(format!("\n  {}\n", bold("What the Prometheus in the cluster counted")));
    say(format!("    {:<64} {} {}", "", cyan(&format!("{:>8}", PODS[0])), cyan(&format!("{:>8}", PODS[1]))));
    for (text, values) in rows {
        let value = |pod: &str| values.get(pod).map_or_else(|| "-".to_owned(), f64::to_string);
        say(format!("    {text:<64} {:>8} {:>8}", value(PODS[0]), value(PODS[1])));
    }
    Ok(())
}

/// Asks Prometheus through the API server, which needs no port of its own.
fn query(step: &Step, target: &Target, text: &str) -> Result<BTreeMap<String, f64>> {
    let path = format!(
        "/api/v1/namespaces/{DEMO}/services/prometheus:9090/proxy/api/v1/query?query={}",
        encode(text)
    );
    let output = step.output(target.kubectl().args(["get", "--raw", &path]))?;
    let answer: Value = serde_json::from_str(&output).context("Prometheus' answer is no JSON")?;
    let results = answer["data"]["result"].as_array().context("Prometheus' answer has no result")?;
    let sample = |result: &Value| {
        let pod = result["metric"]["pod"].as_str()?.to_owned();
        Some((pod, result["value"][1].as_str()?.parse().ok()?))
    };
    Ok(results.iter().filter_map(sample).collect())
}

/// Percent-encodes all that is not plain.
fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_encoded() {
        assert_eq!(encode("up{a=\"b\"}"), "up%7Ba%3D%22b%22%7D");
    }
}
