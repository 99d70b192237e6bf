//! `broker tail`: what is published in channels, line by line.

use std::{path::PathBuf, time::Duration};

use anyhow::{anyhow, bail};
use clap::ValueEnum;
use serde_json::json;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};

use super::{
    remote::Where,
    show::{Out, clock, harmless, now},
    socket::{Login, Push, Socket, Stopped},
};
use crate::config::Secret;

/// The pause before the first attempt to come back, and the longest one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// Which channels, and how they are shown.
#[derive(clap::Args)]
pub(super) struct Tail {
    /// The channels.
    #[arg(required = true, value_name = "CHANNEL")]
    channels: Vec<String>,
    #[command(flatten)]
    place: Where,
    /// The path of the WebSocket endpoint: the broker's endpoints.websocket.path.
    #[arg(long, value_name = "PATH", default_value = "/connection/websocket")]
    websocket_path: String,
    /// A client's token, where anonymous clients are not allowed. Others on this machine can see arguments: prefer
    /// --token-file.
    #[arg(long, value_name = "TOKEN")]
    token: Option<Secret>,
    /// A file with the token, read again for each connection.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// Show who enters and leaves, too, where the namespace tells (join_leave).
    #[arg(long)]
    joins: bool,
    /// End after so many publications.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Lines for people, with the time of day (UTC), or an object a line for programs.
    #[arg(long, value_enum, default_value_t)]
    output: Form,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Form {
    #[default]
    Pretty,
    Json,
}

/// What is shown, and how much of it there was.
struct Shown {
    out: Out,
    form: Form,
    joins: bool,
    /// How many publications are still wanted.
    left: Option<u64>,
}

impl Tail {
    /// Shows publications until it is told to end, or has enough.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let mut shown = Shown { out: Out::new(), form: self.output, joins: self.joins, left: self.count };
        tokio::select! {
            ended = self.follow(&mut shown) => ended,
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
        }
    }

    async fn follow(&self, shown: &mut Shown) -> anyhow::Result<()> {
        let address = self.place.address()?;
        let mut pause = PAUSES.0;
        let mut was_connected = false;
        loop {
            let stopped = match Socket::open(&address, &self.websocket_path, &self.login()?).await {
                Ok(mut socket) => {
                    if was_connected {
                        eprintln!("connected again; what was published in between is missing");
                    } else {
                        let channels = harmless(&self.channels.join(", "));
                        eprintln!("following {channels} at {address}");
                    }
                    (was_connected, pause) = (true, PAUSES.0);
                    match shown.receive(&mut socket).await {
                        Ok(()) => {
                            socket.close().await;
                            return Ok(());
                        }
                        Err(stopped) => stopped,
                    }
                }
                Err(stopped) => stopped,
            };
            match stopped {
                // Who never was there is more likely a wrong address than a broker that restarts.
                Stopped::Lost(error) if was_connected => {
                    let reason = format!("{error:#}");
                    let reason = harmless(reason.lines().next().unwrap_or_default());
                    eprintln!("lost the connection: {reason}; trying again in {}ms", pause.as_millis());
                }
                Stopped::Lost(error) | Stopped::Refused(error) => {
                    return Err(error.context(address.websocket(&self.websocket_path)));
                }
            }
            sleep(pause.mul_f64(rand::random_range(0.75..1.0))).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    fn login(&self) -> anyhow::Result<Login<'_>> {
        let token = match &self.token_file {
            Some(file) => Some(
                Secret::read(file)
                    .map_err(|error| anyhow!("--token-file: cannot read {}: {error}", file.display()))?,
            ),
            None => self.token.clone(),
        };
        if token.as_ref().is_some_and(|token| token.expose().is_empty()) {
            bail!("the token is empty; leave it out to connect as an anonymous client");
        }
        Ok(Login { token, channels: &self.channels })
    }
}

impl Shown {
    /// Shows what comes until there is enough of it.
    async fn receive(&mut self, socket: &mut Socket) -> Result<(), Stopped> {
        loop {
            let text = socket.text().await?;
            for line in text.lines() {
                // A ping, which was answered, and what later versions may push.
                let Some(push) = Push::read(line) else { continue };
                self.show(&push).map_err(Stopped::Refused)?;
                if self.left == Some(0) {
                    return Ok(());
                }
            }
        }
    }

    fn show(&mut self, push: &Push<'_>) -> Result<(), anyhow::Error> {
        if push.data.is_some() {
            self.left = self.left.map(|left| left.saturating_sub(1));
        } else if !self.joins {
            return Ok(());
        }
        match self.form {
            Form::Json => self.out.line(&serde_json::to_string(push)?),
            Form::Pretty => self.out.line(&self.pretty(push)),
        }
    }

    fn pretty(&self, push: &Push<'_>) -> String {
        let mut parts = vec![self.out.faint(&clock(now())), self.out.bold(&harmless(&push.channel))];
        if let Some(info) = &push.info {
            let who = if info.user.is_empty() { &info.client } else { &info.user };
            parts.push(self.out.faint(&harmless(who)));
        }
        match push.data {
            Some(data) => parts.push(harmless(data.get())),
            None => parts.push(push.event.to_owned()),
        }
        if let Some(tags) = &push.tags {
            parts.push(self.out.faint(&harmless(&json!(tags).to_string())));
        }
        parts.join("  ")
    }
}
