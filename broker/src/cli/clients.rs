//! `broker clients` and `broker disconnect`: who is connected to a running cluster, and ending that.

use std::{collections::BTreeSet, time::Duration};

use clap::ValueEnum;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    remote::Remote,
    show::{Out, ago, harmless, now},
};
use crate::{
    config::Period,
    registry::{ClientRecord, Query},
};

/// How many are listed when nobody says.
const LIMIT: usize = 1000;

/// Which clients are listed, and how.
#[derive(clap::Args)]
pub(super) struct Clients {
    #[command(flatten)]
    remote: Remote,
    /// Only those of this user; "" means anonymous ones.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Only those of this instance.
    #[arg(long, value_name = "ID")]
    instance: Option<String>,
    /// Only those of this endpoint, such as websocket.
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
    /// Only those that are subscribed to this channel.
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    /// Only those with this metadata; may be given several times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
    /// Only those that have sent nothing for so long, such as 5m.
    #[arg(long, value_name = "DURATION")]
    silent_for: Option<Period>,
    /// The most clients that are listed.
    #[arg(long, value_name = "N", default_value_t = LIMIT)]
    limit: usize,
    /// A table for people, or an object a line for programs.
    #[arg(long, value_enum, default_value_t)]
    output: Form,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Form {
    #[default]
    Table,
    Json,
}

/// Which clients end.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("who").required(true).args(["id", "client", "user", "of_channel"]))]
pub(super) struct Disconnect {
    #[command(flatten)]
    remote: Remote,
    /// The client of this id.
    #[arg(value_name = "ID")]
    id: Option<String>,
    /// The same.
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// All clients of this user.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// All clients that are in this channel.
    #[arg(long = "in", value_name = "CHANNEL")]
    of_channel: Option<String>,
    /// Tell them to come back, and not to stay away.
    #[arg(long)]
    reconnect: bool,
    /// End their connections, with all namespaces of Socket.IO that share one.
    #[arg(long)]
    connection: bool,
}

/// A page, as the server API answers.
#[derive(Deserialize)]
struct Page {
    clients: Vec<Value>,
    next: Option<Value>,
    #[serde(default)]
    silent: Vec<String>,
}

/// A client of a page.
#[derive(Deserialize)]
struct Listed {
    #[serde(flatten)]
    record: ClientRecord,
    #[serde(default)]
    instance: String,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = pair.ok_or_else(|| format!("{text:?} has no name and value; write room=7"))?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Clients {
    /// Lists them: all pages, up to the limit.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let silent_since = self.silent_for.map(|period| since(now(), period.get()));
        let (out, api) = (Out::new(), self.remote.api()?);
        let mut query = json!({});
        for (field, value) in [
            ("user", self.user),
            ("instance", self.instance),
            ("endpoint", self.endpoint),
            ("channel", self.channel),
        ] {
            query[field] = json!(value);
        }
        query["silent_since"] = json!(silent_since);
        query["metadata"] = self.metadata.into_iter().collect();
        let (mut rows, mut silent, mut count, mut more) = (Vec::new(), BTreeSet::new(), 0, true);
        while more && count < self.limit {
            query["limit"] = json!((self.limit - count).min(Query::LIMIT));
            let page: Page = serde_json::from_value(api.call("clients", &query).await?)?;
            more = page.next.is_some();
            query["after"] = page.next.unwrap_or_default();
            silent.extend(page.silent);
            count += page.clients.len();
            for client in page.clients {
                match self.output {
                    Form::Json => out.line(&client.to_string())?,
                    Form::Table => rows.push(row(&serde_json::from_value(client)?)),
                }
            }
        }
        if !rows.is_empty() {
            let heading = ["CLIENT", "USER", "INSTANCE", "ENDPOINT", "CONNECTED", "LAST MESSAGE", "METADATA"];
            out.table(heading, &rows)?;
        } else if matches!(self.output, Form::Table) {
            eprintln!("no clients");
        }
        if more {
            eprintln!("there are more; list them with --limit");
        }
        if !silent.is_empty() {
            let names = harmless(&silent.into_iter().collect::<Vec<_>>().join(", "));
            eprintln!("no answer from {names}: clients there are missing");
        }
        Ok(())
    }
}

/// So long before now, in milliseconds since 1970.
fn since(now: u64, silent_for: Duration) -> u64 {
    now.saturating_sub(u64::try_from(silent_for.as_millis()).unwrap_or(u64::MAX))
}

fn row(Listed { record, instance }: &Listed) -> [String; 7] {
    let now = now();
    let endpoint = [&*record.endpoint, record.namespace.as_deref().unwrap_or_default()].join(" ");
    let metadata = record.metadata.iter().map(|(key, value)| format!("{key}={value}"));
    [
        record.id.to_string(),
        if record.user.is_empty() { "-".into() } else { harmless(&record.user) },
        harmless(instance),
        harmless(endpoint.trim_end()),
        ago(now, record.connected),
        ago(now, record.last_message),
        harmless(&metadata.collect::<Vec<_>>().join(" ")),
    ]
}

impl Disconnect {
    /// Ends them and says how many there were.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut body = json!({"reconnect": self.reconnect});
        // A broker of an earlier version does not know it.
        if self.connection {
            body["connection"] = true.into();
        }
        let who = [("client", self.id.or(self.client)), ("user", self.user), ("in", self.of_channel)];
        for (field, value) in who {
            if let Some(value) = value {
                body[field] = value.into();
            }
        }
        let result = self.remote.api()?.call("disconnect", &body).await?;
        Out::new().line(&format!("disconnected {}", result["disconnected"]))
    }
}
