use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::{
    backplane::Publication,
    codec::{Encoder, Push, engineio::body_of},
    endpoint::Disconnect,
    message::{Channel, ClientId},
};

fn packet<'a>(
    kind: Kind,
    namespace: &'a str,
    id: Option<u64>,
    attachments: usize,
    data: &'a str,
) -> Packet<'a> {
    Packet { kind, namespace, id, attachments, data }
}

#[test]
fn packets_of_the_specification_are_read() {
    for (text, expected) in [
        ("0", packet(Kind::Connect, "/", None, 0, "")),
        (r#"0/admin,{"token":"1"}"#, packet(Kind::Connect, "/admin", None, 0, r#"{"token":"1"}"#)),
        ("1/admin,", packet(Kind::Disconnect, "/admin", None, 0, "")),
        ("1/admin", packet(Kind::Disconnect, "/admin", None, 0, "")),
        (r#"2["foo"]"#, packet(Kind::Event, "/", None, 0, r#"["foo"]"#)),
        (r#"2/admin,12["foo"]"#, packet(Kind::Event, "/admin", Some(12), 0, r#"["foo"]"#)),
        (r#"3/admin,13["bar"]"#, packet(Kind::Ack, "/admin", Some(13), 0, r#"["bar"]"#)),
        (r#"51-["baz",{}]"#, packet(Kind::Event, "/", None, 1, r#"["baz",{}]"#)),
        (r#"52-/admin,7["baz"]"#, packet(Kind::Event, "/admin", Some(7), 2, r#"["baz"]"#)),
        (r#"61-/admin,15["bar"]"#, packet(Kind::Ack, "/admin", Some(15), 1, r#"["bar"]"#)),
    ] {
        assert_eq!(Packet::read(text), Ok(expected), "{text}");
    }
}

#[test]
fn what_clients_do_not_send_is_refused() {
    for text in
        ["", "4", "7", "a", "5", "5-[]", "50-[]", "565-[]", "5999999999999999999999-[]", "51[]", "é", "5x-[]"]
    {
        assert!(Packet::read(text).is_err(), "{text:?}");
    }
    for json in ["", "{}", "[]", "[1]", "[null]", r#"["a""#, r#"["connect"]"#, r#"["\u0063onnect"]"#, "\"a\""]
    {
        assert!(Event::read(json).is_err(), "{json:?}");
    }
}

#[test]
fn the_name_of_an_event_is_found_without_reading_all_of_it() {
    for (json, name) in [
        (r#"["a",1]"#, Some("a")),
        (r#" [ "a b" , {}]"#, Some("a b")),
        (r#"["\u0061"]"#, Some("a")),
        (r#"[1,"a"]"#, None),
        (r#"{"a":1}"#, None),
        ("[]", None),
        ("\"a\"", None),
        (r#"["a"#, None),
    ] {
        assert_eq!(name_of(json.as_bytes()).as_deref(), name, "{json}");
    }
}

fn joined(data: &str, attachments: &[&[u8]]) -> Result<String, Malformed> {
    let text = format!("5{}-{data}", attachments.len());
    let mut partial = Partial::begin(&Packet::read(&text).unwrap());
    for (number, attachment) in attachments.iter().enumerate() {
        assert_eq!(partial.add((*attachment).into()), number + 1 == attachments.len());
    }
    partial.join()
}

#[test]
fn attachments_are_put_where_they_belong() {
    let both = joined(
        r#"["e",{"_placeholder":true,"num":1},{"a":[{ "num": 0, "_placeholder" : true }]}]"#,
        &[b"\x00\x01", b"two"],
    );
    assert_eq!(both.as_deref(), Ok(r#"["e",{"$binary":"dHdv"},{"a":[{"$binary":"AAE="}]}]"#));
}

#[test]
fn texts_that_look_like_a_place_are_left_alone() {
    let json = r#"["_placeholder","{\"_placeholder\":true,\"num\":0}",{"_placeholder":true,"num":0}]"#;
    let expected = r#"["_placeholder","{\"_placeholder\":true,\"num\":0}",{"$binary":"eA=="}]"#;
    assert_eq!(joined(json, &[b"x"]).as_deref(), Ok(expected));
}

#[test]
fn attachments_that_do_not_fit_are_refused() {
    for json in [
        r#"["e"]"#,
        r#"["e",{"_placeholder":true,"num":1}]"#,
        r#"["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]"#,
        r#"["e",{"_placeholder":true,"num":-1}]"#,
        r#"["e",{"_placeholder":false,"num":0}]"#,
    ] {
        assert!(joined(json, &[b"x"]).is_err(), "{json}");
    }
}

fn sent(namespace: &str, data: &str) -> String {
    let (channel, mut frames) = (Channel::trusted("admin:room"), Vec::new());
    let publication = Publication { info: b"", tags: b"", data: data.as_bytes() };
    Events::of(namespace, "admin:", "message", &[])
        .encode(&Push::Publication(&channel, publication, None), &mut frames);
    String::from_utf8(body_of(&frames)).unwrap()
}

#[test]
fn events_go_as_they_are_and_other_data_as_a_message() {
    for (data, packet) in [
        (r#"["news",{"a": 1.0}]"#, r#"42["news",{"a": 1.0}]"#),
        (r#"{"a":1}"#, r#"42["message",{"a":1}]"#),
        ("[1,2]", r#"42["message",[1,2]]"#),
        ("null", r#"42["message",null]"#),
        // A client's library would take this for its own.
        (r#"["disconnect"]"#, r#"42["message",["disconnect"]]"#),
        (r#"["img",{"$binary":"AQI="}]"#, "451-[\"img\",{\"_placeholder\":true,\"num\":0}]\u{1e}bAQI="),
        (r#"["img",{"$binary":"?"}]"#, r#"42["img",{"$binary":"?"}]"#),
    ] {
        assert_eq!(sent("/", data), packet);
    }
    assert_eq!(sent("/admin", r#"["a"]"#), r#"42/admin,["a"]"#);
}

#[test]
fn the_broker_tells_of_rooms_by_their_names() {
    let channel = Channel::trusted("admin:room");
    let events = Events::of("/admin", "admin:", "message", &[]);
    let told = |push: &Push<'_>| {
        let mut frames = Vec::new();
        events.encode(push, &mut frames);
        String::from_utf8(body_of(&frames)).unwrap()
    };
    let join = Push::Join(&channel, ClientId::generate(), br#"{"user":"ann"}"#);
    assert_eq!(told(&join), r#"42/admin,["joined","room",{"user":"ann"}]"#);
    let why = crate::codec::Unsubscribe::Expired;
    let end = r#"42/admin,["unsubscribed","room",{"code":2501,"reason":"subscription expired"}]"#;
    assert_eq!(told(&Push::Unsubscribe(&channel, why)), end);
}

#[test]
fn what_a_client_is_told_of_itself_is_as_the_specification_says() {
    let mut frames = Vec::new();
    write_connect("/", "abc", &mut frames);
    write_connect("/admin", "abc", &mut frames);
    write_connect_error("/admin", &Disconnect::InvalidToken.into(), &mut frames);
    write_disconnect("/admin", &mut frames);
    write_ack("/admin", 12, b"[\"ok\"]", &mut frames);
    write_event("/", Some(3), b"[\"ask\"]", &mut frames);
    let body = String::from_utf8(body_of(&frames)).unwrap();
    let packets: Vec<_> = body.split('\u{1e}').collect();
    let expected = [
        r#"40{"sid":"abc"}"#,
        r#"40/admin,{"sid":"abc"}"#,
        r#"44/admin,{"message":"invalid token","data":{"code":3500}}"#,
        "41/admin,",
        r#"43/admin,12["ok"]"#,
        r#"423["ask"]"#,
    ];
    assert_eq!(packets, expected);
}

#[test]
fn volatile_events_are_known_by_their_names() {
    let events = Events::of("/", "", "message", &["typing".to_owned()]);
    let channel = Channel::trusted("room");
    let is_volatile = |data: &str| {
        let publication = Publication { info: b"", tags: b"", data: data.as_bytes() };
        events.is_volatile(&Push::Publication(&channel, publication, None))
    };
    assert!(is_volatile(r#"["typing",true]"#));
    assert!(!is_volatile(r#"["news","typing"]"#) && !is_volatile("\"typing\""));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[0-9]?[-0-9/,a\\[\\]\"{}é]{0,20}", other: String) {
        for text in [text, other] {
            if let Ok(packet) = Packet::read(&text) {
                prop_assert!(packet.data.len() + packet.namespace.len() <= text.len() + 1);
                let _ = Event::read(packet.data);
            }
            let _ = (name_of(text.as_bytes()), binary::split(text.as_bytes()));
        }
    }

    #[test]
    fn bytes_come_back_as_they_were_in_their_order(attachments in proptest::collection::vec(any::<Vec<u8>>(), 1..5)) {
        let places: Vec<_> =
            (0..attachments.len()).map(|num| format!(r#"{{"_placeholder":true,"num":{num}}}"#)).collect();
        let text = format!(r#"5{}-["e",{}]"#, attachments.len(), places.join(","));
        let mut partial = Partial::begin(&Packet::read(&text).unwrap());
        attachments.iter().for_each(|attachment| { partial.add(attachment.into()); });
        let json = partial.join().unwrap();
        prop_assert!(serde_json::from_str::<Value>(&json).is_ok());
        let (split, bytes) = binary::split(json.as_bytes()).unwrap();
        prop_assert_eq!(String::from_utf8(split).unwrap(), format!(r#"["e",{}]"#, places.join(",")));
        prop_assert_eq!(bytes, attachments);
    }
}
