//! A client that publishes numbered messages all the time.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use crate::{client::Client, visitor::message};

/// Publishes until it is told to stop.
pub struct Publisher {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<Published>>,
}

/// What it published.
#[derive(Debug)]
pub struct Published {
    /// The number of the last message; the first is 1.
    pub last: u64,
    /// How long each reply took.
    pub replies: Vec<Duration>,
}

impl Publisher {
    /// Publishes into a channel, one message at a time and this many a second when the broker answers fast enough.
    pub fn start(client: Client, channel: &str, per_second: u32, epoch: Instant) -> Self {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(publish(client, channel.to_owned(), per_second, epoch, stopped));
        Self { stop, task }
    }

    /// Stops and tells what was published; an error when some message was refused.
    pub async fn stop(self) -> Result<Published> {
        // It has ended already when a message was refused.
        let _ = self.stop.send(());
        self.task.await?
    }
}

async fn publish(
    mut client: Client,
    channel: String,
    per_second: u32,
    epoch: Instant,
    mut stopped: oneshot::Receiver<()>,
) -> Result<Published> {
    let mut published = Published { last: 0, replies: Vec::new() };
    let mut tick = interval(Duration::from_secs(1) / per_second);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = &mut stopped => return Ok(published),
            _ = tick.tick() => {}
        }
        published.last += 1;
        let begun = Instant::now();
        let data = message(published.last, epoch);
        let reply = client.ask(json!({"publish": {"channel": channel, "data": data}})).await;
        let reply = reply.with_context(|| format!("publish message {}", published.last))?;
        anyhow::ensure!(reply["error"].is_null(), "message {} was refused: {reply}", published.last);
        published.replies.push(begun.elapsed());
    }
}
