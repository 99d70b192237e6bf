//! What clients send.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, Visitor},
};
use serde_json::{StreamDeserializer, de::StrRead, value::RawValue};

use crate::metrics::ClientCommand;

/// One command of a client.
#[derive(Debug)]
pub struct Command<'a> {
    /// The number that the reply carries; zero when no reply is wanted.
    pub id: u32,
    /// What it asks for.
    pub request: Request<'a>,
    /// Its bytes, from which [`Command::read`] makes it again.
    pub text: &'a str,
}

/// See [`Request::Connect`].
#[derive(Debug, Deserialize)]
pub struct Connect<'a> {
    /// A JWT, when the client has one.
    #[serde(default, borrow)]
    pub token: Cow<'a, str>,
    /// On datagrams: what the server has given this address, which proves that the client receives there.
    #[serde(default, borrow)]
    pub cookie: Cow<'a, str>,
    /// What the client calls itself, such as the name of its library: for the hook that is asked about it.
    #[serde(default, borrow)]
    pub name: Option<&'a RawValue>,
    /// What it says beside: for the hook that is asked about it.
    #[serde(default, borrow)]
    pub data: Option<&'a RawValue>,
}

/// See [`Request::Subscribe`].
#[derive(Debug, Deserialize)]
pub struct Subscribe<'a> {
    /// The channel.
    #[serde(borrow)]
    pub channel: Cow<'a, str>,
    /// A JWT for the channel, when the client has one.
    #[serde(default, borrow)]
    pub token: Cow<'a, str>,
    /// Whether the client wants what it has missed since the position that follows.
    #[serde(default)]
    pub recover: bool,
    /// The number of the last message that the client has got.
    #[serde(default)]
    pub offset: u64,
    /// Which life of the channel's stream that was.
    #[serde(default, borrow)]
    pub epoch: Cow<'a, str>,
}

impl Subscribe<'_> {
    /// The same, of nothing but itself.
    pub fn into_owned(self) -> Subscribe<'static> {
        Subscribe {
            channel: self.channel.into_owned().into(),
            token: self.token.into_owned().into(),
            recover: self.recover,
            offset: self.offset,
            epoch: self.epoch.into_owned().into(),
        }
    }
}

/// See [`Request::History`].
#[derive(Debug, Deserialize)]
pub struct History<'a> {
    /// The channel.
    #[serde(borrow)]
    pub channel: Cow<'a, str>,
    /// How many messages at most; 0 for none but the position, a negative number for all.
    #[serde(default)]
    pub limit: i32,
    /// Only what came after this, or before it when `reverse`.
    #[serde(default, borrow)]
    pub since: Option<Since<'a>>,
    /// The latest first.
    #[serde(default)]
    pub reverse: bool,
}

/// A position in a channel's stream, as clients write it.
#[derive(Debug, Deserialize)]
pub struct Since<'a> {
    /// The number of the last message that the client has got.
    #[serde(default)]
    pub offset: u64,
    /// Which life of the stream.
    #[serde(default, borrow)]
    pub epoch: Cow<'a, str>,
}

/// A command with a channel and nothing else.
#[derive(Debug, Deserialize)]
pub struct OfChannel<'a> {
    /// The channel.
    #[serde(borrow)]
    pub channel: Cow<'a, str>,
}

/// See [`Request::Publish`].
#[derive(Debug, Deserialize)]
pub struct Publish<'a> {
    /// The channel.
    #[serde(borrow)]
    pub channel: Cow<'a, str>,
    /// The payload.
    #[serde(borrow)]
    pub data: &'a RawValue,
}

/// See [`Request::Send`].
#[derive(Debug, Deserialize)]
pub struct Send<'a> {
    /// The payload.
    #[serde(borrow)]
    pub data: &'a RawValue,
}

/// See [`Request::Rpc`].
#[derive(Debug, Deserialize)]
pub struct Rpc<'a> {
    /// The module's name.
    #[serde(default, borrow)]
    pub method: Cow<'a, str>,
    /// The payload.
    #[serde(default, borrow)]
    pub data: Option<&'a RawValue>,
}

/// See [`Request::Refresh`].
#[derive(Debug, Deserialize)]
pub struct Refresh<'a> {
    /// A JWT of the same user.
    #[serde(default, borrow)]
    pub token: Cow<'a, str>,
}

/// See [`Request::SubRefresh`].
#[derive(Debug, Deserialize)]
pub struct SubRefresh<'a> {
    /// The channel.
    #[serde(borrow)]
    pub channel: Cow<'a, str>,
    /// A JWT for the channel.
    #[serde(default, borrow)]
    pub token: Cow<'a, str>,
}

/// What a command asks for.
#[derive(Debug)]
pub enum Request<'a> {
    /// Nothing, by the empty object: the client's answer to a ping of the server.
    Pong,
    /// Says who the client is.
    Connect(Connect<'a>),
    /// Subscribes to a channel. It is in a box, so that commands that come more often are no larger for it.
    Subscribe(Box<Subscribe<'a>>),
    /// Ends a subscription.
    Unsubscribe(OfChannel<'a>),
    /// Publishes into a channel.
    Publish(Publish<'a>),
    /// Asks who is in a channel.
    Presence(OfChannel<'a>),
    /// Asks how many are in a channel.
    PresenceStats(OfChannel<'a>),
    /// A message to the server that has no reply.
    Send(Send<'a>),
    /// Calls a logic module.
    Rpc(Rpc<'a>),
    /// A ping of the client.
    Ping,
    /// Brings a new connection token.
    Refresh(Refresh<'a>),
    /// Brings a new subscription token.
    SubRefresh(SubRefresh<'a>),
    /// Asks for what was published in a channel.
    History(Box<History<'a>>),
    /// A command that the protocol does not have.
    Unknown,
}

/// The commands of a frame, in order. After an error nothing more is read.
pub struct Commands<'a> {
    text: &'a str,
    stream: StreamDeserializer<'a, StrRead<'a>, Read<'a>>,
}

impl<'a> Iterator for Commands<'a> {
    type Item = serde_json::Result<Command<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.stream.byte_offset();
        let read = self.stream.next()?;
        let text = &self.text[start..self.stream.byte_offset()];
        Some(read.map(|Read { id, request }| Command { id, request, text }))
    }
}

impl<'a> Command<'a> {
    /// The commands of a frame.
    pub fn read_all(text: &'a str) -> Commands<'a> {
        Commands { text, stream: serde_json::Deserializer::from_str(text).into_iter() }
    }

    /// The one command of this text.
    ///
    /// # Errors
    /// When it is not a command.
    pub fn read(text: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str(text).map(|Read { id, request }| Self { id, request, text })
    }
}

/// A command as it is read: which of the fields is there says what it asks for.
struct Read<'a> {
    id: u32,
    request: Request<'a>,
}

// By hand, for a derived one would have room for every kind of request, and most of a command's time would go into
// moving that about.
impl<'de: 'a, 'a> Deserialize<'de> for Read<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ReadVisitor)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    Id,
    Publish,
    Subscribe,
    Unsubscribe,
    Connect,
    Presence,
    PresenceStats,
    Send,
    Ping,
    History,
    Rpc,
    Refresh,
    SubRefresh,
    #[serde(other)]
    Other,
}

struct ReadVisitor;

impl<'de> Visitor<'de> for ReadVisitor {
    type Value = Read<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a command")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Read<'de>, A::Error> {
        let (mut id, mut request) = (None, None);
        while let Some(field) = map.next_key()? {
            let read = match field {
                Field::Id => match id.replace(map.next_value()?) {
                    Some(_) => return Err(Error::duplicate_field("id")),
                    None => None,
                },
                Field::Publish => map.next_value::<Option<_>>()?.map(Request::Publish),
                Field::Subscribe => map.next_value::<Option<_>>()?.map(Request::Subscribe),
                Field::Unsubscribe => map.next_value::<Option<_>>()?.map(Request::Unsubscribe),
                Field::Connect => map.next_value::<Option<_>>()?.map(Request::Connect),
                Field::Presence => map.next_value::<Option<_>>()?.map(Request::Presence),
                Field::PresenceStats => map.next_value::<Option<_>>()?.map(Request::PresenceStats),
                Field::Send => map.next_value::<Option<_>>()?.map(Request::Send),
                Field::Ping => map.next_value::<Option<IgnoredAny>>()?.map(|_| Request::Ping),
                Field::History => map.next_value::<Option<_>>()?.map(Request::History),
                Field::Rpc => map.next_value::<Option<_>>()?.map(Request::Rpc),
                Field::Refresh => map.next_value::<Option<_>>()?.map(Request::Refresh),
                Field::SubRefresh => map.next_value::<Option<_>>()?.map(Request::SubRefresh),
                Field::Other => {
                    map.next_value::<IgnoredAny>()?;
                    None
                }
            };
            if read.is_some() && std::mem::replace(&mut request, read).is_some() {
                return Err(Error::custom("a command asks for one thing, and this one for two"));
            }
        }
        let id = id.unwrap_or_default();
        let request = request.unwrap_or(if id == 0 { Request::Pong } else { Request::Unknown });
        Ok(Read { id, request })
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
            Self::History(_) => ClientCommand::History,
            Self::Unknown => ClientCommand::Unknown,
        }
    }
}
