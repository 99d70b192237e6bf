//! What the server sends by itself, and how it is framed.

use std::io::Write;

use super::write_string;
use crate::{
    backplane::{Position, Publication},
    codec::{Encoder, Framer, Push, lines, websocket},
    endpoint::Farewell,
    message::Channel,
};

/// JSON in text frames of a WebSocket.
pub struct JsonOverWebSocket;

impl Encoder for JsonOverWebSocket {
    fn encode(&self, push: &Push<'_>, out: &mut Vec<u8>) {
        websocket::write_text(out, |out| write_push(push, out));
    }
}

impl Framer for JsonOverWebSocket {
    fn frame(&self, out: &mut Vec<u8>, write: &mut dyn FnMut(&mut Vec<u8>)) {
        websocket::write_text(out, write);
    }

    fn end(&self, farewell: &Farewell, out: &mut Vec<u8>) {
        websocket::write_close(farewell, out);
    }
}

/// JSON in lines of text: on streams, and joined in datagrams.
pub struct JsonLines;

impl Encoder for JsonLines {
    fn encode(&self, push: &Push<'_>, out: &mut Vec<u8>) {
        lines::write_line(out, |out| write_push(push, out));
    }
}

impl Framer for JsonLines {
    fn frame(&self, out: &mut Vec<u8>, write: &mut dyn FnMut(&mut Vec<u8>)) {
        lines::write_line(out, write);
    }

    fn end(&self, farewell: &Farewell, out: &mut Vec<u8>) {
        lines::write_line(out, |out| {
            write_end(r#"{"push":{"disconnect":"#, farewell.code.into(), &farewell.reason, out);
        });
    }
}

/// Appends a push as JSON.
pub fn write_push(push: &Push<'_>, out: &mut Vec<u8>) {
    let start = |channel: &Channel, out: &mut Vec<u8>| {
        out.extend_from_slice(br#"{"push":{"channel":"#);
        write_string(channel.as_str(), out);
    };
    match push {
        Push::Publication(channel, publication, offset) => {
            start(channel, out);
            out.extend_from_slice(br#","pub":"#);
            write_publication(publication, *offset, out);
            out.extend_from_slice(b"}}");
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
        // Only encoders that show boards are given it.
        Push::Board(_) => {}
        Push::Message(message) => {
            out.extend_from_slice(br#"{"push":{"message":{"data":"#);
            out.extend_from_slice(message.data);
            out.extend_from_slice(b"}}}");
        }
        Push::Subscribe(channel, position) => {
            start(channel, out);
            out.extend_from_slice(br#","subscribe":{"#);
            if let Some(Position { offset, epoch }) = position {
                let _ = write!(out, r#""positioned":true,"epoch":"{epoch}","offset":{offset}"#);
            }
            out.extend_from_slice(b"}}}");
        }
        Push::Unsubscribe(channel, why) => {
            start(channel, out);
            write_end(r#","unsubscribe":"#, why.code().into(), why.reason(), out);
        }
    }
}

/// Appends a publication as JSON, with its number in the channel's stream if it has one.
pub fn write_publication(publication: &Publication<'_>, offset: Option<u64>, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"data":"#);
    out.extend_from_slice(publication.data);
    for (key, json) in [(&br#","info":"#[..], publication.info), (br#","tags":"#, publication.tags)] {
        if !json.is_empty() {
            out.extend_from_slice(key);
            out.extend_from_slice(json);
        }
    }
    if let Some(offset) = offset {
        // Writing into memory cannot fail.
        let _ = write!(out, r#","offset":{offset}"#);
    }
    out.push(b'}');
}

/// Appends the start of a push, why something ends, and the end of the push.
fn write_end(start: &str, code: u32, reason: &str, out: &mut Vec<u8>) {
    // Writing into memory cannot fail.
    let _ = write!(out, r#"{start}{{"code":{code},"reason":"#);
    write_string(reason, out);
    out.extend_from_slice(b"}}}");
}
