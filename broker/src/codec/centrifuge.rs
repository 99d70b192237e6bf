//! The Centrifuge client protocol in JSON: one command, reply or push a line, several lines a frame
//! (<https://centrifugal.dev/docs/transports/client_protocol>).

use serde_json::value::RawValue;

mod command;
mod push;
mod reply;

pub use command::{
    Command, Commands, Connect, History, OfChannel, Publish, Refresh, Request, Rpc, Send, Since, SubRefresh,
    Subscribe,
};
pub use push::{JsonLines, JsonOverWebSocket, write_publication, write_push};
pub use reply::{Reply, write_subscribed};

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
