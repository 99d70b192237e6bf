//! The official client of Socket.IO, over three pods through the Service.

use std::{collections::BTreeMap, time::Instant};

use anyhow::{Context, Result, ensure};
use e2e::{
    brokers::{Brokers, CHAT, small},
    lab::Lab,
    report::time,
    script::Script,
    wait::{LONG, until},
};
use k8s_openapi::{
    ByteString,
    api::core::v1::{Pod, Secret},
};
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use serde_json::{Value, json};

use crate::support::{ROOM, home, publish};

const REPLICAS: usize = 3;

/// What tokens are signed with.
const SECRET: &[u8] = b"a secret of the tests, long enough for HS256";

/// The user `ann`, signed with [`SECRET`] by HS256, without an end.
const ANN: &str =
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbm4ifQ.0hUeLqpFLsdgUyO7boAFJBwonVya7sIIiTrXw-032bc";

/// The user `bob`, as [`ANN`].
const BOB: &str =
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJib2IifQ.yzlYJ7e_2CLMW2CAETdEDCEniyNh8NELo4lIfTW1rzs";

/// The ways of the client: by requests alone, by WebSocket alone, from the one to the other.
const WAYS: [&str; 3] = ["polling", "websocket", "upgrade"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn socketio_clients_talk_over_three_pods() -> Result<()> {
    Lab::run("socketio-talk", async |lab| {
        let brokers = create(lab, json!({})).await?;
        let (service, key) = (brokers.service().await?, brokers.api_key().await?);
        let (url, api) = (format!("http://{service}"), format!("http://{service}/api"));
        let websocket = format!("ws://{service}/connection/websocket");
        for way in WAYS {
            let begun = Instant::now();
            let arguments = [&url, way, way, &api, &key, &websocket, ANN];
            Script::start("socketio.mjs", &arguments)?.succeeds().await?;
            let took = time(begun.elapsed());
            lab.report.say("socket.io-client", format!("by {way}: rooms, answers and bytes; in {took}"));
            if way == "polling" {
                let brought = brought(&brokers).await?;
                lab.report
                    .say("test", format!("{brought} requests came to another pod than their connection's"));
                ensure!(brought > 0, "no request has come to another pod than its connection's");
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn socketio_clients_outlive_their_pods() -> Result<()> {
    Lab::run("socketio-stay", async |lab| {
        // The rules of a chat, and the one that the other script needs.
        let rules = json!({"profile": "chat", "events": [{"event": "join", "do": "join"}]});
        let brokers = create(lab, rules).await?;
        let url = format!("http://{}", brokers.service().await?);
        for way in WAYS {
            let begun = Instant::now();
            Script::start("socketio_chat.mjs", &[&url, &url, ANN, BOB, way])?.succeeds().await?;
            let took = time(begun.elapsed());
            lab.report
                .say("socket.io-client", format!("by {way}: a chat, who is online and who not; in {took}"));
            is_empty(&brokers).await?;
            let mut script = Script::start("socketio_stay.mjs", &[&url, way, ROOM])?;
            script.says("joined").await?;
            publish(&brokers, &json!(["before"])).await?;
            script.says(r#"received ["before"]"#).await?;
            let home = home(&brokers, REPLICAS).await?;
            lab.report.say("test", format!("the client by {way} is on {home}; deletes that pod"));
            let deleted = Instant::now();
            lab.api::<Pod>().delete(&home, &DeleteParams::default()).await?;
            let told = script.line().await?;
            ensure!(told.starts_with("disconnect transport "), "the client says {told:?}");
            script.says("joined").await?;
            let took = time(deleted.elapsed());
            lab.report.say("socket.io-client", format!("by {way}: {told}; in its room again after {took}"));
            publish(&brokers, &json!(["end"])).await?;
            script.says(r#"received ["end"]"#).await?;
            script.succeeds().await?;
            brokers.settled(LONG).await?;
            // A client that polled is missed only when it answers no ping.
            is_empty(&brokers).await?;
        }
        Ok(())
    })
    .await
}

async fn is_empty(brokers: &Brokers<'_>) -> Result<()> {
    let is_empty = async || Ok(clients(brokers).await?.eq(&[0; REPLICAS]).then_some(()));
    until("nobody is left", LONG, is_empty).await
}

/// Three brokers, to which anybody may come, and two users as themselves. `rules` say what events do.
async fn create(lab: &Lab, rules: Value) -> Result<Brokers<'_>> {
    let secret = Secret {
        metadata: ObjectMeta { name: Some("tokens".into()), ..ObjectMeta::default() },
        data: Some(BTreeMap::from([("hmac".to_owned(), ByteString(SECRET.to_vec()))])),
        ..Secret::default()
    };
    lab.api::<Secret>().create(&PostParams::default(), &secret).await?;
    let mut spec = small(3);
    spec["auth"]["jwt"] = json!({"hmacSecretRef": {"name": "tokens", "key": "hmac"}});
    // The script expects the rules that hold when none are written.
    spec["channels"] = json!({"namespaces": [{"name": ""}, {"name": "staff"}]});
    let mut endpoint = json!({
        "enabled": true, "namespaces": ["/", "/staff"], "pingInterval": "5s", "pingTimeout": "5s",
    });
    for (key, value) in rules.as_object().into_iter().flatten() {
        endpoint[key] = value.clone();
    }
    spec["endpoints"] = json!({"socketio": endpoint});
    Brokers::create(lab, CHAT, spec).await
}

/// How many clients each instance has.
async fn clients(brokers: &Brokers<'_>) -> Result<[u64; REPLICAS]> {
    let mut clients = [0; REPLICAS];
    for (ordinal, clients) in clients.iter_mut().enumerate() {
        let health = brokers.health(ordinal).await?;
        *clients =
            health["connections"].as_u64().context("the instance does not say how many clients it has")?;
    }
    Ok(clients)
}

/// How many requests all instances have brought to others.
async fn brought(brokers: &Brokers<'_>) -> Result<u64> {
    let mut sum = 0;
    for ordinal in 0..REPLICAS {
        sum += brokers.metric(ordinal, r#"switchboard_socketio_forwarded_total{outcome="ok"}"#).await?;
    }
    Ok(sum)
}
