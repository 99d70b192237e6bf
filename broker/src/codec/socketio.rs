//! Socket.IO packets (protocol version 5, <https://socket.io/docs/v4/socket-io-protocol/>) in memory: reading those of
//! clients, writing those of the server.
//!
//! A packet is a text, `<type>[<attachments>-][<namespace>,][<ack id>][<JSON>]`, with as many binary messages behind it
//! as it says. Elsewhere in the broker an event is its JSON alone, `["name", argument…]`, in which bytes stand as
//! [`{"$binary":"<Base64>"}`](binary): so that clients of every endpoint, and logic, can read and write it.

use std::borrow::Cow;

use serde_json::value::RawValue;

pub mod binary;
pub mod emitter;
mod events;

pub use binary::Partial;
pub use events::{Events, write_ack, write_connect, write_connect_error, write_disconnect, write_event};

/// The namespace that there always is.
pub const MAIN: &str = "/";

/// The most attachments of a packet.
pub const ATTACHMENTS: usize = 64;

/// Names of events that mean something to the clients' libraries themselves.
const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// What a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Whoever sent it wants to be in the namespace, or is.
    Connect,
    /// It is there no more.
    Disconnect,
    /// An event: a name and its arguments.
    Event,
    /// The answer to an event: its arguments.
    Ack,
}

/// A packet that a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What it is.
    pub kind: Kind,
    /// Which namespace it belongs to; [`MAIN`] when it does not say.
    pub namespace: &'a str,
    /// The number that the answer carries, or that this answers.
    pub id: Option<u64>,
    /// How many binary messages belong to it.
    pub attachments: usize,
    /// What stands behind: JSON, which is not checked; perhaps nothing.
    pub data: &'a str,
}

/// Something is not a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a packet of Socket.IO: {0}")]
pub struct Malformed(pub &'static str);

impl<'a> Packet<'a> {
    /// Reads a packet.
    ///
    /// # Errors
    /// It is none that a client may send.
    pub fn read(text: &'a str) -> Result<Self, Malformed> {
        let (kind, is_binary) = match text.as_bytes().first() {
            Some(b'0') => (Kind::Connect, false),
            Some(b'1') => (Kind::Disconnect, false),
            Some(b'2') => (Kind::Event, false),
            Some(b'3') => (Kind::Ack, false),
            Some(b'5') => (Kind::Event, true),
            Some(b'6') => (Kind::Ack, true),
            _ => return Err(Malformed("it is of no type that a client sends")),
        };
        let mut rest = &text[1..];
        let mut attachments = 0;
        if is_binary {
            let number = take_number(&mut rest).ok_or(Malformed("a binary packet counts no attachments"))?;
            rest = rest.strip_prefix('-').ok_or(Malformed("a binary packet counts no attachments"))?;
            attachments = usize::try_from(number).unwrap_or(usize::MAX);
            if attachments == 0 || attachments > ATTACHMENTS {
                return Err(Malformed("a binary packet has 1 to 64 attachments"));
            }
        }
        let mut namespace = MAIN;
        if rest.starts_with('/') {
            (namespace, rest) = rest.split_once(',').unwrap_or((rest, ""));
        }
        let id = take_number(&mut rest);
        Ok(Self { kind, namespace, id, attachments, data: rest })
    }
}

/// The digits in front, as the number that they are; nothing when there are none, or too many.
fn take_number(text: &mut &str) -> Option<u64> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    let number = text[..length].parse().ok()?;
    *text = &text[length..];
    Some(number)
}

/// The JSON of an event, taken apart.
#[derive(Debug)]
pub struct Event<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// Its arguments.
    pub args: Vec<&'a RawValue>,
}

impl<'a> Event<'a> {
    /// Reads the event that a JSON text is.
    ///
    /// # Errors
    /// It is none: not JSON, no array that begins with a text, or one that begins with a name that is reserved.
    pub fn read(json: &'a str) -> Result<Self, Malformed> {
        let mut args: Vec<&'a RawValue> =
            serde_json::from_str(json).map_err(|_| Malformed("an event is a JSON array"))?;
        if args.is_empty() {
            return Err(Malformed("an event begins with its name"));
        }
        let name = args.remove(0);
        let name = text(name).ok_or(Malformed("an event begins with its name"))?;
        if is_reserved(&name) {
            return Err(Malformed("the event's name is reserved"));
        }
        Ok(Self { name, args })
    }
}

/// The text that a JSON value is, if it is one.
pub fn text(json: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(serde::Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str(json.get()).ok().map(|Text(text)| text)
}

/// Whether no event can have this name.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// The name of the event that this JSON is; nothing when it is none.
pub fn name_of(json: &[u8]) -> Option<Cow<'_, str>> {
    let inner = json.trim_ascii_start().strip_prefix(b"[")?.trim_ascii_start();
    let quoted = inner.strip_prefix(b"\"")?;
    let end = memchr::memchr2(b'"', b'\\', quoted)?;
    if quoted[end] == b'"' {
        return std::str::from_utf8(&quoted[..end]).ok().map(Cow::Borrowed);
    }
    // Somebody has written a name in another way than usual.
    let mut texts = serde_json::Deserializer::from_slice(inner).into_iter::<String>();
    texts.next()?.ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests;
