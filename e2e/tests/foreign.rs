//! The official `centrifuge` client of the npm registry, over two pods.

use std::{net::SocketAddr, time::Instant};

use anyhow::Result;
use e2e::{
    brokers::{Brokers, CHAT, small},
    lab::Lab,
    report::time,
    script::Script,
};
use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use serde_json::json;

use crate::support::{ROOM, home, publish};

fn url(address: SocketAddr) -> String {
    format!("ws://{address}/connection/websocket")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_client_over_pods() -> Result<()> {
    Lab::run("foreign-client", async |lab| {
        // The script expects the rules that hold when none are written.
        let mut spec = small(2);
        spec["channels"] = json!({});
        let brokers = Brokers::create(lab, CHAT, spec).await?;
        let begun = Instant::now();
        let (first, second) = (url(brokers.address(0).await?), url(brokers.address(1).await?));
        Script::start("talk.mjs", &[&first, &second, ROOM])?.succeeds().await?;
        lab.report.say(
            "test",
            format!(
                "two clients on two pods talked, saw each other, left and came again; in {}",
                time(begun.elapsed())
            ),
        );

        let mut script = Script::start("stay.mjs", &[&url(brokers.service().await?), ROOM])?;
        script.says("subscribed").await?;
        publish(&brokers, &json!("before")).await?;
        script.says("received \"before\"").await?;
        let home = home(&brokers, 2).await?;
        lab.report.say("test", format!("the client is on {home}, through the Service; deletes that pod"));
        let deleted = Instant::now();
        lab.api::<Pod>().delete(&home, &DeleteParams::default()).await?;
        script.says("connecting 3001").await?;
        lab.report.say("centrifuge", format!("connecting 3001 after {}", time(deleted.elapsed())));
        script.says("subscribed").await?;
        lab.report.say("centrifuge", format!("subscribed again after {}", time(deleted.elapsed())));
        publish(&brokers, &json!("end")).await?;
        script.says("received \"end\"").await?;
        script.succeeds().await
    })
    .await
}
