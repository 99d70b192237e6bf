//! The parts of the load generator that could be wrong without anybody noticing: its protocols.
//!
//! A program with its own `main`, as a benchmark is, has no test harness, so these tests are a target beside it.

use switchboard::codec::presence::{Event, FromClient, Origin, ToClient, What};

use crate::board::{Movement, Screens};
use crate::message::{Stamp, number};
use crate::wire::{Garbled, Said, Wire, boards, excerpt, socketio, websocket};

mod board;
mod document;
mod message;
mod wire;

const STAMP: Stamp = Stamp { sequence: 7, time: 123_456_789 };

/// What is heard when `bytes` come in two pieces, cut at every place.
fn hear_cut(wire: Wire, bytes: &[u8]) -> Vec<String> {
    let whole = hear(wire, &[bytes]);
    for cut in 1..bytes.len() {
        assert_eq!(hear(wire, &[&bytes[..cut], &bytes[cut..]]), whole, "cut at {cut}");
    }
    whole
}

fn hear(wire: Wire, pieces: &[&[u8]]) -> Vec<String> {
    let mut heard = Vec::new();
    let mut input = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        let used = wire.read(&input, false, |said| heard.push(format!("{said:?}"))).unwrap();
        input.drain(..used);
    }
    assert!(input.is_empty(), "not read: {:?}", excerpt(&input));
    heard
}

fn from_server(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match text.len() {
        length @ 0..=125 => frame.push(length as u8),
        length => {
            frame.push(126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(text.as_bytes());
    frame
}

fn said(said: &Said<'_>) -> String {
    format!("{said:?}")
}

#[test]
fn a_message_is_one_hundred_bytes_of_json_that_is_found_again() {
    let json = STAMP.to_json();
    assert_eq!(json.len(), 100);
    assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
    assert_eq!(Stamp::find(json.as_bytes()), Some(STAMP));
    assert_eq!(Stamp::find(br#"{"seq":12}"#), None);
}

#[test]
fn a_publication_holds_the_stamp_wherever_a_number_stands() {
    let json = STAMP.to_json();
    let mut bytes = Vec::new();
    Wire::Redis.publication("c").write(STAMP, &mut bytes);
    assert_eq!(bytes, format!("*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$100\r\n{json}\r\n").as_bytes());

    bytes.clear();
    Wire::WebSocket.publication("c").write(STAMP, &mut bytes);
    let command = format!(r#"{{"id":1000000007,"publish":{{"channel":"c","data":{json}}}}}"#);
    assert_eq!(bytes, websocket::frame(command.as_bytes()));
    assert!(serde_json::from_str::<serde_json::Value>(&command).is_ok());

    bytes.clear();
    Wire::SocketIo.publication("c").write(STAMP, &mut bytes);
    let event = format!(r#"421000000007["publish","c","message",{json}]"#);
    assert_eq!(bytes, websocket::frame(event.as_bytes()));
}

#[test]
fn a_frame_of_any_length_has_its_length_and_a_mask_of_zeros() {
    for (length, head) in [
        (125, vec![0x81, 0x80 | 125]),
        (126, vec![0x81, 0x80 | 126, 0, 126]),
        (65_536, vec![0x81, 0x80 | 127, 0, 0, 0, 0, 0, 1, 0, 0]),
    ] {
        let text = vec![b'x'; length];
        let expected = [head, vec![0; 4], text.clone()].concat();
        assert_eq!(websocket::frame(&text), expected, "{length} bytes");
    }
}

#[test]
fn the_first_frame_connects_and_subscribes() {
    let opening = Wire::WebSocket.opening(Some("c"));
    assert!(opening.first.starts_with(b"GET /connection/websocket HTTP/1.1\r\n"));
    let commands = "{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":\"c\"}}";
    assert_eq!(opening.upgraded, websocket::frame(commands.as_bytes()));
    assert_eq!(Wire::Redis.opening(Some("c")).first, Wire::Redis.subscribe("c"));
    assert_eq!(Wire::WebSocket.pong(), websocket::frame(b"{}"));
}

#[test]
fn redis_is_understood_wherever_its_bytes_are_cut() {
    let json = STAMP.to_json();
    let text = format!(
        "+PONG\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n:1\r\n\
         *3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$100\r\n{json}\r\n-ERR no\r\n"
    );
    let expected =
        [Said::Ready, Said::Subscribed, Said::Published, Said::Message(STAMP), Said::Unexpected(b"ERR no")];
    assert_eq!(hear_cut(Wire::Redis, text.as_bytes()), expected.each_ref().map(said));
}

#[test]
fn the_broker_is_understood_wherever_its_bytes_are_cut() {
    let json = STAMP.to_json();
    let refused = r#"{"id":3,"error":{"code":103,"message":"permission denied"}}"#;
    let bytes = [
        from_server("{\"id\":1,\"connect\":{\"client\":\"x\"}}\n{\"id\":2,\"subscribe\":{}}"),
        from_server(r#"{"id":1000000007,"publish":{}}"#),
        from_server(&format!(r#"{{"push":{{"channel":"c","pub":{{"data":{json}}}}}}}"#)),
        from_server("{}"),
        from_server(refused),
        vec![0x88, 2, 0x0b, 0xb9],
    ];
    let expected = [
        Said::Ready,
        Said::Subscribed,
        Said::Published,
        Said::Message(STAMP),
        Said::Ping,
        Said::Unexpected(refused.as_bytes()),
        Said::Closed(&[0x0b, 0xb9]),
    ];
    assert_eq!(hear_cut(Wire::WebSocket, &bytes.concat()), expected.each_ref().map(said));
}

#[test]
fn socket_io_is_understood_wherever_its_bytes_are_cut() {
    let json = STAMP.to_json();
    let bytes = [
        from_server(
            r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#,
        ),
        from_server(r#"40{"sid":"y"}"#),
        from_server("430[]"),
        from_server("431000000007[]"),
        from_server(&format!(r#"42["message",{json}]"#)),
        from_server("2"),
        from_server(r#"431000000008[{"error":"no"}]"#),
        from_server(r#"44{"message":"no"}"#),
    ];
    let expected = [
        Said::Ready,
        Said::Subscribed,
        Said::Published,
        Said::Message(STAMP),
        Said::Ping,
        Said::Unexpected(br#"431000000008[{"error":"no"}]"#),
        Said::Unexpected(br#"44{"message":"no"}"#),
    ];
    assert_eq!(hear_cut(Wire::SocketIo, &bytes.concat()), expected.each_ref().map(said));
    let opening = Wire::SocketIo.opening(Some("c"));
    assert_eq!(opening.upgraded, websocket::frame(b"40"));
    assert_eq!(opening.ready, websocket::frame(br#"420["join","c"]"#));
}

#[test]
fn only_a_proper_answer_opens_a_websocket() {
    let answer =
        b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    let mut heard = Vec::new();
    let mut read = |input: &[u8]| Wire::WebSocket.read(input, true, |what| heard.push(said(&what)));
    assert_eq!(read(&answer[..40]), Ok(0));
    assert_eq!(read(answer), Ok(answer.len()));
    let refused: Result<usize, Garbled> = read(b"HTTP/1.1 403 Forbidden\r\n\r\n");
    assert!(refused.unwrap_err().to_string().contains("403"));
    assert_eq!(heard, [said(&Said::Upgraded)]);
}

#[test]
fn bytes_of_another_protocol_are_refused() {
    let others = [
        (Wire::Redis, &b"hello\r\n"[..]),
        (Wire::WebSocket, &[0x82, 1, 0][..]),
        (Wire::Boards, &[0x81, 1, b'2'][..]),
    ];
    for (wire, bytes) in others {
        assert!(wire.read(bytes, false, |_| {}).is_err(), "{wire:?}");
    }
    assert_eq!(number(b"x"), None);
}

/// What members of one instance have done, as all are told.
fn news(origin: u64, movements: &[Movement]) -> Vec<u8> {
    let event = |movement: &Movement| Event { number: 3, what: What::Moved(movement.place()) };
    let mut bytes = Vec::new();
    ToClient::News(Origin::from_number(origin), movements.iter().map(event).collect()).write(&mut bytes);
    bytes
}

fn movement(member: usize, number: usize) -> Movement {
    Movement { member, number }
}

#[test]
fn a_movement_is_known_by_its_place_in_either_protocol() {
    let mut sizes = Vec::new();
    for member in 0..500 {
        for number in (0..6992).step_by(37) {
            let movement = movement(member, number);
            assert_eq!(Movement::to(movement.place()), Some(movement));
            assert_eq!(Movement::of_json(movement.to_json().as_bytes()), Some(movement));
            let mut bytes = Vec::new();
            FromClient::Cursor(Some(movement.place())).write(&mut bytes);
            sizes.push((bytes.len(), movement.to_json().len()));
        }
    }
    sizes.dedup();
    assert_eq!(sizes, [(5, 60)]);
    assert_eq!(Movement::of_json(br#"{"user":"member-0001","x":10000,"y":10000}"#), None);
    assert!(serde_json::from_str::<serde_json::Value>(&movement(1, 2).to_json()).is_ok());
}

#[test]
fn boards_are_understood_wherever_their_bytes_are_cut() {
    let news = news(1, &[movement(1, 2)]);
    let frame = |message: &[u8]| [&[0x82, message.len() as u8], message].concat();
    let bytes =
        [frame(&[0x81, 1]), frame(&news), frame(&[0x89]), frame(&[0x87, 103]), vec![0x88, 2, 0x0b, 0xb9]];
    let expected = [
        Said::Told(&[0x81, 1]),
        Said::Told(&news),
        Said::Ping,
        Said::Unexpected(&[0x87, 103]),
        Said::Closed(&[0x0b, 0xb9]),
    ];
    assert_eq!(hear_cut(Wire::Boards, &bytes.concat()), expected.each_ref().map(said));
    let heartbeat = websocket::frame_of(websocket::BINARY, &[5]);
    assert_eq!((Wire::Boards.pong(), boards::pong()), (heartbeat.clone(), heartbeat));
    let opening = Wire::Boards.opening(Some("plan"));
    assert!(opening.first.starts_with(b"GET /presence HTTP/1.1\r\n"));
    assert_eq!(opening.upgraded, boards::join("plan"));
    let place = movement(1, 2).place();
    let mut moved = Vec::new();
    FromClient::Cursor(Some(place)).write(&mut moved);
    assert_eq!(boards::moved(place), websocket::frame_of(websocket::BINARY, &moved));
}

#[test]
fn cursors_in_rooms_are_understood() {
    let json = movement(1, 2).to_json();
    let told = format!("{json}]");
    let bytes = from_server(&format!(r#"42["cursor",{json}]"#));
    assert_eq!(hear_cut(Wire::SocketIo, &bytes), [said(&Said::Told(told.as_bytes()))]);
    assert_eq!(Movement::of_json(told.as_bytes()), Some(movement(1, 2)));
    let event = format!(r#"42["cursor","plan",{json}]"#);
    assert_eq!(socketio::moved("plan", &json), websocket::frame(event.as_bytes()));
}

#[test]
fn news_are_shown_to_each_member_of_an_instance() {
    let mut screens = Screens::new(5);
    let (first, second) = ([movement(0, 0), movement(2, 0)], [movement(0, 2)]);
    let away = [movement(1, 0)];
    for member in [0, 2, 4, 1, 3] {
        assert_eq!(screens.show(member, &news(1, &first)), first, "{member}");
        assert_eq!(screens.show(member, &[0x84, 0]), [], "{member}");
        assert_eq!(screens.show(member, &news(2, &away)), away, "{member}");
        let both = !matches!(member, 0 | 2 | 4);
        assert_eq!(screens.have_shown(movement(1, 0)), both, "{member}");
        assert_eq!(screens.show(member, &news(1, &second)), second, "{member}");
    }
    assert!(screens.have_shown(movement(0, 2)) && !screens.have_shown(movement(0, 3)));
    assert_eq!((screens.lost, screens.misordered), (0, 0));
}

#[test]
fn what_a_member_is_not_told_is_counted() {
    let mut screens = Screens::new(4);
    for number in 0..3 {
        screens.show(0, &news(1, &[movement(0, number)]));
    }
    screens.show(2, &news(1, &[movement(0, 0)]));
    screens.show(2, &news(1, &[movement(0, 2)]));
    assert!(screens.lost > 0);
    assert!(screens.misordered > 0, "to be told something late is to be told it out of order");
    // Each member of a room is told by itself.
    let mut screens = Screens::new(4);
    for (member, number) in [(0, 1), (1, 0), (2, 1), (0, 0)] {
        screens.show(member, movement(3, number).to_json().as_bytes());
    }
    assert_eq!((screens.lost, screens.misordered), (0, 1));
}

#[test]
fn a_table_of_a_page_is_written_anew_in_its_place() {
    let table = document::table(["case", "figure", "broker"], &[["a", "b", "1"].map(str::to_owned)]);
    assert_eq!(table, "| case | figure | broker |\n| --- | --- | ---: |\n| a | b | 1 |\n");
    let page =
        "before\n<!-- measured: one -->\nold\n<!-- end -->\nbetween\n<!-- measured: two -->\n<!-- end -->\n";
    let once = document::replace(page, "one", "new\n").unwrap();
    assert_eq!(once, page.replace("old", "\nnew\n"));
    assert_eq!(document::replace(&once, "one", "new\n").as_deref(), Some(once.as_str()));
    assert_eq!(document::replace(page, "three", "new\n"), None);
}
