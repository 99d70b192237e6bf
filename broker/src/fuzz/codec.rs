//! What clients say, once it is told apart.

use serde_json::Value;

use crate::codec::{
    centrifuge::{Command, Request, single_line},
    engineio, lines,
    presence::{FromClient, ToClient, unpack},
    socketio::{self, Event, Packet, Partial, emitter},
};

/// The commands of a frame, a line or a datagram.
pub(super) fn commands(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let kinds = |text: &str| -> Vec<Option<_>> {
        Command::read_all(text).map(|command| command.ok().map(|command| command.request.kind())).collect()
    };
    let read = kinds(text);
    // At least two bytes each, and one error at most, behind which nothing is read.
    assert!(read.len() <= bytes.len() / 2 + 1);
    assert!(read.iter().rev().skip(1).all(Option::is_some), "{read:?}");
    // What is right is read, whatever stands behind it.
    let behind = kinds(&format!("{{\"id\":1,\"ping\":{{}}}}\n{text}"));
    assert!(behind[0].is_some());
    assert_eq!(behind[1..], read);
    for command in Command::read_all(text).map_while(Result::ok) {
        let data = match command.request {
            Request::Publish(publish) => publish.data,
            Request::Send(send) => send.data,
            _ => continue,
        };
        let line = single_line(data);
        assert!(!line.contains(['\n', '\r']));
        assert_eq!(value(&line), value(data.get()), "a payload arrives as it was sent");
    }
}

/// A payload as what it means; not every number and depth has a value, but then neither form has.
fn value(json: &str) -> Option<Value> {
    serde_json::from_str(json).ok()
}

/// Lines that are joined to datagrams; the first byte says how large these may be.
pub(super) fn datagrams(bytes: &[u8]) {
    let Some((size, text)) = bytes.split_first() else { return };
    let size = usize::from(*size) + 1;
    let mut joined = Vec::new();
    for datagram in lines::datagrams(text, size) {
        let end = datagram.iter().position(|byte| *byte == b'\n').map_or(datagram.len(), |at| at + 1);
        assert!(!datagram.is_empty());
        assert!(datagram.len() <= size || end == datagram.len(), "several lines in {} bytes", datagram.len());
        joined.extend_from_slice(datagram);
    }
    assert_eq!(joined, text, "nothing is lost");
}

/// Messages of boards, from clients and to them, packed or not.
pub(super) fn boards(bytes: &[u8]) {
    let mut written = Vec::new();
    if let Ok(message) = FromClient::read(bytes) {
        message.write(&mut written);
        assert_eq!(written, bytes, "a message has one form");
    }
    if let Ok(message) = ToClient::read(bytes) {
        written.clear();
        message.write(&mut written);
        assert_eq!(written, bytes, "a message has one form");
    }
    let limit = 64 * 1024;
    if let Ok(unpacked) = unpack(bytes, limit) {
        assert!(unpacked.len() <= limit.max(bytes.len()));
        let _ = ToClient::read(&unpacked);
    }
}

/// Packets of Engine.IO in a body, and the input as frames that become one.
pub(super) fn engineio(bytes: &[u8]) {
    use engineio::Packet;
    assert!(engineio::body_of(bytes).len() <= bytes.len() * 2 + 8);
    let Ok(body) = std::str::from_utf8(bytes) else { return };
    let read: Vec<_> = Packet::read_all(body).collect();
    let size = |packet: &Packet<'_>| match packet {
        Packet::Message(text) | Packet::Ping(text) => text.len(),
        Packet::Binary(bytes) => bytes.len(),
        _ => 0,
    };
    let sizes: usize = read.iter().flatten().map(size).sum();
    assert!(sizes <= body.len(), "nothing is invented");
    let behind = format!("4first\u{1e}{body}");
    let mut behind = Packet::read_all(&behind);
    assert_eq!(behind.next(), Some(Ok(Packet::Message("first"))));
    assert_eq!(behind.collect::<Vec<_>>(), read);
}

/// Packets of Socket.IO: a text, and behind the first line feed what its attachments are, each of a line.
pub(super) fn socketio(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let Some(Ok(text)) = lines.next().map(std::str::from_utf8) else { return };
    if let Some(name) = socketio::name_of(text.as_bytes()) {
        assert!(name.len() <= text.len());
    }
    let _ = socketio::binary::split(text.as_bytes());
    let Ok(packet) = Packet::read(text) else { return };
    if let Ok(event) = Event::read(packet.data) {
        assert!(!socketio::is_reserved(&event.name));
        assert_eq!(socketio::name_of(packet.data.as_bytes()), Some(event.name));
    }
    if packet.attachments == 0 {
        return;
    }
    let mut partial = Partial::begin(&packet);
    for line in lines {
        if partial.add(line.into()) {
            break;
        }
    }
    let Ok(json) = partial.join() else { return };
    assert!(json.len() <= partial.size() * 2 + 16 * packet.attachments + 16);
    if value(&json).is_some() {
        let (_, bytes) = socketio::binary::split(json.as_bytes()).expect("there are bytes in it");
        assert!(bytes.len() >= packet.attachments, "all of them come out");
    }
}

/// What other programs emit through Redis, and what they ask for.
pub(super) fn emitter(bytes: &[u8]) {
    if let Ok(request) = emitter::Request::read(bytes) {
        let rooms = match &request {
            emitter::Request::Order(to, emitter::Order::Join(rooms) | emitter::Order::Leave(rooms)) => {
                to.rooms.len() + to.except.len() + rooms.len()
            }
            emitter::Request::Order(to, emitter::Order::Disconnect(_)) => to.rooms.len() + to.except.len(),
            emitter::Request::Other => 0,
        };
        assert!(rooms <= 3 * emitter::ROOMS && rooms <= bytes.len(), "nothing is invented");
    }
    let Ok(emit) = emitter::Emit::read(bytes) else { return };
    // A byte is the whole of a small number or a control character, and six in JSON at most; bytes have a frame.
    assert!(emit.event.len() <= bytes.len() * 16, "{} of {} bytes", emit.event.len(), bytes.len());
    assert!(emit.to.rooms.len().max(emit.to.except.len()) <= emitter::ROOMS);
    let json = std::str::from_utf8(&emit.event).expect("an event is UTF-8");
    assert!(!json.contains(['\n', '\r']), "an event is one line");
    let event = Event::read(json).expect("an event is read as one");
    assert_eq!(socketio::name_of(json.as_bytes()), Some(event.name));
    assert!(value(json).is_some(), "as deep as others read");
    assert!(emitter::Emit::read(&[bytes, b"\xc0"].concat()).is_err(), "nothing may stand behind it");
}
