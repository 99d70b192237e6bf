//! Methods that send: `publish`, `broadcast`, `send`.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{Api, Failed, LABEL, Method, except::LeftOut};
use crate::{
    backplane::{Ack, Position},
    cluster::Reach,
    codec::centrifuge::single_line,
    endpoint::{ErrorCode, Gateway},
    logic::Outcome,
    message::{ClientId, Except, InstanceId, LogicName, Message, Source, Target, Targets},
    metrics::ApiMethod,
    registry::Metadata,
};

#[derive(Deserialize)]
pub(super) struct Publish {
    channel: String,
    data: Box<RawValue>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    skip_history: bool,
    #[serde(default)]
    except: Option<LeftOut>,
}

#[derive(Deserialize)]
pub(super) struct Broadcast {
    channels: Vec<String>,
    data: Box<RawValue>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    skip_history: bool,
    #[serde(default)]
    except: Option<LeftOut>,
}

/// To clients, to logic modules, to everyone: whichever are named.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Send {
    #[serde(default)]
    clients: Vec<ClientId>,
    #[serde(default)]
    logic: Vec<ToLogic>,
    #[serde(default)]
    everyone: bool,
    data: Box<RawValue>,
    #[serde(default)]
    metadata: Metadata,
    /// Of everyone.
    #[serde(default)]
    except: Option<LeftOut>,
}

/// A logic module: where it runs, or on an instance of one's choice.
#[derive(Deserialize)]
#[serde(untagged)]
enum ToLogic {
    Name(String),
    At { name: String, instance: String },
}

impl Gateway {
    /// Publishes for the server API, and waits until the backplane has taken it. What is answered has the place in the
    /// channel's stream, if it is kept.
    async fn publish_for_api(
        &self,
        channel: &str,
        data: Bytes,
        tags: BTreeMap<String, String>,
        skip_history: bool,
        left_out: Option<Box<Except>>,
    ) -> Result<Value, Failed> {
        let channel = self.channel(channel)?;
        self.namespaces.of(channel.as_str()).ok_or(ErrorCode::UnknownChannel)?;
        let mut message = Message::new(Source::Api, Target::Channel(channel), data);
        message.endpoint = Some(LABEL);
        message.metadata = tags;
        message.skip_history = skip_history;
        message.left_out = left_out;
        let (ack, outcome) = Ack::positioned_channel();
        self.pipeline.publish(message, ack)?;
        let position = outcome.await.map_err(|error| {
            self.hub.metrics.publish_failures.inc(error.into());
            // Counted as a publish that failed, not as a refusal as well.
            Failed { rejection: None, ..Failed::from(error) }
        })?;
        Ok(match position {
            None => json!({}),
            Some(Position { offset, epoch }) => json!({"offset": offset, "epoch": epoch.as_str()}),
        })
    }
}

/// A value as it may stand in a line.
pub(super) fn payload(data: &RawValue) -> Bytes {
    Bytes::from(single_line(data).into_owned())
}

impl Method for Publish {
    const LABEL: ApiMethod = ApiMethod::Publish;

    async fn run(self, api: &Api) -> Result<Value, Failed> {
        let (gateway, data) = (&api.gateway, payload(&self.data));
        let left_out = LeftOut::read(self.except, gateway)?;
        gateway.publish_for_api(&self.channel, data, self.tags, self.skip_history, left_out).await
    }
}

impl Method for Broadcast {
    const LABEL: ApiMethod = ApiMethod::Broadcast;

    async fn run(self, api: &Api) -> Result<Value, Failed> {
        if self.channels.is_empty() {
            return Err(Failed::bad("channels is empty".to_owned()));
        }
        let (gateway, data) = (&api.gateway, payload(&self.data));
        let left_out = LeftOut::read(self.except, gateway)?;
        let publishes = self.channels.iter().map(|channel| {
            let (data, tags, left_out) = (data.clone(), self.tags.clone(), left_out.clone());
            gateway.publish_for_api(channel, data, tags, self.skip_history, left_out)
        });
        let outcomes = join_all(publishes).await.into_iter();
        let responses = outcomes.map(|outcome| match outcome {
            Ok(position) => json!({"result": position}),
            Err(failed) => json!(api.counted(failed)),
        });
        Ok(json!({"responses": responses.collect::<Vec<_>>()}))
    }
}

impl Method for Send {
    const LABEL: ApiMethod = ApiMethod::Send;

    async fn run(self, api: &Api) -> Result<Value, Failed> {
        let mut targets: Targets = self.clients.iter().copied().map(Target::Client).collect();
        targets.extend(self.logic.iter().map(|target| match target {
            ToLogic::Name(name) => Target::Logic(LogicName::new(name)),
            ToLogic::At { name, instance } => {
                Target::LogicAt(LogicName::new(name), InstanceId::new(instance))
            }
        }));
        if self.everyone {
            targets.push(Target::Everyone);
        }
        if targets.is_empty() {
            let message = "nobody is named; write one of clients, logic, and everyone: true";
            return Err(Failed::bad(message.to_owned()));
        }
        if self.except.is_some() && !self.everyone {
            return Err(Failed::bad("except goes with everyone: true".to_owned()));
        }
        let mut message = Message::to(Source::Api, targets, payload(&self.data));
        message.left_out = LeftOut::read(self.except, &api.gateway)?;
        message.endpoint = Some(LABEL);
        message.metadata = self.metadata;
        let receipt = api.gateway.pipeline.send(message).await?;
        receipt.elsewhere?;
        let reached = |(client, reach): &(ClientId, Reach)| (client.to_string(), *reach);
        let clients: BTreeMap<_, _> = receipt.clients.iter().map(reached).collect();
        let handled = |(name, outcome): &(LogicName, Outcome)| (name.to_string(), describe(outcome));
        let logic: BTreeMap<_, _> = receipt.logic.iter().map(handled).collect();
        Ok(json!({"clients": clients, "logic": logic}))
    }
}

/// What a logic module made of a message.
fn describe(outcome: &Outcome) -> Value {
    match outcome {
        Ok(None) => json!({}),
        // A module may answer with what is no JSON; then it is shown as a text.
        Ok(Some(data)) => json!({"data": serde_json::from_slice::<Value>(data)
            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(data)))}),
        Err(error) => json!({"error": error.to_string()}),
    }
}
