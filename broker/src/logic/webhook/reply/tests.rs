use smallvec::smallvec;

use super::*;
use crate::config;

fn channels() -> Channels {
    Channels { longest: 10, namespaces: Namespaces::new(&config::Channels::default()) }
}

fn replies(body: &str, count: usize) -> Vec<Reply> {
    read(body.as_bytes(), count, &channels()).unwrap()
}

fn one(body: &str) -> Reply {
    replies(body, 1).remove(0)
}

fn done(outcome: Outcome) -> Reply {
    Reply { outcome, actions: Vec::new(), wrong: Vec::new() }
}

#[test]
fn an_answer_is_one_reply_for_each_message_in_order() {
    let answer = Ok(Some(Bytes::from_static(b"{ \"a\": 1.50 }")));
    assert_eq!(one("{\"data\":{ \"a\":\n1.50 }}").outcome, Ok(Some(Bytes::from_static(b"{ \"a\": 1.50 }"))));
    assert_eq!(one(r#"{"replies":[{"data":{ "a": 1.50 }}]}"#).outcome, answer);
    let refused = Err(LogicError::Refused("not you".into()));
    let two = replies(r#"{"replies":[{"reject":"not you","data":1},null],"later":1}"#, 2);
    assert_eq!(two, [done(refused), done(Ok(None))]);
}

#[test]
fn nothing_is_nothing_to_do() {
    for body in
        ["", " \r\n", "{}", "{\"replies\":[{}]}", "{\"replies\":[null]}", "{\"data\":null}", "{\"new\":1}"]
    {
        assert_eq!(one(body), done(Ok(None)), "{body:?}");
    }
    assert_eq!(replies("", 3).len(), 3);
}

#[test]
fn what_is_no_reply_is_refused_as_a_whole() {
    for (body, count) in [
        ("<html>", 1),
        ("[]", 1),
        ("null", 1),
        ("1", 1),
        ("{\"replies\":{}}", 1),
        ("{\"replies\":[]}", 1),
        ("{\"replies\":[{}]}", 2),
        ("{}", 2),
        ("{\"data\":1", 1),
    ] {
        assert!(read(body.as_bytes(), count, &channels()).is_err(), "{body}");
    }
    assert!(read(b"\xff", 1, &channels()).is_err());
}

#[test]
fn a_reply_that_is_wrong_leaves_the_others_as_they_are() {
    let read = replies(r#"{"replies":[{"reject":1},"no",{"data":2}]}"#, 3);
    for wrong in &read[..2] {
        assert!(matches!(wrong.outcome, Err(LogicError::Failed(_))), "{wrong:?}");
    }
    assert_eq!(read[2], done(Ok(Some(Bytes::from_static(b"2")))));
}

#[test]
fn actions_are_notes_then_messages_then_ends() {
    let id = ClientId::generate();
    let body = format!(
        r#"{{"disconnect":[{{"client":"{id}"}},{{"user":"ann","reconnect":true}},
        {{"client":"{id}","connection":true}}],
        "broadcast":[{{"channels":["b","c"],"data":3}}],
        "publish":[{{"channel":"a","data":2,"metadata":{{"k":"v"}},"except":{{"clients":["{id}"],"channels":["d"]}}}}],
        "send":[{{"clients":["{id}"],"everyone":true,"logic":["clock"],"data":1}}],
        "unsubscribe":[{{"in":"e","channel":"f"}}],
        "subscribe":[{{"client":"{id}","channel":"e"}}],
        "note":[{{"client":"{id}","metadata":{{"level":"3"}}}}]}}"#
    );
    let channel = |name| Target::Channel(Channel::trusted(name));
    let name = |name| Channel::trusted(name);
    let send = |targets: Targets, data: &'static [u8], metadata| Action::Send {
        targets,
        except: (data == b"2").then(|| Except { clients: vec![id], channels: vec![name("d")] }),
        data: Bytes::from_static(data),
        metadata,
    };
    let text = |key: &str, value: &str| Metadata::from([(key.into(), value.into())]);
    let clock = Target::Logic(LogicName::new("clock"));
    let expected = [
        Action::Note(id, text("level", "3")),
        Action::Change(Who::Client(id), name("e"), Change::Subscribe),
        Action::Change(Who::Channel("e".into()), name("f"), Change::Unsubscribe),
        send(smallvec![Target::Client(id), Target::Everyone, clock], b"1", Metadata::new()),
        send(smallvec![channel("a")], b"2", text("k", "v")),
        send(smallvec![channel("b"), channel("c")], b"3", Metadata::new()),
        Action::Disconnect(Who::Client(id), Disconnect::Forced, Extent::Client),
        Action::Disconnect(Who::User("ann".into()), Disconnect::ForcedReconnect, Extent::Client),
        Action::Disconnect(Who::Client(id), Disconnect::Forced, Extent::Connection),
    ];
    let reply = one(&body);
    assert_eq!(reply.actions, expected);
    assert_eq!(reply.wrong, Vec::<String>::new());
}

#[test]
fn an_action_that_is_wrong_is_named_and_the_others_are_kept() {
    let reply = one(
        r#"{"data":1,"send":[{"data":1},{"everyone":true},{"clients":["x"],"data":1},{"everyone":true,"data":7},
        {"everyone":true,"data":7,"except":{"channels":["none:such"]}}],
        "publish":[{"channel":"","data":1},{"channel":"none:such","data":1},{"channel":"fine","data":8}],
        "broadcast":[{"channels":["a","far-too-long-a-name"],"data":9}],
        "disconnect":[{},{"user":""},{"client":"x"},{"in":"none:such"}],
        "subscribe":[{"channel":"a"},{"in":"a"},{"in":"a","channel":"none:such"},{"in":"a","user":"ann","channel":"a"}],"note":[{"metadata":{}}]}"#,
    );
    assert_eq!(reply.outcome, Ok(Some(Bytes::from_static(b"1"))));
    assert_eq!(reply.actions.len(), 3, "{:?}", reply.actions);
    assert_eq!(reply.wrong.len(), 16, "{:#?}", reply.wrong);
}
