//! `broker publish` and `broker send`: messages from the command line.

use std::io::BufRead;

use anyhow::{Context, anyhow, ensure};
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use super::{
    remote::{Api, Remote},
    show::{Out, harmless},
};

/// What is sent.
#[derive(clap::Args)]
struct Data {
    /// A JSON value; "-" reads standard input, one message a line.
    #[arg(value_name = "DATA", allow_hyphen_values = true)]
    data: String,
    /// DATA is a text, and no JSON: it is sent as a string.
    #[arg(long)]
    text: bool,
}

/// Where a message is published.
#[derive(clap::Args)]
pub(super) struct Publish {
    /// The channel.
    channel: String,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    remote: Remote,
}

/// To whom a message is sent.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("whom").required(true).multiple(true).args(["client", "everyone", "logic"]))]
pub(super) struct Send {
    #[command(flatten)]
    data: Data,
    /// The client of this id; may be given several times.
    #[arg(long, value_name = "ID")]
    client: Vec<String>,
    /// Every client of every instance.
    #[arg(long)]
    everyone: bool,
    /// The logic module of this name; may be given several times.
    #[arg(long, value_name = "NAME")]
    logic: Vec<String>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Serialize)]
struct Publication<'a> {
    channel: &'a str,
    data: &'a RawValue,
}

#[derive(Serialize)]
struct Message<'a> {
    clients: &'a [String],
    everyone: bool,
    logic: &'a [String],
    data: &'a RawValue,
}

impl Data {
    /// Does something with each message, until one fails; how many there were.
    async fn each(&self, mut one: impl AsyncFnMut(&RawValue) -> anyhow::Result<()>) -> anyhow::Result<usize> {
        if self.data != "-" {
            one(&*self.value(&self.data)?).await?;
            return Ok(1);
        }
        let mut count = 0;
        for (number, line) in std::io::stdin().lock().lines().enumerate() {
            let at = || format!("line {}", number + 1);
            let line = line.context("reading standard input failed").with_context(at)?;
            // An empty line is no JSON, and mostly the last one.
            if line.trim().is_empty() && !self.text {
                continue;
            }
            one(&*self.value(&line).with_context(at)?).await.with_context(at)?;
            count += 1;
        }
        Ok(count)
    }

    fn value(&self, text: &str) -> anyhow::Result<Box<RawValue>> {
        if self.text {
            return Ok(serde_json::value::to_raw_value(text)?);
        }
        serde_json::from_str(text).map_err(|error| {
            let quoted = Value::from(text).to_string();
            anyhow!(
                "DATA is not JSON: {error}\na text needs quotes of its own, such as '{quoted}'; or send it as it is with --text"
            )
        })
    }
}

impl Publish {
    /// Publishes; done when the broker has taken all of it.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let api = self.remote.api()?;
        let channel = self.channel.as_str();
        let one = async |data: &RawValue| api.call("publish", &Publication { channel, data }).await.map(drop);
        let count = self.data.each(one).await?;
        let messages = if count == 1 { "message" } else { "messages" };
        Out::new().line(&format!("published {count} {messages} to {}", harmless(channel)))
    }
}

impl Send {
    /// Sends, and says what became of it; fails when it has not arrived somewhere.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self { data, client, everyone, logic, remote } = self;
        let (api, out) = (remote.api()?, Out::new());
        data.each(async |data| {
            let message = Message { clients: &client, everyone, logic: &logic, data };
            send(&api, &out, &message).await
        })
        .await
        .map(drop)
    }
}

async fn send(api: &Api, out: &Out, message: &Message<'_>) -> anyhow::Result<()> {
    let result = api.call("send", message).await?;
    let entries = |field: &str| result[field].as_object().into_iter().flatten();
    let mut failed = 0;
    for (client, reach) in entries("clients") {
        failed += usize::from(reach != "delivered");
        out.line(&format!("{client}  {}", reach.as_str().unwrap_or("unknown")))?;
    }
    for (name, outcome) in entries("logic") {
        let said = match (&outcome["error"], &outcome["data"]) {
            (Value::String(error), _) => {
                failed += 1;
                format!("failed: {}", harmless(error))
            }
            (_, Value::Null) => "handled".into(),
            (_, data) => format!("answered {}", harmless(&data.to_string())),
        };
        out.line(&format!("{}  {said}", harmless(name)))?;
    }
    if message.everyone {
        out.line("everyone  sent")?;
    }
    ensure!(failed == 0, "not all of it has arrived: see the lines above");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_json_or_a_text_on_request() {
        let value = |text: bool, data: &str| {
            Data { data: String::new(), text }.value(data).map(|value| value.get().to_owned())
        };
        assert_eq!(value(false, r#"{"b":1, "a":2}"#).unwrap(), r#"{"b":1, "a":2}"#, "byte for byte");
        assert_eq!(value(true, "say \"hi\"").unwrap(), r#""say \"hi\"""#);
        let error = value(false, "hello").unwrap_err().to_string();
        assert!(error.ends_with("such as '\"hello\"'; or send it as it is with --text"), "{error}");
    }
}
