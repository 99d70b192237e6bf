//! What clients say, once it is told apart.

use serde_json::Value;

use crate::codec::{
    centrifuge::{Command, Request, single_line},
    lines,
    presence::{FromClient, ToClient, unpack},
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
