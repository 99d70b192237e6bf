//! A worker: one message after the other, strictly in order, each with its number.
//!
//! ```text
//! cargo run -p switchboard-broker --example worker_broadcaster
//! ```
//!
//! Then connect clients to ws://127.0.0.1:8000/connection/websocket and let one `send` something.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use futures_util::future::{BoxFuture, FutureExt};
use switchboard::{
    Broker,
    config::Config,
    logic::{Context, Kind, Logic, LogicError, Outcome, Settings, WhenFull},
    message::{Message, Target},
};

#[derive(Default)]
struct Numbering {
    last: AtomicU64,
}

impl Logic for Numbering {
    fn receive<'a>(&'a self, message: Message, context: &'a Context) -> BoxFuture<'a, Outcome> {
        async move {
            let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
            let data = String::from_utf8_lossy(&message.payload);
            let sent =
                context.send(Target::Everyone, format!("{{\"number\":{number},\"data\":{data}}}")).await;
            sent.map(|_| None).map_err(|error| LogicError::Refused(error.to_string()))
        }
        .boxed()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let settings = Config::parse("settings", "auth: {anonymous: true}", std::env::vars())?;
    // A hundred messages may wait; when more come, the oldest makes room.
    let numbering = Settings {
        takes_sends: true,
        queue: 100,
        when_full: WhenFull::DropOldest,
        ..Settings::new(Kind::Worker)
    };
    let broker = Broker::builder()
        .settings(settings)
        .logic("numbering", numbering, Arc::new(Numbering::default()))
        .start()
        .await?;
    eprintln!("clients connect to ws://{}/connection/websocket", broker.client_address);
    tokio::signal::ctrl_c().await?;
    broker.drain().await;
    Ok(())
}
