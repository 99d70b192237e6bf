//! Bytes in events.
//!
//! On the wire a packet has `{"_placeholder":true,"num":0}` where bytes belong, and the bytes follow as messages of their
//! own. In the broker they stand in place, as `{"$binary":"<Base64>"}`.

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};
use memchr::{memchr, memmem, memrchr};
use serde::Deserialize;

use super::{Kind, MAIN, Malformed, Packet};
use crate::codec::centrifuge::write_string;

/// How bytes begin in JSON. In valid JSON this stands nowhere else: within a text its quotes would be escaped.
const BEGIN: &[u8] = br#"{"$binary":""#;
const END: &[u8] = br#""}"#;

/// A binary packet whose attachments are not all there.
#[derive(Debug)]
pub struct Partial {
    /// What it is.
    pub kind: Kind,
    /// Which namespace it belongs to.
    pub namespace: Cow<'static, str>,
    /// The number that the answer carries, or that this answers.
    pub id: Option<u64>,
    data: String,
    wanted: usize,
    attachments: Vec<Vec<u8>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Placeholder {
    #[serde(rename = "_placeholder")]
    is_placeholder: bool,
    num: usize,
}

impl Partial {
    /// The text of a binary packet has come.
    pub fn begin(packet: &Packet<'_>) -> Self {
        let namespace = match packet.namespace {
            MAIN => MAIN.into(),
            other => other.to_owned().into(),
        };
        let (data, wanted) = (packet.data.to_owned(), packet.attachments);
        Self { kind: packet.kind, namespace, id: packet.id, data, wanted, attachments: Vec::new() }
    }

    /// Its bytes so far.
    pub fn size(&self) -> usize {
        self.data.len() + self.attachments.iter().map(Vec::len).sum::<usize>()
    }

    /// Takes an attachment; whether it was the last.
    pub fn add(&mut self, attachment: Cow<'_, [u8]>) -> bool {
        self.attachments.push(attachment.into_owned());
        self.attachments.len() == self.wanted
    }

    /// The packet's JSON with all bytes in place.
    ///
    /// # Errors
    /// There are not as many places as attachments, each of which belongs to one.
    pub fn join(&self) -> Result<String, Malformed> {
        const WRONG: Malformed = Malformed("the attachments do not fit the places for them");
        let json = self.data.as_str();
        let mut joined = String::with_capacity(self.size() * 4 / 3 + 16);
        let (mut end, mut used) = (0, 0u64);
        for at in memmem::find_iter(json.as_bytes(), b"\"_placeholder\"") {
            let Some(range) = object_around(json, at).filter(|range| range.start >= end) else { continue };
            let Ok(Placeholder { is_placeholder: true, num }) = serde_json::from_str(&json[range.clone()])
            else {
                continue;
            };
            let attachment = self.attachments.get(num).ok_or(WRONG)?;
            // Each once, or a few bytes could be made many.
            if used & (1 << num) != 0 {
                return Err(WRONG);
            }
            used |= 1 << num;
            joined.push_str(&json[end..range.start]);
            joined.push_str(r#"{"$binary":""#);
            BASE64_STANDARD.encode_string(attachment, &mut joined);
            joined.push_str(r#""}"#);
            end = range.end;
        }
        if used.count_ones() as usize != self.wanted {
            return Err(WRONG);
        }
        joined.push_str(&json[end..]);
        Ok(joined)
    }
}

/// The object without objects in it that this position lies in, if it looks like one.
fn object_around(json: &str, at: usize) -> Option<std::ops::Range<usize>> {
    let bytes = json.as_bytes();
    let start = memrchr(b'{', &bytes[..at])?;
    let end = at + memchr(b'}', &bytes[at..])? + 1;
    Some(start..end)
}

/// JSON as it goes over the wire, and the bytes that go behind it; nothing when there are no bytes in it.
pub fn split(json: &[u8]) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
    memmem::find(json, BEGIN)?;
    let (mut text, mut attachments) = (Vec::with_capacity(json.len() / 2), Vec::new());
    let mut end = 0;
    for at in memmem::find_iter(json, BEGIN) {
        let start = at + BEGIN.len();
        let Some(length) = memchr(b'"', &json[start..]) else { break };
        let is_alone = json[start + length..].starts_with(END);
        let Ok(bytes) = BASE64_STANDARD.decode(&json[start..start + length]) else { continue };
        // Clients refuse packets with more.
        if !is_alone || attachments.len() == super::ATTACHMENTS {
            continue;
        }
        text.extend_from_slice(&json[end..at]);
        text.extend_from_slice(format!(r#"{{"_placeholder":true,"num":{}}}"#, attachments.len()).as_bytes());
        attachments.push(bytes);
        end = start + length + END.len();
    }
    text.extend_from_slice(&json[end..]);
    (!attachments.is_empty()).then_some((text, attachments))
}

/// Appends the name as the beginning of an event's JSON, with `rest` as its arguments: elements with commas between.
pub fn write_named(name: &str, rest: &[u8], out: &mut Vec<u8>) {
    out.push(b'[');
    write_string(name, out);
    if !rest.is_empty() {
        out.push(b',');
        out.extend_from_slice(rest);
    }
    out.push(b']');
}
