use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    backplane::{Kept, Member, Past, Position, Publication, StreamEpoch},
    channel::{Arrival, Recovery},
    codec::{Encoder, Framer, Push, Unsubscribe},
    endpoint::{Disconnect, ErrorCode},
    hooks::Refusal,
    message::{Channel, ClientId, Rejection},
    metrics::Label,
};

fn requests(text: &str) -> Vec<&'static str> {
    Command::read_all(text)
        .map(|command| command.map_or("error", |command| command.request.kind().as_str()))
        .collect()
}

fn push(push: Push<'_>) -> String {
    let mut out = Vec::new();
    write_push(&push, &mut out);
    String::from_utf8(out).unwrap()
}

fn reply(reply: Reply<'_>) -> String {
    let mut out = Vec::new();
    reply.write(7, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn several_commands_stand_in_one_frame() {
    let text = "{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":\"a\"}}\n{}\n";
    assert_eq!(requests(text), ["connect", "subscribe", "pong"]);
}

#[test]
fn rubbish_ends_the_reading_and_an_unknown_command_does_not() {
    assert_eq!(requests("{\"id\":3,\"dance\":{}}{\"id\":4,\"ping\":{}}"), ["unknown", "ping"]);
    assert_eq!(requests("{\"id\":1,\"ping\":{}} nonsense {\"id\":2,\"ping\":{}}"), ["ping", "error"]);
    assert_eq!(requests("{\"id\":-1,\"ping\":{}}"), ["error"]);
    assert_eq!(requests("{\"id\":1,\"publish\":{\"channel\":\"a\"}}"), ["error"], "a publish needs data");
    assert_eq!(requests(&"[".repeat(100_000)), ["error"]);
}

#[test]
fn escaped_names_are_read_and_written() {
    let text = "{\"id\":1,\"subscribe\":{\"channel\":\"a\\\"b\"}}";
    let Request::Subscribe(subscribe) = Command::read_all(text).next().unwrap().unwrap().request else {
        panic!("not a subscribe")
    };
    assert_eq!(subscribe.channel, "a\"b");
    let channel = Channel::trusted(&subscribe.channel);
    let publication = Publication { info: b"", tags: b"", data: b"1" };
    assert_eq!(
        push(Push::Publication(&channel, publication, None)),
        r#"{"push":{"channel":"a\"b","pub":{"data":1}}}"#
    );
}

#[test]
fn pushes_are_those_of_the_protocol() {
    let channel = Channel::trusted("news");
    let client = ClientId::generate();
    let info = br#"{"user":"u","client":"c"}"#;
    let publication = Publication { info, tags: br#"{"a":"b"}"#, data: br#"{"x":1}"# };
    assert_eq!(
        push(Push::Publication(&channel, publication, None)),
        r#"{"push":{"channel":"news","pub":{"data":{"x":1},"info":{"user":"u","client":"c"},"tags":{"a":"b"}}}}"#
    );
    assert_eq!(
        push(Push::Join(&channel, client, info)),
        r#"{"push":{"channel":"news","join":{"info":{"user":"u","client":"c"}}}}"#
    );
    assert_eq!(push(Push::Subscribe(&channel, None)), r#"{"push":{"channel":"news","subscribe":{}}}"#);
    assert_eq!(
        push(Push::Unsubscribe(&channel, Unsubscribe::Server)),
        r#"{"push":{"channel":"news","unsubscribe":{"code":2000,"reason":"server unsubscribe"}}}"#
    );
    assert_eq!(
        push(Push::Unsubscribe(&channel, Unsubscribe::Expired)),
        r#"{"push":{"channel":"news","unsubscribe":{"code":2501,"reason":"subscription expired"}}}"#
    );
}

#[test]
fn lines_end_with_a_line_feed_and_the_last_says_why() {
    let mut out = Vec::new();
    JsonLines.frame(&mut out, &mut |out| Reply::Ping.write(1, out));
    JsonLines.encode(&Push::Unsubscribe(&Channel::trusted("a"), Unsubscribe::Expired), &mut out);
    JsonLines.end(&Disconnect::Shutdown.into(), &mut out);
    let lines: Vec<_> = std::str::from_utf8(&out).unwrap().split_inclusive('\n').collect();
    assert_eq!(lines[0], "{\"id\":1,\"ping\":{}}\n");
    assert!(lines[1].starts_with("{\"push\":{\"channel\":\"a\"") && lines[1].ends_with("}\n"), "{lines:?}");
    assert_eq!(lines[2], "{\"push\":{\"disconnect\":{\"code\":3001,\"reason\":\"shutdown\"}}}\n");
    assert_eq!(lines.len(), 3);
}

#[test]
fn replies_are_those_of_the_protocol() {
    assert_eq!(reply(Reply::Subscribe { ttl: None, arrival: None }), r#"{"id":7,"subscribe":{}}"#);
    assert_eq!(
        reply(Reply::Error(ErrorCode::Internal.into())),
        r#"{"id":7,"error":{"code":100,"message":"internal server error","temporary":true}}"#
    );
    let stopped = Rejection { reason: "test", message: "say \"please\"".into(), is_temporary: false };
    assert_eq!(
        reply(Reply::Error(stopped.into())),
        r#"{"id":7,"error":{"code":107,"message":"say \"please\""}}"#
    );
    assert_eq!(
        reply(Reply::PresenceStats { clients: 2, users: 1 }),
        r#"{"id":7,"presence_stats":{"num_clients":2,"num_users":1}}"#
    );
    let client = ClientId::generate();
    let member = Member { client, info: bytes::Bytes::from_static(b"{\"user\":\"\"}") };
    assert_eq!(
        reply(Reply::Presence(&[member])),
        format!(r#"{{"id":7,"presence":{{"presence":{{"{client}":{{"user":""}}}}}}}}"#)
    );
}

#[test]
fn replies_say_when_tokens_expire() {
    let version = env!("CARGO_PKG_VERSION");
    let connect = |ping, ttl| reply(Reply::Connect { client: "c".into(), node: "chat-0", ping, ttl });
    assert_eq!(
        connect(Some(25), None),
        format!(
            r#"{{"id":7,"connect":{{"client":"c","version":"{version}","ping":25,"pong":true,"node":"chat-0"}}}}"#
        )
    );
    assert_eq!(
        connect(None, Some(60)),
        format!(
            r#"{{"id":7,"connect":{{"client":"c","version":"{version}","expires":true,"ttl":60,"node":"chat-0"}}}}"#
        )
    );
    let refresh = |ttl| reply(Reply::Refresh { client: "c".into(), ttl });
    assert_eq!(
        refresh(Some(60)),
        format!(r#"{{"id":7,"refresh":{{"client":"c","version":"{version}","expires":true,"ttl":60}}}}"#)
    );
    assert_eq!(refresh(None), format!(r#"{{"id":7,"refresh":{{"client":"c","version":"{version}"}}}}"#));
    assert_eq!(
        reply(Reply::Subscribe { ttl: Some(5), arrival: None }),
        r#"{"id":7,"subscribe":{"expires":true,"ttl":5}}"#
    );
    assert_eq!(
        reply(Reply::SubRefresh { ttl: Some(5) }),
        r#"{"id":7,"sub_refresh":{"expires":true,"ttl":5}}"#
    );
    assert_eq!(reply(Reply::SubRefresh { ttl: None }), r#"{"id":7,"sub_refresh":{}}"#);
}

#[test]
fn a_cookie_is_an_error_that_a_short_padded_connect_may_be_answered_with() {
    let cookie = reply(Reply::Cookie("0123456789abcdef"));
    assert_eq!(cookie, r#"{"id":7,"error":{"code":400,"message":"cookie","cookie":"0123456789abcdef"}}"#);
    assert!(cookie.len() < 80, "docs/tcp-udp.md says how long a connect has to be");
}

#[test]
fn a_payload_never_breaks_its_line() {
    let json: &RawValue = serde_json::from_str("{\n \"a\": \"b\\n\"\r\n}").unwrap();
    assert_eq!(single_line(json), "{  \"a\": \"b\\n\"  }");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        for command in Command::read_all(&text).take(300).flatten() {
            let _ = command.request.kind();
        }
    }

    #[test]
    fn any_name_is_written_as_json(name in ".{0,40}") {
        let mut out = Vec::new();
        write_string(&name, &mut out);
        prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), name);
    }
}

#[test]
fn a_command_is_the_same_when_its_text_is_read_again() {
    let texts = [
        r#"{"id":1,"connect":{"token":"t","name":"js","data":{"n": 1.50}}}"#,
        r#"{"id":2,"subscribe":{"channel":"a\"b","token":""}}"#,
        r#"{"publish":{"channel":"a","data":[1, null, {"x":1.0e3}]},"id":3}"#,
        r#"{"send":{"data":"x"}}"#,
        r#"{"id":4,"rpc":{"method":"m"}}"#,
        r#"{"id":5,"ping":{}}"#,
        r#"{"id":2,"subscribe":{"channel":"a","recover":true,"offset":7,"epoch":"0f3c8a51"}}"#,
        r#"{"id":6,"history":{"channel":"a"}}"#,
        r#"{"id":9,"subscribe":null}"#,
        r#"{"id":6,"history":{"channel":"a","limit":-1,"since":{"offset":1,"epoch":"e"},"reverse":true}}"#,
        "{}",
    ];
    let frame = texts.join("\n ");
    let commands: Vec<_> = Command::read_all(&frame).map(Result::unwrap).collect();
    assert_eq!(commands.len(), texts.len());
    for (command, text) in commands.iter().zip(texts) {
        assert_eq!(command.text.trim(), text);
        let again = Command::read(command.text).unwrap();
        assert_eq!(
            (again.id, format!("{:?}", again.request)),
            (command.id, format!("{:?}", command.request))
        );
    }
}

#[test]
fn a_command_asks_for_one_thing() {
    for text in [
        r#"{"id":1,"ping":{},"subscribe":{"channel":"a"}}"#,
        r#"{"id":1,"ping":{},"ping":{}}"#,
        r#"{"id":1,"id":2,"ping":{}}"#,
        "[1]",
        "1",
    ] {
        assert_eq!(requests(text), ["error"], "{text}");
    }
    assert_eq!(requests(r#"{"id":1,"ping":{},"subscribe":null,"later":[{"x":1}]}"#), ["ping"]);
}

#[test]
fn who_enters_a_channel_with_history_is_told_where_it_stands() {
    let position = Position { offset: 7, epoch: StreamEpoch::parse("0f3c8a51").unwrap() };
    let publication = Publication { info: br#"{"user":"a"}"#, tags: b"", data: b"1" };
    let told = |ttl, recoverable, recovery| {
        let arrival = Arrival::At { position, recoverable, recovery };
        let reply = reply(Reply::Subscribe { ttl, arrival: Some(&arrival) });
        let reply: serde_json::Value = serde_json::from_str(&reply).unwrap();
        reply["subscribe"].clone()
    };
    let at = json!({"positioned": true, "epoch": "0f3c8a51", "offset": 7});
    let with = |more: serde_json::Value| {
        let mut all = at.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    assert_eq!(told(None, false, Recovery::NotAsked), at);
    assert_eq!(told(Some(5), false, Recovery::NotAsked), with(json!({"expires": true, "ttl": 5})));
    let lost = json!({"recoverable": true, "was_recovering": true, "recovered": false});
    assert_eq!(told(None, true, Recovery::Lost), with(lost));
    let kept = vec![Kept::new(6, &publication), Kept::new(7, &publication)];
    let publications = [6, 7].map(|offset| json!({"data": 1, "info": {"user": "a"}, "offset": offset}));
    let all =
        json!({"recoverable": true, "was_recovering": true, "recovered": true, "publications": publications});
    assert_eq!(told(None, true, Recovery::Done(kept.clone())), with(all));
    let nowhere = Reply::Subscribe { ttl: None, arrival: Some(&Arrival::Unpositioned) };
    assert_eq!(reply(nowhere), r#"{"id":7,"subscribe":{}}"#);
    let past = reply(Reply::History(&Past { top: position, publications: kept }));
    let past: serde_json::Value = serde_json::from_str(&past).unwrap();
    assert_eq!(past["history"], json!({"publications": publications, "epoch": "0f3c8a51", "offset": 7}));
}

#[test]
fn a_refusal_of_a_hook_is_an_error_in_its_own_words() {
    let refusal = Refusal { code: 1001, message: "not \"you\"".into(), temporary: true };
    assert_eq!(
        reply(Reply::Refused(&refusal)),
        r#"{"id":7,"error":{"code":1001,"message":"not \"you\"","temporary":true}}"#
    );
}
