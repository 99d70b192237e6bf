//! Messages from pod to pod.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use e2e::{
    brokers::{Brokers, CHAT, small},
    client::{Client, Event},
    http,
    lab::Lab,
    prometheus,
    report::summary,
    visitor::message,
    wait::{SHORT, until},
};
use serde_json::json;

use crate::support::ROOM;

const EACH: u64 = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_cross_pods() -> Result<()> {
    Lab::run("messages-cross-pods", async |lab| {
        let brokers = Brokers::create(lab, CHAT, small(2)).await?;
        let epoch = Instant::now();
        let mut clients = [brokers.client(0).await?, brokers.client(1).await?];
        for client in &mut clients {
            client.subscribe(ROOM).await?;
        }
        lab.report.say("test", "a client on each pod is subscribed");

        // Odd numbers are of the first client, even ones of the second.
        for number in 1..=2 * EACH {
            let from = &mut clients[(number as usize + 1) % 2];
            from.publish(ROOM, message(number, epoch)).await?;
        }
        for (index, client) in clients.iter_mut().enumerate() {
            let (local, remote) = receive(client, index as u64, epoch).await?;
            lab.report.say(&client.node, format!("from its own pod:   {}", summary(local)));
            lab.report.say(&client.node, format!("from the other pod: {}", summary(remote)));
        }
        the_server_api_reaches_both(lab, &brokers, &mut clients).await?;
        counted(lab).await
    })
    .await
}

/// All messages, each once, each sender's in order; how long those of its own pod and those of the other took.
async fn receive(client: &mut Client, index: u64, epoch: Instant) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let (mut numbers, mut local, mut remote) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..2 * EACH {
        let Event::Publication(data, at) = client.event().await else { bail!("{} closed", client.node) };
        let number = data["number"].as_u64().unwrap_or_default();
        let sent = Duration::from_micros(data["sent"].as_u64().unwrap_or_default());
        let took = at.duration_since(epoch).saturating_sub(sent);
        if number % 2 == (index + 1) % 2 {
            local.push(took)
        } else {
            remote.push(took)
        }
        numbers.push(number);
    }
    for parity in [1, 0] {
        let of_one: Vec<u64> = numbers.iter().copied().filter(|number| number % 2 == parity).collect();
        let expected: Vec<u64> = (1..=2 * EACH).filter(|number| number % 2 == parity).collect();
        ensure!(of_one == expected, "{} got {of_one:?} of one sender", client.node);
    }
    Ok((local, remote))
}

async fn the_server_api_reaches_both(
    lab: &Lab,
    brokers: &Brokers<'_>,
    clients: &mut [Client; 2],
) -> Result<()> {
    let (service, key) = (brokers.service().await?, brokers.api_key().await?);
    let body = json!({"channel": ROOM, "data": {"from": "backend"}});
    let answer = http::call(service, "publish", &key, &body).await?;
    ensure!(answer == json!({"result": {}}), "the server API answered {answer}");
    for client in clients {
        let data = client.publication(SHORT).await?;
        ensure!(data == json!({"from": "backend"}), "{} got {data}", client.node);
    }
    lab.report.say("test", "the server API, through the Service, reached the clients on both pods");
    Ok(())
}

/// What Prometheus scraped comes to what was sent.
async fn counted(lab: &Lab) -> Result<()> {
    let each = EACH as f64;
    // One more publication came by the server API to one of the pods, and from there to the other.
    let expected = [
        ("switchboard_publishes_total{source=\"client\"}", 2.0 * each),
        ("switchboard_publishes_total{source=\"api\"}", 1.0),
        ("switchboard_deliveries_total{origin=\"local\"}", 2.0 * each + 1.0),
        ("switchboard_deliveries_total{origin=\"remote\"}", 2.0 * each + 1.0),
        ("switchboard_envelopes_total{direction=\"sent\"}", 2.0 * each + 1.0),
        ("switchboard_envelopes_total{direction=\"received\"}", 2.0 * each + 1.0),
        ("switchboard_redis_up", 2.0),
    ];
    for (metric, sum) in expected {
        let query = match metric.strip_suffix('}') {
            Some(start) => format!("sum by (pod) ({start},namespace=\"{}\"}})", lab.namespace),
            None => format!("sum by (pod) ({metric}{{namespace=\"{}\"}})", lab.namespace),
        };
        let mut last = Default::default();
        let counted = until(metric, SHORT, async || {
            last = prometheus::by_pod(&lab.client, &query).await?;
            Ok((last.values().sum::<f64>() == sum).then_some(()))
        });
        let outcome = counted.await;
        lab.report.say("prometheus", format!("{metric:<54} {last:?}"));
        outcome?;
    }
    Ok(())
}
