//! What other programs say through Redis with `@socket.io/redis-emitter`, as it is written there: an emit is MessagePack
//! (<https://github.com/msgpack/msgpack/blob/master/spec.md>), a request is JSON.
//!
//! An emit is `[who, {type, nsp, data: [name, argument…]}, {rooms, except, flags}]`; here it becomes an event as everywhere
//! in the broker, JSON in which bytes stand as [`{"$binary":"<Base64>"}`](super::binary).

use base64::{Engine, prelude::BASE64_STANDARD};
use rmpv::{ValueRef, decode::read_value_ref_with_max_depth};
use serde::Deserialize;

use super::{Malformed, is_reserved};
use crate::codec::centrifuge::write_string;

/// Values within values of an emit, counted as the reader of MessagePack does: two for each array or object. JSON as deep
/// is read everywhere.
const DEPTH: usize = 128;

/// The most rooms of one kind that an emit or a request may name.
pub const ROOMS: usize = 1024;

/// The types of packets that are events, without and with bytes.
const EVENTS: [u8; 2] = [2, 5];

/// The type of MessagePack's timestamps.
const TIMESTAMP: i8 = -1;

/// The times that JavaScript has, in seconds since 1970.
const TIMES: std::ops::RangeInclusive<i64> = -8_640_000_000_000..=8_640_000_000_000;

/// Whom something is for: those in one of the rooms, or all if none is named, but nobody who is in one of the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Selection {
    /// The rooms; none: everybody in the namespace.
    pub rooms: Vec<Room>,
    /// Who is in one of these is left out.
    pub except: Vec<Room>,
}

/// The name of a room. Programs in JavaScript use numbers too.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "TextOrNumber")]
pub struct Room(pub String);

#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrNumber {
    Text(String),
    Number(serde_json::Number),
}

impl From<TextOrNumber> for Room {
    fn from(name: TextOrNumber) -> Self {
        match name {
            TextOrNumber::Text(text) => Self(text),
            TextOrNumber::Number(number) => Self(number.to_string()),
        }
    }
}

/// An event for clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emit {
    /// The namespace that it is emitted in.
    pub namespace: String,
    /// The JSON array `["name", argument…]`.
    pub event: Vec<u8>,
    /// Whom it is for.
    pub to: Selection,
    /// Whether clients do without it that have not read what was there before.
    pub is_volatile: bool,
}

impl Emit {
    /// Reads an emit. What stands behind it is refused too.
    ///
    /// # Errors
    /// It is none, or more than is allowed.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        const NO_PACKET: Malformed = Malformed("an emit is a list of who, packet and options");
        let mut rest = bytes;
        let value = read_value_ref_with_max_depth(&mut rest, DEPTH)
            .map_err(|_| Malformed("an emit is MessagePack, of bounded depth"))?;
        if !rest.is_empty() {
            return Err(Malformed("something stands behind the emit"));
        }
        let ValueRef::Array(parts) = &value else { return Err(NO_PACKET) };
        let [_, packet, options] = parts.as_slice() else { return Err(NO_PACKET) };
        let is_event = |kind: &ValueRef<'_>| EVENTS.iter().any(|event| *kind == ValueRef::from(*event));
        if !field(packet, "type").is_some_and(is_event) {
            return Err(Malformed("the packet is no event"));
        }
        let namespace = match field(packet, "nsp") {
            None => super::MAIN,
            Some(name) => text(name).ok_or(Malformed("the namespace is no text"))?,
        };
        let data = field(packet, "data").ok_or(NO_PACKET)?;
        let ValueRef::Array(arguments) = data else { return Err(Malformed("an event is a list")) };
        let name = arguments.first().and_then(text).ok_or(Malformed("an event begins with its name"))?;
        if is_reserved(name) {
            return Err(Malformed("the event's name is reserved"));
        }
        let mut event = Vec::with_capacity(bytes.len() + bytes.len() / 2);
        write_json(data, &mut event)?;
        let to = Selection { rooms: rooms(options, "rooms")?, except: rooms(options, "except")? };
        let flag = field(options, "flags").and_then(|flags| field(flags, "volatile"));
        let is_volatile = matches!(flag, Some(ValueRef::Boolean(true)));
        Ok(Self { namespace: namespace.to_owned(), event, to, is_volatile })
    }
}

/// The field of an object.
fn field<'a, 'v>(object: &'a ValueRef<'v>, name: &str) -> Option<&'a ValueRef<'v>> {
    let ValueRef::Map(fields) = object else { return None };
    let (_, value) = fields.iter().find(|(key, _)| text(key) == Some(name))?;
    (!matches!(value, ValueRef::Nil)).then_some(value)
}

fn text<'a>(value: &'a ValueRef<'_>) -> Option<&'a str> {
    match value {
        ValueRef::String(text) => text.as_str(),
        _ => None,
    }
}

fn rooms(options: &ValueRef<'_>, name: &str) -> Result<Vec<Room>, Malformed> {
    const WRONG: Malformed = Malformed("rooms are a list of at most 1024 names");
    let Some(list) = field(options, name) else { return Ok(Vec::new()) };
    let ValueRef::Array(list) = list else { return Err(WRONG) };
    if list.len() > ROOMS {
        return Err(WRONG);
    }
    let name = |room: &ValueRef<'_>| match room {
        ValueRef::Integer(number) => Ok(Room(number.to_string())),
        room => text(room).map(|name| Room(name.to_owned())).ok_or(WRONG),
    };
    list.iter().map(name).collect()
}

/// Appends a value as JavaScript would write it as JSON, but for bytes. The depth was bounded when it was read.
fn write_json(value: &ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    match value {
        ValueRef::Nil => out.extend_from_slice(b"null"),
        ValueRef::Boolean(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        ValueRef::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
        ValueRef::F32(number) => write_float(f64::from(*number), out),
        ValueRef::F64(number) => write_float(*number, out),
        ValueRef::String(text) => {
            write_string(text.as_str().ok_or(Malformed("a text is no UTF-8"))?, out);
        }
        ValueRef::Binary(bytes) => {
            out.extend_from_slice(br#"{"$binary":""#);
            out.extend_from_slice(BASE64_STANDARD.encode(bytes).as_bytes());
            out.extend_from_slice(br#""}"#);
        }
        ValueRef::Array(values) => {
            out.push(b'[');
            for (number, value) in values.iter().enumerate() {
                if number > 0 {
                    out.push(b',');
                }
                write_json(value, out)?;
            }
            out.push(b']');
        }
        ValueRef::Map(fields) => {
            out.push(b'{');
            for (number, (name, value)) in fields.iter().enumerate() {
                if number > 0 {
                    out.push(b',');
                }
                write_string(text(name).ok_or(Malformed("a field's name is no text"))?, out);
                out.push(b':');
                write_json(value, out)?;
            }
            out.push(b'}');
        }
        ValueRef::Ext(TIMESTAMP, bytes) => write_time(bytes, out)?,
        ValueRef::Ext(..) => return Err(Malformed("a value is of a type that JSON does not have")),
    }
    Ok(())
}

/// What is no number in JSON is nothing, as in JavaScript.
fn write_float(number: f64, out: &mut Vec<u8>) {
    match serde_json::Number::from_f64(number) {
        Some(number) => out.extend_from_slice(number.to_string().as_bytes()),
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends a time as JavaScript's dates are written.
fn write_time(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    const WRONG: Malformed = Malformed("a time is none");
    let (seconds, nanoseconds) = match *bytes {
        [a, b, c, d] => (i64::from(u32::from_be_bytes([a, b, c, d])), 0),
        [a, b, c, d, e, f, g, h] => {
            let both = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
            ((both & ((1 << 34) - 1)) as i64, both >> 34)
        }
        [n0, n1, n2, n3, a, b, c, d, e, f, g, h] => {
            let seconds = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
            (seconds, u64::from(u32::from_be_bytes([n0, n1, n2, n3])))
        }
        _ => return Err(WRONG),
    };
    if nanoseconds >= 1_000_000_000 || !TIMES.contains(&seconds) {
        return Err(WRONG);
    }
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days);
    let year = match year {
        0..=9999 => format!("{year:04}"),
        _ => format!("{year:+07}"),
    };
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let milliseconds = nanoseconds / 1_000_000;
    let time =
        format!(r#""{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z""#);
    out.extend_from_slice(time.as_bytes());
    Ok(())
}

/// Year, month and day of a day since 1970, in the Gregorian calendar for ever. A year begins in March here, so that the
/// day that some years have stands at its end.
fn date(days: i64) -> (i64, i64, i64) {
    // From the first of March of the year 0; the calendar repeats itself after 400 years.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

/// What clients are to have done to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// They are put into these rooms.
    Join(Vec<Room>),
    /// They are taken out of these rooms.
    Leave(Vec<Room>),
    /// They leave the namespace; with their connection, if it is so.
    Disconnect(bool),
}

/// A request to all servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// This is done to these clients.
    Order(Selection, Order),
    /// Something that this broker does not do, such as an event for the servers themselves.
    Other,
}

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    /// It is none, or more than is allowed.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        #[derive(Deserialize)]
        struct Written {
            #[serde(rename = "type")]
            kind: u64,
            #[serde(default)]
            opts: Selection,
            #[serde(default)]
            rooms: Vec<Room>,
            #[serde(default)]
            close: bool,
        }
        #[derive(Deserialize)]
        struct Kind {
            #[serde(rename = "type")]
            kind: u64,
        }
        const WRONG: Malformed = Malformed("a request is a JSON object with a type");
        let Kind { kind } = serde_json::from_slice(bytes).map_err(|_| WRONG)?;
        if !(2..=4).contains(&kind) {
            return Ok(Self::Other);
        }
        let Written { kind, opts, rooms, close } =
            serde_json::from_slice(bytes).map_err(|_| Malformed("a request names rooms as lists"))?;
        if [&opts.rooms, &opts.except, &rooms].iter().any(|rooms| rooms.len() > ROOMS) {
            return Err(Malformed("rooms are a list of at most 1024 names"));
        }
        let order = match kind {
            2 => Order::Join(rooms),
            3 => Order::Leave(rooms),
            _ => Order::Disconnect(close),
        };
        Ok(Self::Order(opts, order))
    }
}

#[cfg(test)]
mod tests;
