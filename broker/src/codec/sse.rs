//! The unidirectional form of the Centrifuge protocol, as events of a stream: one push an event, as its data
//! (<https://centrifugal.dev/docs/transports/uni_client_protocol>,
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use std::io::Write;

use super::{
    Encoder, Push,
    centrifuge::{write_push, write_string, write_subscribed},
};
use crate::{channel::Arrival, endpoint::Farewell, hooks::Refusal, message::ClientId};

/// The push that says nothing but that the server is there.
pub const PING: &[u8] = b"data: {}\n\n";

/// Pushes as events.
pub struct JsonAsEvents;

impl Encoder for JsonAsEvents {
    fn encode(&self, push: &Push<'_>, out: &mut Vec<u8>) {
        const START: &[u8] = b"data: ";
        // Among replies a push is `{"push":…}`; here there is nothing else, so that it stands alone.
        const WRAPPED: &[u8] = br#"{"push":"#;
        let start = out.len();
        write_push(push, out);
        out.splice(start..start + WRAPPED.len(), START.iter().copied());
        out.pop();
        out.extend_from_slice(b"\n\n");
    }
}

/// What the first event tells a client that was let in.
pub struct Connect<'a> {
    /// Its identity.
    pub client: ClientId,
    /// The instance that it is connected to.
    pub node: &'a str,
    /// Seconds between pings.
    pub ping: u64,
    /// What became of each channel that it asked for.
    pub channels: &'a [(String, Subscribed)],
}

/// What became of a channel that a client asked for; with where it stands in the channel's stream, if it has history.
pub type Subscribed = Result<Option<Box<Arrival>>, Refusal>;

/// Appends the first event. `retry` is how many milliseconds the client is to wait before it comes back, should the
/// connection break.
pub fn write_connect(connect: &Connect<'_>, retry: u32, out: &mut Vec<u8>) {
    // Writing into memory cannot fail.
    let _ = try_write_connect(connect, retry, out);
}

fn try_write_connect(connect: &Connect<'_>, retry: u32, out: &mut Vec<u8>) -> std::io::Result<()> {
    let (client, version) = (connect.client, env!("CARGO_PKG_VERSION"));
    write!(out, "retry: {retry}\ndata: ")?;
    write!(out, r#"{{"connect":{{"client":"{client}","version":"{version}","subs":{{"#)?;
    let subscribed =
        connect.channels.iter().filter_map(|(channel, outcome)| Some((channel, outcome.as_ref().ok()?)));
    for (index, (channel, arrival)) in subscribed.enumerate() {
        comma(index, out);
        write_string(channel, out);
        out.push(b':');
        write_subscribed(None, arrival.as_deref().unwrap_or(&Arrival::Unpositioned), out);
    }
    let ping = connect.ping;
    write!(out, r#"}},"ping":{ping},"node":"#)?;
    write_string(connect.node, out);
    let refused =
        connect.channels.iter().filter_map(|(channel, outcome)| Some((channel, outcome.as_ref().err()?)));
    for (index, (channel, refusal)) in refused.clone().enumerate() {
        match index {
            0 => out.extend_from_slice(br#","refused":{"#),
            _ => comma(index, out),
        }
        write_string(channel, out);
        write!(out, r#":{{"code":{},"message":"#, refusal.code)?;
        write_string(&refusal.message, out);
        out.push(b'}');
    }
    if refused.count() > 0 {
        out.push(b'}');
    }
    out.extend_from_slice(b"}}\n\n");
    Ok(())
}

fn comma(index: usize, out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
}

/// Appends the last event: why the connection ends, and how many milliseconds later the client is to come back.
pub fn write_disconnect(farewell: &Farewell, retry: u32, out: &mut Vec<u8>) {
    let code = farewell.code;
    // Writing into memory cannot fail.
    let _ = writeln!(out, "retry: {retry}");
    let _ = write!(out, "data: {{\"disconnect\":{{\"code\":{code},\"reason\":");
    write_string(&farewell.reason, out);
    out.extend_from_slice(b"}}\n\n");
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        backplane::Publication,
        endpoint::{Disconnect, ErrorCode},
        message::Channel,
    };

    /// The data of the only event in `bytes`, and its time to come back.
    fn event(bytes: &[u8]) -> (Value, Option<u32>) {
        let text = std::str::from_utf8(bytes).unwrap();
        let lines = text.strip_suffix("\n\n").expect("an empty line ends an event").lines();
        let (mut data, mut retry) = (Value::Null, None);
        for line in lines {
            match line.split_once(": ").unwrap() {
                ("data", json) => data = serde_json::from_str(json).unwrap(),
                ("retry", time) => retry = Some(time.parse().unwrap()),
                other => panic!("{other:?}"),
            }
        }
        (data, retry)
    }

    #[test]
    fn a_push_stands_alone() {
        let channel = Channel::trusted("news");
        let publication = Publication { data: br#"{"n":[1]}"#, info: br#"{"user":"a"}"#, tags: b"" };
        for (push, expected) in [
            (
                Push::Publication(&channel, publication, None),
                json!({"channel": "news", "pub": {"data": {"n": [1]}, "info": {"user": "a"}}}),
            ),
            (
                Push::Join(&channel, ClientId::generate(), br#"{"user":"b"}"#),
                json!({"channel": "news", "join": {"info": {"user": "b"}}}),
            ),
            (Push::Message(publication), json!({"message": {"data": {"n": [1]}}})),
        ] {
            let mut out = Vec::new();
            JsonAsEvents.encode(&push, &mut out);
            assert_eq!(event(&out), (expected, None));
            // Behind others in the same buffer too.
            let alone = out.clone();
            JsonAsEvents.encode(&push, &mut out);
            assert_eq!(out, [alone.as_slice(), &alone].concat());
        }
        assert_eq!(event(PING), (json!({}), None));
    }

    #[test]
    fn the_first_event_tells_what_became_of_each_channel() {
        let client = ClientId::generate();
        let connect = |channels: &[(&str, Result<(), ErrorCode>)]| {
            let outcome = |outcome: &Result<(), ErrorCode>| outcome.map(|()| None).map_err(Refusal::from);
            let channels: Vec<_> =
                channels.iter().map(|(channel, told)| (channel.to_string(), outcome(told))).collect();
            let mut out = Vec::new();
            let connect = Connect { client, node: "chat-0", ping: 25, channels: &channels };
            write_connect(&connect, 1500, &mut out);
            let (mut data, retry) = event(&out);
            assert_eq!(retry, Some(1500));
            assert_eq!(data["connect"]["client"], client.to_string());
            assert_eq!(data["connect"]["node"], "chat-0");
            assert_eq!(data["connect"]["ping"], 25);
            (data["connect"]["subs"].take(), data["connect"]["refused"].take())
        };
        assert_eq!(connect(&[]), (json!({}), Value::Null));
        assert_eq!(connect(&[("a", Ok(())), ("b\"", Ok(()))]), (json!({"a": {}, "b\"": {}}), Value::Null));
        let denied = Err(ErrorCode::PermissionDenied);
        assert_eq!(
            connect(&[("x", denied), ("a", Ok(())), ("y", Err(ErrorCode::UnknownChannel))]),
            (
                json!({"a": {}}),
                json!({
                    "x": {"code": 103, "message": "permission denied"},
                    "y": {"code": 102, "message": "unknown channel"},
                })
            )
        );
    }

    #[test]
    fn the_last_event_says_why_and_when_to_come_back() {
        let mut out = Vec::new();
        write_disconnect(&Disconnect::Shutdown.into(), 2000, &mut out);
        assert_eq!(event(&out), (json!({"disconnect": {"code": 3001, "reason": "shutdown"}}), Some(2000)));
    }
}
