//! Input that ends its connection: the code, the counters, and nobody else notices.

use serde_json::json;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::support::{Broker, Client, Frame, OPEN, eventually, frame, text};

const TEXT: OpCode = OpCode::Data(Data::Text);
const MORE: OpCode = OpCode::Data(Data::Continue);
const PING: OpCode = OpCode::Control(Control::Ping);

/// Bytes, the code of the closing frame, the reason of `disconnects_total`, and that of `rejected_total`.
type Case = (&'static str, Vec<u8>, u16, &'static str, &'static str);

/// A client whose message `bytes` end its connection.
async fn ends(broker: &Broker, mut client: Client, case: &Case) {
    let (name, bytes, code, reason, rejection) = case;
    let (ended, rejected) = (broker.ended(reason).await, broker.rejected(rejection).await);
    client.send_bytes(bytes).await;
    assert_eq!(client.end().await, *code, "{name}");
    eventually("it is counted", async || broker.ended(reason).await == ended + 1).await;
    assert_eq!(broker.rejected(rejection).await, rejected + 1, "{name}");
}

/// Runs the cases beside a client that nothing happens to.
async fn run(cases: Vec<Case>, is_connected: bool) {
    let broker = Broker::start(&format!("{OPEN}limits: {{message_size: 1KiB}}\n")).await;
    let mut bystander = broker.connect().await;
    bystander.subscribe("news").await;
    for case in &cases {
        let client = if is_connected { broker.connect().await } else { broker.open().await };
        ends(&broker, client, case).await;
    }
    bystander.publish("news", json!("all is well")).await;
    assert_eq!(bystander.publication("news").await, "all is well");
    assert_eq!(broker.metric("connections", &[("endpoint", "websocket")]).await, 1);
    let ended = broker.metric("disconnects_total", &[("endpoint", "websocket")]).await;
    assert_eq!(ended, cases.len() as u64);
}

fn with_bit(mut bytes: Vec<u8>, bit: u8) -> Vec<u8> {
    bytes[0] |= bit;
    bytes
}

#[tokio::test]
async fn text_that_is_not_the_protocol() {
    let malformed = [
        "hello",
        "{\"id\":1,\"ping\":{}",
        "5",
        "null",
        "{\"id\":\"one\",\"ping\":{}}",
        "{\"id\":-1,\"ping\":{}}",
        "{\"id\":4294967296,\"ping\":{}}",
        "{\"id\":9,\"subscribe\":{}}",
        "{\"id\":9,\"subscribe\":{\"channel\":7}}",
        "{\"id\":9,\"publish\":{\"channel\":\"a\"}}",
        "{\"subscribe\":{\"channel\":\"a\"}}",
        "{\"id\":0,\"publish\":{\"channel\":\"a\",\"data\":1}}",
        "",
        "\n \n",
        "{\"id\":9,\"ping\":{}}\n{\"id\":",
        "{\"id\":9,\"subscribe\":{\"channel\":\"\\ud800\"}}",
    ];
    let cases = malformed.map(|bytes| (bytes, text(bytes), 3501, "bad_request", "malformed"));
    run(cases.to_vec(), true).await;
}

#[tokio::test]
async fn nesting_without_end() {
    let broker = Broker::start(OPEN).await;
    let client = broker.connect().await;
    let deep = ("deep", text(&"[".repeat(60_000)), 3501, "bad_request", "malformed");
    ends(&broker, client, &deep).await;
}

#[tokio::test]
async fn a_second_connect() {
    let again = text("{\"id\":9,\"connect\":{}}");
    run(vec![("again", again, 3501, "bad_request", "already_connected")], true).await;
}

#[tokio::test]
async fn commands_before_connect() {
    let early = [
        "{\"id\":1,\"subscribe\":{\"channel\":\"a\"}}",
        "{\"id\":1,\"publish\":{\"channel\":\"a\",\"data\":1}}",
        "{\"id\":1,\"presence\":{\"channel\":\"a\"}}",
        "{\"id\":1,\"ping\":{}}",
        "{\"id\":1,\"dance\":{}}",
        "{\"send\":{\"data\":1}}",
        "{\"connect\":{}}",
        "{}",
    ];
    let cases = early.map(|bytes| (bytes, text(bytes), 3501, "bad_request", "not_connected"));
    run(cases.to_vec(), false).await;
}

#[tokio::test]
async fn frames_that_break_the_websocket_protocol() {
    let mut unmasked = vec![0x81, 2];
    unmasked.extend_from_slice(b"{}");
    let in_between = [frame(TEXT, false, b"{}"), text("{}")].concat();
    let cases = [
        ("unmasked", unmasked),
        ("first reserved bit", with_bit(text("{}"), 0x40)),
        ("second reserved bit", with_bit(text("{}"), 0x20)),
        ("third reserved bit", with_bit(text("{}"), 0x10)),
        ("reserved kind of data", with_bit(frame(MORE, true, b"{}"), 0x03)),
        ("reserved kind of control", with_bit(frame(OpCode::Control(Control::Close), true, b""), 0x03)),
        ("continues nothing", frame(MORE, true, b"{}")),
        ("begins within a message", in_between),
        ("ping in pieces", frame(PING, false, b"")),
        ("long ping", frame(PING, true, &[0; 126])),
    ];
    let cases = cases.map(|(name, bytes)| (name, bytes, 1002, "protocol_error", "broken_frame"));
    run(cases.to_vec(), true).await;
}

#[tokio::test]
async fn frames_that_are_too_large() {
    // Only the head of a frame: what it announces is enough.
    let mut announced = frame(TEXT, true, &[b' '; 1025]);
    announced.truncate(8);
    let mut enormous = vec![0x81, 0xff];
    enormous.extend_from_slice(&[0xff; 12]);
    let pieces = [frame(TEXT, false, &[b' '; 600]), frame(MORE, false, &[b' '; 600])].concat();
    let cases = [("a byte too many", announced), ("more than there is", enormous), ("in pieces", pieces)];
    let cases = cases.map(|(name, bytes)| (name, bytes, 1009, "message_too_large", "too_large"));
    run(cases.to_vec(), true).await;
}

#[tokio::test]
async fn binary_frames_and_text_that_is_not_utf8() {
    let binary = frame(OpCode::Data(Data::Binary), true, b"{}");
    let cut = [frame(TEXT, false, b"{\"id\":1,\"ping\":{}}\xc3"), frame(MORE, true, b"{}")].concat();
    let cases = vec![
        ("binary", binary, 3506, "inappropriate_protocol", "binary"),
        ("a lone byte", frame(TEXT, true, b"\"\xff\""), 1007, "invalid_data", "malformed"),
        ("half a character", cut, 1007, "invalid_data", "malformed"),
    ];
    run(cases, true).await;
}

#[tokio::test]
async fn a_message_in_pieces_is_one_message() {
    let broker = Broker::start(&format!("{OPEN}limits: {{message_size: 1KiB}}\n")).await;
    let mut client = broker.connect().await;
    client.subscribe("news").await;
    let (start, end) = ("{\"id\":77,\"publish\":{\"channel\":\"news\",\"data\":\"grüße ", "\"}}");
    let padding = "x".repeat(1024 - start.len() - end.len());
    let message = format!("{start}{padding}{end}");
    // One byte at a time, with a ping in the middle, as large as a message may be.
    let mut bytes = Vec::new();
    for (index, byte) in message.bytes().enumerate() {
        let (opcode, is_final) = (if index == 0 { TEXT } else { MORE }, index + 1 == message.len());
        bytes.extend(frame(opcode, is_final, &[byte]));
        if index == 500 {
            bytes.extend(frame(PING, true, b"in between"));
        }
    }
    for chunk in bytes.chunks(997) {
        client.send_bytes(chunk).await;
    }
    assert_eq!(client.frame().await, Frame::Pong(b"in between".to_vec()));
    client.reply(77).await;
    assert_eq!(client.publication("news").await, format!("grüße {padding}"));
}

#[tokio::test]
async fn what_came_before_the_bad_part_is_done() {
    let broker = Broker::start(OPEN).await;
    let (mut client, mut subscriber) = (broker.connect().await, broker.connect().await);
    client.subscribe("news").await;
    subscriber.subscribe("news").await;
    client.send("{\"id\":5,\"publish\":{\"channel\":\"news\",\"data\":1}}\nrubbish").await;
    client.reply(5).await;
    assert_eq!(client.end().await, 3501);
    assert_eq!(subscriber.publication("news").await, 1);
}

#[tokio::test]
async fn a_client_that_says_goodbye_is_answered() {
    let broker = Broker::start(OPEN).await;
    let mut client = broker.connect().await;
    client.send_bytes(&frame(OpCode::Control(Control::Close), true, &1000u16.to_be_bytes())).await;
    client.end().await;
    eventually("it is counted", async || broker.ended("connection_closed").await == 1).await;
}
