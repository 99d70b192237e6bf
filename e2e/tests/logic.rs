//! A logic module in another language, in a container beside each broker: the example for it, as it is.

use std::{env, fs, path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use e2e::{
    brokers::Brokers,
    client::{Client, Event},
    lab::Lab,
    wait::LONG,
};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::support::ROOM;

/// How long a publication may take.
const SOON: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logic_in_another_language_beside_the_brokers() -> Result<()> {
    Lab::run("logic", async |lab| {
        apply_the_example(lab).await?;
        let brokers = Brokers::named(lab, "game");
        brokers.patch(json!({"spec": {"replicas": 2}})).await?;
        brokers.settled(LONG).await?;
        lab.show(&["get", "pods", "-o", "wide"]).await?;

        let mut clients = [brokers.client(0).await?, brokers.client(1).await?];
        for client in &mut clients {
            client.subscribe(ROOM).await?;
        }
        for client in &mut clients {
            let sum = call(lab, client, json!({"do": "add", "numbers": [1, 2]})).await?;
            ensure!(sum["rpc"]["data"] == json!({"sum": 3}), "the module answered {sum}");
        }
        let [first, second] = &mut clients;
        call(lab, first, json!({"do": "say", "channel": ROOM, "text": "hello"})).await?;
        for client in [&mut *first, &mut *second] {
            let said = client.publication(SOON).await?;
            lab.report.say(&client.node, format!("received {said} in {ROOM}"));
            ensure!(said["text"] == "hello", "{said}");
        }
        let refused = call(lab, second, json!({"do": "dance"})).await?;
        ensure!(refused["error"]["message"].as_str().is_some_and(|why| why.contains("dance")), "{refused}");
        let _no_reply = second.send(json!({"send": {"data": {"do": "leave"}}}))?;
        let Event::Closed(code) = second.event().await else { unreachable!("nothing else is published") };
        lab.report.say(&second.node, format!("the module had this client disconnected: {code}"));
        Ok(())
    })
    .await
}

/// Calls the module, and says what it answered.
async fn call(lab: &Lab, client: &mut Client, data: Value) -> Result<Value> {
    let answer = client.ask(json!({"rpc": {"method": "game", "data": data}})).await?;
    lab.report.say(&client.node, format!("rpc game {data} -> {answer}"));
    Ok(answer)
}

/// What the example's first lines say, with the image that this cluster's nodes have.
async fn apply_the_example(lab: &Lab) -> Result<()> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let receiver = format!("--from-file={}", examples.join("webhook/receiver.mjs").display());
    let secret = "--from-literal=secret=a-secret-of-at-least-32-characters";
    let secret = ["secret", "generic", "game-webhook", secret];
    let receiver = ["configmap", "game-receiver", &receiver];
    for object in [&secret[..], &receiver] {
        kubectl(lab, &[&["create"], object].concat(), "").await?;
    }
    let image = env::var("NODE_IMAGE").context("no NODE_IMAGE; run cargo xtask test e2e")?;
    let example = fs::read_to_string(examples.join("webhook.yaml"))?;
    ensure!(example.contains("node:22-alpine"), "the example has another image");
    kubectl(lab, &["apply", "-f", "-"], &example.replace("node:22-alpine", &image)).await
}

async fn kubectl(lab: &Lab, arguments: &[&str], input: &str) -> Result<()> {
    let mut command = lab.kubectl();
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot run kubectl")?;
    let mut stdin = child.stdin.take().context("kubectl has no input")?;
    stdin.write_all(input.as_bytes()).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim_end().to_owned();
    ensure!(output.status.success(), "kubectl {}: {said}", arguments.join(" "));
    lab.report.say("kubectl", said);
    Ok(())
}
