//! What the receiver answers: read, checked, and in the order in which it is carried out.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    auth::Namespaces,
    cluster::{Change, Extent, Who},
    codec::centrifuge::single_line,
    endpoint::Disconnect,
    logic::{LogicError, Outcome},
    message::{Channel, ClientId, Except, LogicName, Target, Targets},
    registry::Metadata,
};

/// What the receiver made of one message.
#[derive(Debug, PartialEq)]
pub(super) struct Reply {
    pub(super) outcome: Outcome,
    pub(super) actions: Vec<Action>,
    /// What it asked for and cannot be done: a sentence for each.
    pub(super) wrong: Vec<String>,
}

/// Something to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Action {
    /// Texts of a client are noted.
    Note(ClientId, Metadata),
    /// Subscriptions begin or end.
    Change(Who, Channel, Change),
    /// A payload is sent.
    Send { targets: Targets, except: Option<Except>, data: Bytes, metadata: Metadata },
    /// Clients are ended.
    Disconnect(Who, Disconnect, Extent),
}

/// Which channels there are to send to.
pub(super) struct Channels {
    /// The longest name in bytes.
    pub(super) longest: usize,
    pub(super) namespaces: Namespaces,
}

/// The whole answer; its replies are read one by one, so that one that is wrong leaves the others as they are.
#[derive(Deserialize)]
struct Whole<'a> {
    #[serde(borrow)]
    replies: Option<Vec<&'a RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Written<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    reject: Option<String>,
    #[serde(borrow)]
    note: Vec<&'a RawValue>,
    #[serde(borrow)]
    subscribe: Vec<&'a RawValue>,
    #[serde(borrow)]
    unsubscribe: Vec<&'a RawValue>,
    #[serde(borrow)]
    send: Vec<&'a RawValue>,
    #[serde(borrow)]
    publish: Vec<&'a RawValue>,
    #[serde(borrow)]
    broadcast: Vec<&'a RawValue>,
    #[serde(borrow)]
    disconnect: Vec<&'a RawValue>,
}

/// `send`, `publish` and `broadcast`: whichever receivers are named.
#[derive(Deserialize)]
struct Sending<'a> {
    #[serde(default)]
    clients: Vec<ClientId>,
    #[serde(default)]
    everyone: bool,
    #[serde(default)]
    channel: Option<String>,
    #[serde(default)]
    channels: Vec<String>,
    #[serde(default)]
    logic: Vec<String>,
    #[serde(default)]
    except: Option<LeftOut>,
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(default)]
    metadata: Metadata,
}

/// Who does not get it of those in the channels, or of everyone.
#[derive(Deserialize)]
struct LeftOut {
    #[serde(default)]
    clients: Vec<ClientId>,
    #[serde(default)]
    channels: Vec<String>,
}

#[derive(Deserialize)]
struct Noting {
    client: ClientId,
    metadata: Metadata,
}

/// Whose subscriptions begin or end.
#[derive(Deserialize)]
struct Subscribing {
    #[serde(flatten)]
    whom: Whom,
    channel: String,
}

/// One client, all of a user, or all in a channel.
#[derive(Deserialize)]
struct Whom {
    client: Option<ClientId>,
    user: Option<String>,
    #[serde(rename = "in")]
    of_channel: Option<String>,
}

#[derive(Deserialize)]
struct Ending {
    #[serde(flatten)]
    whom: Whom,
    #[serde(default)]
    reconnect: bool,
    #[serde(default)]
    connection: bool,
}

/// Reads an answer to so many messages.
///
/// # Errors
/// Says why it is no reply; nothing of it is to be done then.
pub(super) fn read(body: &[u8], count: usize, channels: &Channels) -> Result<Vec<Reply>, String> {
    let nothing = || Reply { outcome: Ok(None), actions: Vec::new(), wrong: Vec::new() };
    if body.trim_ascii().is_empty() {
        return Ok((0..count).map(|_| nothing()).collect());
    }
    let whole: &RawValue =
        serde_json::from_slice(body).map_err(|error| format!("it is not JSON: {error}"))?;
    let is_object = whole.get().starts_with('{');
    let replies = serde_json::from_str::<Whole<'_>>(whole.get()).map_err(|error| error.to_string());
    let replies = match replies.map(|whole| whole.replies) {
        Ok(Some(replies)) if is_object => replies,
        Ok(None) if is_object && count == 1 => vec![whole],
        Ok(_) => return Err("write an object with replies: a list of one for each message".into()),
        Err(why) => return Err(format!("write an object with replies: {why}")),
    };
    if replies.len() != count {
        return Err(format!("it has {} replies to {count} messages; write one for each", replies.len()));
    }
    let read = |reply: &RawValue| match reply.get() {
        "null" => nothing(),
        text if !text.starts_with('{') => {
            Reply { outcome: Err(LogicError::Failed("the reply is no object".into())), ..nothing() }
        }
        text => match serde_json::from_str::<Written<'_>>(text) {
            Ok(written) => written.read(channels),
            Err(error) => Reply {
                outcome: Err(LogicError::Failed(format!("the reply is wrong: {error}"))),
                ..nothing()
            },
        },
    };
    Ok(replies.into_iter().map(read).collect())
}

impl Written<'_> {
    fn read(self, channels: &Channels) -> Reply {
        let (mut actions, mut wrong) = (Vec::new(), Vec::new());
        let mut keep = |key: &str, read: Result<Action, String>| match read {
            Ok(action) => actions.push(action),
            Err(why) => wrong.push(format!("{key}: {why}")),
        };
        for text in self.note {
            keep("note", from::<Noting>(text).map(|note| Action::Note(note.client, note.metadata)));
        }
        for (key, texts, change) in [
            ("subscribe", self.subscribe, Change::Subscribe),
            ("unsubscribe", self.unsubscribe, Change::Unsubscribe),
        ] {
            for text in texts {
                let read = from::<Subscribing>(text).and_then(|subscribing| {
                    let channel = channels.find(&subscribing.channel)?;
                    Ok(Action::Change(subscribing.whom.read(channels)?, channel, change))
                });
                keep(key, read);
            }
        }
        let mut bad_channels = Vec::new();
        for (key, texts) in [("send", self.send), ("publish", self.publish), ("broadcast", self.broadcast)] {
            for text in texts {
                let mut bad = |why: String| bad_channels.push(format!("{key}: {why}"));
                match from::<Sending<'_>>(text).map(|sending| sending.read(channels, &mut bad)) {
                    // Each of its channels is wrong, and said to be.
                    Ok(Ok(None)) => {}
                    Ok(Ok(Some(action))) => keep(key, Ok(action)),
                    Ok(Err(why)) | Err(why) => keep(key, Err(why)),
                }
            }
        }
        for text in self.disconnect {
            keep("disconnect", from::<Ending>(text).and_then(|ending| ending.read(channels)));
        }
        wrong.append(&mut bad_channels);
        let outcome = match self.reject {
            Some(why) => Err(LogicError::Refused(why)),
            None => Ok(self.data.map(payload)),
        };
        Reply { outcome, actions, wrong }
    }
}

impl Sending<'_> {
    /// What is to be sent; `None` if of all that is named nothing is there.
    fn read(self, channels: &Channels, bad: &mut impl FnMut(String)) -> Result<Option<Action>, String> {
        let mut targets: Targets = self.clients.into_iter().map(Target::Client).collect();
        if self.everyone {
            targets.push(Target::Everyone);
        }
        targets.extend(self.logic.iter().map(|name| Target::Logic(LogicName::new(name))));
        let named = self.channel.into_iter().chain(self.channels);
        let mut any_channel = false;
        for name in named {
            any_channel = true;
            match channels.find(&name) {
                Ok(channel) => targets.push(Target::Channel(channel)),
                Err(why) => bad(why),
            }
        }
        match targets.is_empty() {
            true if any_channel => Ok(None),
            true => Err("nobody is named; write clients, channel, channels, logic or everyone: true".into()),
            false => {
                let except = self.except.map(|except| except.read(channels)).transpose()?;
                let (data, metadata) = (payload(self.data), self.metadata);
                Ok(Some(Action::Send { targets, except, data, metadata }))
            }
        }
    }
}

impl LeftOut {
    fn read(self, channels: &Channels) -> Result<Except, String> {
        let found: Result<Vec<_>, _> = self.channels.iter().map(|name| channels.find(name)).collect();
        Ok(Except { clients: self.clients, channels: found.map_err(|why| format!("except: {why}"))? })
    }
}

impl Channels {
    fn find(&self, name: &str) -> Result<Channel, String> {
        let channel = Channel::parse(name, self.longest).map_err(|error| error.to_string())?;
        match self.namespaces.of(name) {
            Some(_) => Ok(channel),
            None => Err(format!("the channel {name:?} is of a namespace that is not configured")),
        }
    }
}

impl Whom {
    fn read(self, channels: &Channels) -> Result<Who, String> {
        match (self.client, self.user, self.of_channel) {
            (Some(client), None, None) => Ok(Who::Client(client)),
            (None, Some(user), None) if !user.is_empty() => Ok(Who::User(user)),
            (None, None, Some(name)) => channels.find(&name).map(|_| Who::Channel(name)),
            _ => Err("write one of client, user and in".into()),
        }
    }
}

impl Ending {
    fn read(self, channels: &Channels) -> Result<Action, String> {
        let who = self.whom.read(channels)?;
        let reason = if self.reconnect { Disconnect::ForcedReconnect } else { Disconnect::Forced };
        let extent = if self.connection { Extent::Connection } else { Extent::Client };
        Ok(Action::Disconnect(who, reason, extent))
    }
}

fn from<'a, T: Deserialize<'a>>(text: &'a RawValue) -> Result<T, String> {
    serde_json::from_str(text.get()).map_err(|error| error.to_string())
}

fn payload(data: &RawValue) -> Bytes {
    Bytes::from(single_line(data).into_owned())
}

/// The input as the answer to one message, and to several.
#[cfg(any(test, switchboard_fuzz))]
pub(crate) fn fuzz(bytes: &[u8]) {
    let channels =
        Channels { longest: 255, namespaces: Namespaces::new(&crate::config::Channels::default()) };
    for count in [1, 3] {
        let replies = match read(bytes, count, &channels) {
            Ok(replies) => replies,
            Err(why) => {
                assert!(!why.is_empty());
                continue;
            }
        };
        assert_eq!(replies.len(), count, "one for each message");
        for reply in replies {
            assert!(reply.actions.len() + reply.wrong.len() <= bytes.len());
            let sent = reply.actions.iter().filter_map(|action| match action {
                Action::Send { data, .. } => Some(data),
                _ => None,
            });
            for data in sent.chain(reply.outcome.iter().flatten()) {
                assert!(!data.contains(&b'\n') && !data.contains(&b'\r'), "it stands in a line");
                assert!(serde_json::from_slice::<&RawValue>(data).is_ok());
            }
        }
    }
}

#[cfg(test)]
mod tests;
