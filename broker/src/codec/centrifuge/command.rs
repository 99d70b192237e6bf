//! What clients send.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::metrics::ClientCommand;

/// One command of a client. Which of the fields is there says which command it is.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Command<'a> {
    /// The number that the reply carries; zero or absent when no reply is wanted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub id: u32,
    /// Says who the client is.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub connect: Option<Connect<'a>>,
    /// Subscribes to a channel.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub subscribe: Option<Subscribe<'a>>,
    /// Ends a subscription.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub unsubscribe: Option<OfChannel<'a>>,
    /// Publishes into a channel.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub publish: Option<Publish<'a>>,
    /// Asks who is in a channel.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub presence: Option<OfChannel<'a>>,
    /// Asks how many are in a channel.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub presence_stats: Option<OfChannel<'a>>,
    /// A message to the server that has no reply.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub send: Option<Send<'a>>,
    /// A ping of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ping: Option<Ping>,
    /// Asks for past messages of a channel.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    history: Option<&'a RawValue>,
    /// Calls a logic module.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub rpc: Option<Rpc<'a>>,
    /// Brings a new connection token.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<Refresh<'a>>,
    /// Brings a new subscription token.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub sub_refresh: Option<SubRefresh<'a>>,
}

fn is_zero(id: &u32) -> bool {
    *id == 0
}

/// See [`Command::connect`].
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Connect<'a> {
    /// A JWT, when the client has one.
    #[serde(default, borrow)]
    pub token: Cow<'a, str>,
    /// On datagrams: what the server has given this address, which proves that the client receives there.
    #[serde(default, borrow, skip_serializing_if = "str::is_empty")]
    pub cookie: Cow<'a, str>,
    /// What the client calls itself, such as the name of its library: for the hook that is asked about it.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a RawValue>,
    /// What it says beside: for the hook that is asked about it.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub data: Option<&'a RawValue>,
}

/// See [`Command::subscribe`].
#[derive(Debug, Deserialize, Serialize)]
pub struct Subscribe<'a> {
    /// The channel.
    #[serde(borrow)]
    pub channel: Cow<'a, str>,
    /// A JWT for the channel, when the client has one.
    #[serde(default, borrow)]
    pub token: Cow<'a, str>,
}

/// A command with a channel and nothing else.
#[derive(Debug, Deserialize, Serialize)]
pub struct OfChannel<'a> {
    /// The channel.
    #[serde(borrow)]
    pub channel: Cow<'a, str>,
}

/// See [`Command::publish`].
#[derive(Debug, Deserialize, Serialize)]
pub struct Publish<'a> {
    /// The channel.
    #[serde(borrow)]
    pub channel: Cow<'a, str>,
    /// The payload.
    #[serde(borrow)]
    pub data: &'a RawValue,
}

/// See [`Command::send`].
#[derive(Debug, Deserialize, Serialize)]
pub struct Send<'a> {
    /// The payload.
    #[serde(borrow)]
    pub data: &'a RawValue,
}

/// See [`Command::rpc`].
#[derive(Debug, Deserialize, Serialize)]
pub struct Rpc<'a> {
    /// The module's name.
    #[serde(default, borrow)]
    pub method: Cow<'a, str>,
    /// The payload.
    #[serde(default, borrow)]
    pub data: Option<&'a RawValue>,
}

/// See [`Command::refresh`].
#[derive(Debug, Deserialize, Serialize)]
pub struct Refresh<'a> {
    /// A JWT of the same user.
    #[serde(default, borrow)]
    pub token: Cow<'a, str>,
}

/// See [`Command::sub_refresh`].
#[derive(Debug, Deserialize, Serialize)]
pub struct SubRefresh<'a> {
    /// The channel.
    #[serde(borrow)]
    pub channel: Cow<'a, str>,
    /// A JWT for the channel.
    #[serde(default, borrow)]
    pub token: Cow<'a, str>,
}

/// See [`Command::ping`].
#[derive(Debug, Deserialize, Serialize)]
pub struct Ping {}

/// One command, told apart.
#[derive(Debug)]
pub enum Request<'a> {
    /// The empty object: the client's answer to a ping of the server.
    Pong,
    /// See [`Command::connect`].
    Connect(Connect<'a>),
    /// See [`Command::subscribe`].
    Subscribe(Subscribe<'a>),
    /// See [`Command::unsubscribe`].
    Unsubscribe(OfChannel<'a>),
    /// See [`Command::publish`].
    Publish(Publish<'a>),
    /// See [`Command::presence`].
    Presence(OfChannel<'a>),
    /// See [`Command::presence_stats`].
    PresenceStats(OfChannel<'a>),
    /// See [`Command::send`].
    Send(Send<'a>),
    /// See [`Command::rpc`].
    Rpc(Rpc<'a>),
    /// See [`Command::ping`].
    Ping,
    /// See [`Command::refresh`].
    Refresh(Refresh<'a>),
    /// See [`Command::sub_refresh`].
    SubRefresh(SubRefresh<'a>),
    /// A command of the protocol that is not offered here.
    NotOffered(ClientCommand),
    /// A command that the protocol does not have.
    Unknown,
}

impl<'a> Command<'a> {
    /// The commands of a frame, in order. After an error nothing more is read.
    pub fn read_all(text: &'a str) -> impl Iterator<Item = serde_json::Result<Command<'a>>> {
        serde_json::Deserializer::from_str(text).into_iter()
    }

    /// The command as a text, to be read again later; `{}` is an answer to a ping.
    pub fn text(&self) -> String {
        // Writing texts and JSON into memory cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Tells which command it is.
    pub fn request(self) -> Request<'a> {
        match self {
            Command { publish: Some(publish), .. } => Request::Publish(publish),
            Command { subscribe: Some(subscribe), .. } => Request::Subscribe(subscribe),
            Command { unsubscribe: Some(unsubscribe), .. } => Request::Unsubscribe(unsubscribe),
            Command { connect: Some(connect), .. } => Request::Connect(connect),
            Command { presence: Some(presence), .. } => Request::Presence(presence),
            Command { presence_stats: Some(stats), .. } => Request::PresenceStats(stats),
            Command { send: Some(send), .. } => Request::Send(send),
            Command { ping: Some(_), .. } => Request::Ping,
            Command { history: Some(_), .. } => Request::NotOffered(ClientCommand::History),
            Command { rpc: Some(rpc), .. } => Request::Rpc(rpc),
            Command { refresh: Some(refresh), .. } => Request::Refresh(refresh),
            Command { sub_refresh: Some(refresh), .. } => Request::SubRefresh(refresh),
            Command { id: 0, .. } => Request::Pong,
            _ => Request::Unknown,
        }
    }
}

impl Request<'_> {
    /// How the command is counted.
    pub fn kind(&self) -> ClientCommand {
        match self {
            Self::Pong => ClientCommand::Pong,
            Self::Connect(_) => ClientCommand::Connect,
            Self::Subscribe(_) => ClientCommand::Subscribe,
            Self::Unsubscribe(_) => ClientCommand::Unsubscribe,
            Self::Publish(_) => ClientCommand::Publish,
            Self::Presence(_) => ClientCommand::Presence,
            Self::PresenceStats(_) => ClientCommand::PresenceStats,
            Self::Send(_) => ClientCommand::Send,
            Self::Rpc(_) => ClientCommand::Rpc,
            Self::Ping => ClientCommand::Ping,
            Self::Refresh(_) => ClientCommand::Refresh,
            Self::SubRefresh(_) => ClientCommand::SubRefresh,
            Self::NotOffered(command) => *command,
            Self::Unknown => ClientCommand::Unknown,
        }
    }
}
