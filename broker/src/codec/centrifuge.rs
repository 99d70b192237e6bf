//! The Centrifuge client protocol in JSON: one command, reply or push a line, several lines a frame
//! (<https://centrifugal.dev/docs/transports/client_protocol>).

use std::io::Write;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use super::{Encoder, Push, websocket};
use crate::{backplane::Member, endpoint::ErrorCode, message::Channel, metrics::ClientCommand};

/// One command of a client. Which of the fields is there says which command it is.
#[derive(Debug, Default, Deserialize)]
pub struct Command<'a> {
    /// The number that the reply carries; zero or absent when no reply is wanted.
    #[serde(default)]
    pub id: u32,
    /// Says who the client is.
    #[serde(borrow)]
    pub connect: Option<Connect<'a>>,
    /// Subscribes to a channel.
    #[serde(borrow)]
    pub subscribe: Option<Subscribe<'a>>,
    /// Ends a subscription.
    #[serde(borrow)]
    pub unsubscribe: Option<OfChannel<'a>>,
    /// Publishes into a channel.
    #[serde(borrow)]
    pub publish: Option<Publish<'a>>,
    /// Asks who is in a channel.
    #[serde(borrow)]
    pub presence: Option<OfChannel<'a>>,
    /// Asks how many are in a channel.
    #[serde(borrow)]
    pub presence_stats: Option<OfChannel<'a>>,
    /// A message to the server that has no reply.
    #[serde(borrow)]
    pub send: Option<Send<'a>>,
    /// A ping of the client.
    pub ping: Option<Ping>,
    /// Asks for past messages of a channel.
    history: Option<IgnoredAny>,
    /// Calls a logic module.
    #[serde(borrow)]
    pub rpc: Option<Rpc<'a>>,
    /// Brings a new connection token.
    refresh: Option<IgnoredAny>,
    /// Brings a new subscription token.
    sub_refresh: Option<IgnoredAny>,
}

/// See [`Command::connect`].
#[derive(Debug, Default, Deserialize)]
pub struct Connect<'a> {
    /// A JWT, when the client has one.
    #[serde(default, borrow)]
    pub token: std::borrow::Cow<'a, str>,
}

/// See [`Command::subscribe`].
#[derive(Debug, Deserialize)]
pub struct Subscribe<'a> {
    /// The channel.
    #[serde(borrow)]
    pub channel: std::borrow::Cow<'a, str>,
    /// A JWT for the channel, when the client has one.
    #[serde(default, borrow)]
    pub token: std::borrow::Cow<'a, str>,
}

/// A command with a channel and nothing else.
#[derive(Debug, Deserialize)]
pub struct OfChannel<'a> {
    /// The channel.
    #[serde(borrow)]
    pub channel: std::borrow::Cow<'a, str>,
}

/// See [`Command::publish`].
#[derive(Debug, Deserialize)]
pub struct Publish<'a> {
    /// The channel.
    #[serde(borrow)]
    pub channel: std::borrow::Cow<'a, str>,
    /// The payload.
    #[serde(borrow)]
    pub data: &'a RawValue,
}

/// See [`Command::send`].
#[derive(Debug, Deserialize)]
pub struct Send<'a> {
    /// The payload.
    #[serde(borrow)]
    pub data: &'a RawValue,
}

/// See [`Command::rpc`].
#[derive(Debug, Deserialize)]
pub struct Rpc<'a> {
    /// The module's name.
    #[serde(default, borrow)]
    pub method: std::borrow::Cow<'a, str>,
    /// The payload.
    #[serde(default, borrow)]
    pub data: Option<&'a RawValue>,
}

/// See [`Command::ping`].
#[derive(Debug, Deserialize)]
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
            Command { refresh: Some(_), .. } => Request::NotOffered(ClientCommand::Refresh),
            Command { sub_refresh: Some(_), .. } => Request::NotOffered(ClientCommand::SubRefresh),
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
            Self::NotOffered(command) => *command,
            Self::Unknown => ClientCommand::Unknown,
        }
    }
}

/// What a reply says.
#[derive(Debug)]
pub enum Reply<'a> {
    /// The client is connected.
    Connect {
        /// Its identity.
        client: String,
        /// The instance that it is connected to.
        node: &'a str,
        /// Seconds between the server's pings.
        ping: u64,
    },
    /// The client is subscribed.
    Subscribe,
    /// The subscription has ended.
    Unsubscribe,
    /// The publication was taken.
    Publish,
    /// Who is in the channel.
    Presence(&'a [Member]),
    /// How many are in the channel.
    PresenceStats {
        /// Connections.
        clients: usize,
        /// Distinct users.
        users: usize,
    },
    /// What a logic module answered, as JSON.
    Rpc(&'a [u8]),
    /// The answer to a ping.
    Ping,
    /// The command failed.
    Error(ErrorCode),
}

impl Reply<'_> {
    /// Appends the reply to the command of this number, as one text frame.
    pub fn write_frame(&self, id: u32, out: &mut Vec<u8>) {
        websocket::write_text(out, |out| self.write(id, out));
    }

    /// Appends the reply to the command of this number, as JSON.
    pub fn write(&self, id: u32, out: &mut Vec<u8>) {
        // Writing into memory cannot fail.
        let _ = self.try_write(id, out);
    }

    fn try_write(&self, id: u32, out: &mut Vec<u8>) -> std::io::Result<()> {
        write!(out, r#"{{"id":{id},"#)?;
        match self {
            Self::Connect { client, node, ping } => {
                let version = env!("CARGO_PKG_VERSION");
                write!(out, r#""connect":{{"client":"{client}","version":"{version}","#)?;
                write!(out, r#""ping":{ping},"pong":true,"node":"#)?;
                serde_json::to_writer(&mut *out, node)?;
                out.extend_from_slice(b"}}");
            }
            Self::Subscribe => out.extend_from_slice(br#""subscribe":{}}"#),
            Self::Unsubscribe => out.extend_from_slice(br#""unsubscribe":{}}"#),
            Self::Publish => out.extend_from_slice(br#""publish":{}}"#),
            Self::Ping => out.extend_from_slice(br#""ping":{}}"#),
            Self::Rpc(data) => {
                out.extend_from_slice(br#""rpc":{"data":"#);
                out.extend_from_slice(data);
                out.extend_from_slice(b"}}");
            }
            Self::Presence(members) => {
                out.extend_from_slice(br#""presence":{"presence":{"#);
                for (index, member) in members.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(out, r#"{comma}"{}":"#, member.client)?;
                    out.extend_from_slice(&member.info);
                }
                out.extend_from_slice(b"}}}");
            }
            Self::PresenceStats { clients, users } => {
                write!(out, r#""presence_stats":{{"num_clients":{clients},"num_users":{users}}}}}"#)?;
            }
            Self::Error(error) => {
                let (code, message) = (error.code(), error.message());
                write!(out, r#""error":{{"code":{code},"message":"{message}""#)?;
                if error.is_temporary() {
                    out.extend_from_slice(br#","temporary":true"#);
                }
                out.extend_from_slice(b"}}");
            }
        }
        Ok(())
    }
}

/// Pushes as JSON in text frames of a WebSocket.
pub struct JsonOverWebSocket;

impl Encoder for JsonOverWebSocket {
    fn encode(&self, push: &Push<'_>, out: &mut Vec<u8>) {
        websocket::write_text(out, |out| write_push(push, out));
    }
}

/// Appends a push as JSON.
pub fn write_push(push: &Push<'_>, out: &mut Vec<u8>) {
    let start = |channel: &Channel, out: &mut Vec<u8>| {
        out.extend_from_slice(br#"{"push":{"channel":"#);
        write_string(channel.as_str(), out);
    };
    match push {
        Push::Publication(channel, publication) => {
            start(channel, out);
            out.extend_from_slice(br#","pub":{"data":"#);
            out.extend_from_slice(publication.data);
            for (key, json) in [(&br#","info":"#[..], publication.info), (br#","tags":"#, publication.tags)] {
                if !json.is_empty() {
                    out.extend_from_slice(key);
                    out.extend_from_slice(json);
                }
            }
            out.extend_from_slice(b"}}}");
        }
        Push::Join(channel, _, info) => {
            start(channel, out);
            out.extend_from_slice(br#","join":{"info":"#);
            out.extend_from_slice(info);
            out.extend_from_slice(b"}}}");
        }
        Push::Leave(channel, _, info) => {
            start(channel, out);
            out.extend_from_slice(br#","leave":{"info":"#);
            out.extend_from_slice(info);
            out.extend_from_slice(b"}}}");
        }
        Push::Message(message) => {
            out.extend_from_slice(br#"{"push":{"message":{"data":"#);
            out.extend_from_slice(message.data);
            out.extend_from_slice(b"}}}");
        }
    }
}

/// Appends a text as a JSON string.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    let plain = text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if plain {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        // Writing into memory cannot fail.
        let _ = serde_json::to_writer(out, text);
    }
}

/// A JSON value as it may stand in a line: a raw line break, which JSON allows between tokens only, would end
/// the line early, so it becomes a space.
pub fn single_line(json: &RawValue) -> std::borrow::Cow<'_, str> {
    let text = json.get();
    match memchr::memchr2(b'\n', b'\r', text.as_bytes()) {
        None => text.into(),
        Some(_) => text.replace(['\n', '\r'], " ").into(),
    }
}

#[cfg(test)]
mod tests;
