//! What the server sends: frames of a WebSocket with packets in them, also for clients that get them by requests.

use std::collections::HashSet;

use tungstenite::protocol::frame::coding::{Data, OpCode};

use super::{MAIN, binary, is_reserved, name_of};
use crate::{
    codec::{
        Encoder, Push,
        centrifuge::write_string,
        websocket::{write_frame, write_text},
    },
    endpoint::Farewell,
    message::Channel,
};

/// Pushes as events of one namespace.
pub struct Events {
    namespace: String,
    /// What the channels of the namespace begin with.
    prefix: String,
    /// The name of the event that data becomes which is none.
    message: String,
    /// Events that are dropped when a client does not keep up.
    volatile: HashSet<String>,
}

impl Events {
    /// Those of this namespace, whose channels begin with `prefix`. What is no event becomes one of the name `message`;
    /// clients that do not keep up do without those that are `volatile`.
    pub fn of(namespace: &str, prefix: &str, message: &str, volatile: &[String]) -> Self {
        let volatile = volatile.iter().cloned().collect();
        Self {
            namespace: namespace.to_owned(),
            prefix: prefix.to_owned(),
            message: message.to_owned(),
            volatile,
        }
    }

    /// Data that was published, as an event.
    fn data(&self, data: &[u8], out: &mut Vec<u8>) {
        match name_of(data) {
            Some(name) if !is_reserved(&name) => write_event(&self.namespace, None, data, out),
            _ => {
                let mut event = Vec::with_capacity(data.len() + self.message.len() + 8);
                binary::write_named(&self.message, data, &mut event);
                write_event(&self.namespace, None, &event, out);
            }
        }
    }

    /// An event that the broker itself has for the clients of a room.
    fn of_room(&self, name: &str, channel: &Channel, more: &[u8], out: &mut Vec<u8>) {
        let room = channel.as_str();
        let mut args = Vec::with_capacity(room.len() + more.len() + 8);
        write_string(room.strip_prefix(&self.prefix).unwrap_or(room), &mut args);
        args.extend_from_slice(more);
        let mut event = Vec::with_capacity(args.len() + name.len() + 8);
        binary::write_named(name, &args, &mut event);
        write_event(&self.namespace, None, &event, out);
    }
}

impl Encoder for Events {
    fn encode(&self, push: &Push<'_>, out: &mut Vec<u8>) {
        match push {
            Push::Publication(_, publication, _) | Push::Message(publication) => {
                self.data(publication.data, out)
            }
            Push::Join(channel, _, info) => self.of_room("joined", channel, &[b",", *info].concat(), out),
            Push::Leave(channel, _, info) => self.of_room("left", channel, &[b",", *info].concat(), out),
            // Never given to it: see `Encoder::shows_boards`.
            Push::Board(_) => {}
            Push::Subscribe(channel, _) => self.of_room("subscribed", channel, b"", out),
            Push::Unsubscribe(channel, why) => {
                let mut more = format!(",{{\"code\":{},\"reason\":", why.code()).into_bytes();
                write_string(why.reason(), &mut more);
                more.push(b'}');
                self.of_room("unsubscribed", channel, &more, out);
            }
        }
    }

    fn namespace(&self) -> Option<&str> {
        Some(&self.namespace)
    }

    fn is_volatile(&self, push: &Push<'_>) -> bool {
        match push {
            Push::Publication(_, publication, _) | Push::Message(publication)
                if !self.volatile.is_empty() =>
            {
                name_of(publication.data).is_some_and(|name| self.volatile.contains(&*name))
            }
            _ => false,
        }
    }
}

/// Appends an event, whose JSON this is; the client answers with the number, if there is one.
pub fn write_event(namespace: &str, id: Option<u64>, json: &[u8], out: &mut Vec<u8>) {
    write_data(["42", "45"], namespace, id, json, out);
}

/// Appends the answer to the client's event of this number: a JSON array.
pub fn write_ack(namespace: &str, id: u64, json: &[u8], out: &mut Vec<u8>) {
    write_data(["43", "46"], namespace, Some(id), json, out);
}

fn write_data(
    [plain, with_bytes]: [&str; 2],
    namespace: &str,
    id: Option<u64>,
    json: &[u8],
    out: &mut Vec<u8>,
) {
    let write = |start: &str, json: &[u8], out: &mut Vec<u8>| {
        write_text(out, |out| {
            write_start(start, namespace, out);
            if let Some(id) = id {
                out.extend_from_slice(id.to_string().as_bytes());
            }
            out.extend_from_slice(json);
        });
    };
    match binary::split(json) {
        None => write(plain, json, out),
        Some((json, attachments)) => {
            write(&format!("{with_bytes}{}-", attachments.len()), &json, out);
            for attachment in &attachments {
                let binary = OpCode::Data(Data::Binary);
                write_frame(binary, out, |out| out.extend_from_slice(attachment));
            }
        }
    }
}

/// Appends what says that the client is in the namespace, as the client that this is the identity of.
pub fn write_connect(namespace: &str, client: &str, out: &mut Vec<u8>) {
    write_text(out, |out| {
        write_start("40", namespace, out);
        out.extend_from_slice(br#"{"sid":"#);
        write_string(client, out);
        out.push(b'}');
    });
}

/// Appends what says that the client is not let into the namespace, and why.
pub fn write_connect_error(namespace: &str, why: &Farewell, out: &mut Vec<u8>) {
    write_text(out, |out| {
        write_start("44", namespace, out);
        out.extend_from_slice(br#"{"message":"#);
        write_string(&why.reason, out);
        out.extend_from_slice(format!(r#","data":{{"code":{}}}}}"#, why.code).as_bytes());
    });
}

/// Appends what says that the client is in the namespace no more, and is not to come back by itself.
pub fn write_disconnect(namespace: &str, out: &mut Vec<u8>) {
    write_text(out, |out| write_start("41", namespace, out));
}

/// The types of both protocols, and the namespace.
fn write_start(start: &str, namespace: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(start.as_bytes());
    if namespace != MAIN {
        out.extend_from_slice(namespace.as_bytes());
        out.push(b',');
    }
}
