//! The Prometheus inside the cluster.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use hyper::Request;
use kube::Client;
use serde_json::Value;

/// The value of each pod, from a query that keeps the label `pod`.
pub async fn by_pod(client: &Client, query: &str) -> Result<BTreeMap<String, f64>> {
    // Through the API server: it knows where the pod is.
    let path = format!(
        "/api/v1/namespaces/switchboard-demo/services/prometheus:9090/proxy/api/v1/query?query={}",
        encode(query)
    );
    let answer: Value =
        client.request(Request::get(path).body(Vec::new())?).await.context("ask Prometheus")?;
    ensure!(answer["status"] == "success", "Prometheus does not take {query}: {answer}");
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
