//! A passive module that disconnects clients which have sent nothing for fifteen minutes.
//!
//! The built-in one does the same: `logic: {modules: [{name: idle, inactivity: {after: 15m}}]}`. This shows how to
//! write such a thing.
//!
//! ```text
//! cargo run -p switchboard-broker --example inactivity_monitor
//! ```

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::future::{BoxFuture, FutureExt};
use switchboard::{
    Broker,
    cluster::Who,
    config::Config,
    endpoint::Disconnect,
    logic::{Context, Kind, Logic, Settings},
    registry::Query,
};
use tokio::time::sleep;

struct Monitor {
    after: Duration,
}

impl Logic for Monitor {
    fn run<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, ()> {
        async move {
            while !context.is_stopped() {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let before = now.saturating_sub(self.after).as_millis() as u64;
                // Each instance looks at its own clients, so nothing is done twice.
                let silent = context.local_clients(&Query { silent_since: Some(before), ..Query::default() });
                for found in silent.clients {
                    let client = Who::Client(found.client.id);
                    if let Err(error) = context.disconnect(&client, Disconnect::Inactive).await {
                        eprintln!("cannot disconnect {}: {error}", found.client.id);
                    }
                }
                tokio::select! {
                    () = sleep(Duration::from_secs(10)) => {}
                    () = context.stopped() => {}
                }
            }
        }
        .boxed()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let settings = Config::parse("settings", "auth: {anonymous: true}", std::env::vars())?;
    let monitor = Arc::new(Monitor { after: Duration::from_secs(15 * 60) });
    let broker = Broker::builder()
        .settings(settings)
        .logic("inactivitymonitor", Settings::new(Kind::Passive), monitor)
        .start()
        .await?;
    eprintln!("clients connect to ws://{}/connection/websocket", broker.client_address);
    tokio::signal::ctrl_c().await?;
    broker.drain().await;
    Ok(())
}
