//! What users read and are told when they write a BrokerCluster.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use e2e::lab::Lab;
use tokio::io::AsyncWriteExt;

/// What is wrong, the object's spec (YAML on one line), and what the message has to say.
const INVALID: [(&str, &str, &str); 12] = [
    ("no Redis", "{redis: {}}", "write exactly one of redis.managed"),
    (
        "two Redis",
        "{redis: {managed: {storage: {emptyDir: {}}}, external: {url: 'redis://r:6379/0'}}}",
        "write exactly one of redis.managed",
    ),
    ("no storage", "{redis: {managed: {storage: {}}}}", "write exactly one of storage.persistent"),
    ("negative replicas", "{replicas: -1, redis: {managed: {storage: {emptyDir: {}}}}}", "replicas"),
    (
        "a bad quantity",
        "{limits: {messageSize: large}, redis: {managed: {storage: {emptyDir: {}}}}}",
        "messageSize",
    ),
    (
        "an unknown field",
        "{replica: 3, redis: {managed: {storage: {emptyDir: {}}}}}",
        "unknown field \"spec.replica\"",
    ),
    (
        "a password in the URL",
        "{redis: {external: {url: 'redis://:secret@redis.example.com:6379/0'}}}",
        "put the password in a Secret",
    ),
    (
        "another scheme",
        "{redis: {external: {url: 'http://redis.example.com'}}}",
        "url must begin with redis://",
    ),
    (
        "one path for both endpoints",
        "{endpoints: {http: {path: /x}, websocket: {path: /x}}, redis: {managed: {storage: {emptyDir: {}}}}}",
        "give each endpoint a path of its own",
    ),
    (
        "an origin with a path",
        "{endpoints: {allowedOrigins: ['https://example.com/page']}, redis: {managed: {storage: {emptyDir: {}}}}}",
        "scheme and host in lower case without a path",
    ),
    (
        "no time to drain",
        "{drain: {gracePeriodSeconds: 0}, redis: {managed: {storage: {emptyDir: {}}}}}",
        "between 1 and 3600",
    ),
    (
        "a container named broker",
        "{podTemplate: {containers: [{name: broker, image: x}]}, redis: {managed: {storage: {emptyDir: {}}}}}",
        "give it another name",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explain_and_invalid() -> Result<()> {
    Lab::run("explain-and-invalid", async |lab| {
        let output = lab.kubectl().args(["explain", "bc.spec", "--recursive"]).output().await?;
        let text = String::from_utf8(output.stdout)?;
        ensure!(output.status.success(), "kubectl explain: {}", String::from_utf8_lossy(&output.stderr));
        lab.report.say("kubectl", format!("explain bc.spec --recursive\n{text}"));
        for field in ["replicas", "gracePeriodSeconds", "hmacSecretRef", "allowedOrigins", "storageClassName"]
        {
            ensure!(text.contains(field), "kubectl explain does not know {field}");
        }
        let described = lab.kubectl().args(["explain", "bc.spec.drain.gracePeriodSeconds"]).output().await?;
        let described = String::from_utf8(described.stdout)?;
        lab.report.say("kubectl", format!("explain bc.spec.drain.gracePeriodSeconds\n{described}"));
        let description = described.split_once("DESCRIPTION:").context("no description")?.1.trim();
        ensure!(description.len() > 20 && !description.contains("<empty>"), "it is not described");

        for (what, spec, says) in INVALID {
            let message = refusal(lab, spec).await.with_context(|| what.to_owned())?;
            lab.report.say(
                "refused",
                format!("{what}\n           {}", message.trim().replace('\n', "\n           ")),
            );
            ensure!(message.contains(says), "{what}: the message does not say \"{says}\"");
        }
        Ok(())
    })
    .await
}

/// What kubectl says when it is to apply this.
async fn refusal(lab: &Lab, spec: &str) -> Result<String> {
    let header = "apiVersion: switchboard.dev/v1alpha1\nkind: BrokerCluster\nmetadata: {name: bad}";
    let object = format!("{header}\nspec: {spec}\n");
    let mut kubectl = lab.kubectl();
    kubectl.args(["apply", "--dry-run=server", "-f", "-"]);
    let mut child = kubectl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().context("kubectl has no input")?;
    stdin.write_all(object.as_bytes()).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    ensure!(!output.status.success(), "it was taken: {}", String::from_utf8_lossy(&output.stdout));
    Ok(String::from_utf8(output.stderr)?)
}
