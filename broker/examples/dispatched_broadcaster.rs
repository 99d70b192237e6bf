//! A dispatched module that sends what any client sends to every client.
//!
//! ```text
//! cargo run -p switchboard-broker --example dispatched_broadcaster
//! ```
//!
//! Then connect clients to ws://127.0.0.1:8000/connection/websocket and let one `send` something.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use switchboard::{
    Broker,
    config::Config,
    logic::{Context, Kind, Logic, LogicError, Outcome, Settings},
    message::{Message, Target},
};

struct Broadcaster;

impl Logic for Broadcaster {
    fn receive<'a>(&'a self, message: Message, context: &'a Context) -> BoxFuture<'a, Outcome> {
        async move {
            let sent = context.send(Target::Everyone, message.payload).await;
            sent.map(|_| None).map_err(|error| LogicError::Refused(error.to_string()))
        }
        .boxed()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let settings = Config::parse("settings", "auth: {anonymous: true}", std::env::vars())?;
    // Up to 64 messages at a time, each on a task of its own.
    let broadcaster = Settings { takes_sends: true, ..Settings::new(Kind::Dispatched(64)) };
    let broker = Broker::builder()
        .settings(settings)
        .logic("broadcaster", broadcaster, Arc::new(Broadcaster))
        .start()
        .await?;
    eprintln!("clients connect to ws://{}/connection/websocket", broker.client_address);
    tokio::signal::ctrl_c().await?;
    broker.drain().await;
    Ok(())
}
