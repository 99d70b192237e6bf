//! What clients of boards do wrong.

use switchboard::codec::presence::{Colour, FromClient, Join};
use tokio::io::AsyncWriteExt;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::{BOARDS, OPEN, one};
use crate::support::{
    Broker,
    board::{Player, Told, join},
    eventually, frame, text,
    token::{SECRET, token},
};

#[tokio::test]
async fn malformed_messages_are_refused_and_end_the_connection() {
    let broker = one().await;
    for (bytes, words) in [
        (&b""[..], "ends too early"),
        (b"\x00", "unknown kind 0"),
        (b"\x7f", "unknown kind 127"),
        (b"\x02\x02", "behind the end"),
        (b"\x01\x04pl", "ends too early"),
        (b"\x01\xff\xff\xff\xff\x0fplan", "ends too early"),
        (b"\x03\x80\x00\x00", "more bytes than it needs"),
        (b"\x04\xff", "not UTF-8"),
    ] {
        let mut player = Player::on_board(&broker, "plan", "Ann").await;
        player.say_bytes(bytes).await;
        let (code, sentence) = player.error().await;
        assert!(code == 107 && sentence.contains(words), "{bytes:x?}: {code} {sentence}");
        assert_eq!(player.end().await, 3501);
    }
    assert_eq!(broker.rejected("malformed").await, 8);
}

#[tokio::test]
async fn text_and_frames_that_are_too_large_end_the_connection() {
    let broker = Broker::start(&format!("{OPEN}{BOARDS}limits: {{message_size: 1KiB}}\n")).await;
    let mut player = Player::open(&broker).await;
    player.stream.write_all(&text("{}")).await.unwrap();
    assert_eq!(player.end().await, 3506);
    let mut player = Player::open(&broker).await;
    player.say_bytes(&[4; 2000]).await;
    assert_eq!(player.end().await, 1009);
    let mut player = Player::open(&broker).await;
    let begin = frame(OpCode::Data(Data::Binary), false, b"\x04a");
    let ping = frame(OpCode::Control(Control::Close), true, b"");
    player.stream.write_all(&[begin, ping].concat()).await.unwrap();
    assert_eq!(player.end().await, 3000);
    assert_eq!(broker.rejected("too_large").await, 1);
}

#[tokio::test]
async fn names_that_nobody_can_have_are_refused() {
    let broker = one().await;
    let (long, board) = ("x".repeat(10_000), "b".repeat(300));
    let mut player = Player::open(&broker).await;
    for (board, user, name, code) in [
        ("plan", "", "", 107),
        ("plan", "", "a\nb", 107),
        ("plan", "", "\u{202e}\u{7f}", 107),
        ("plan", "", &*long, 107),
        ("plan", "u\0", "Ann", 107),
        ("plan", &*long, "Ann", 107),
        ("", "", "Ann", 107),
        ("a\tb", "", "Ann", 107),
        (&*board, "", "Ann", 107),
    ] {
        let join = Join { board, user, name, colour: Colour::default(), token: "", pass: "" };
        player.say(&FromClient::Join(join)).await;
        assert_eq!(player.error().await.0, code, "{join:?}");
    }
    assert_eq!(broker.rejected("malformed").await + broker.rejected("bad_channel").await, 9);
    player.join("plan", "Änne \u{1f600}").await;
    assert_eq!(player.names(), ["Änne \u{1f600}"]);
}

#[tokio::test]
async fn what_comes_out_of_turn_is_refused_once() {
    let broker = one().await;
    let mut player = Player::open(&broker).await;
    player.say(&FromClient::Leave).await;
    assert_eq!(player.error().await.0, 108);
    for _ in 0..20 {
        player.moves_to(1, 1).await;
    }
    player.say(&join("plan", "Ann")).await;
    assert_eq!(player.next().await, Told::Welcome, "one error is enough");
    assert_eq!(broker.rejected("not_subscribed").await, 21);
    player.say(&join("plan", "Ann")).await;
    assert_eq!(player.error().await.0, 105);
    player.say(&FromClient::Selection(&"s".repeat(1025))).await;
    assert_eq!(player.error().await.0, 107);
    player.moves_to(2, 2).await;
    player.sees_that("Ann", |seen| seen.cursor == Some((2, 2)) && seen.selection.is_empty()).await;
}

#[tokio::test]
async fn a_flood_is_bounded_and_its_last_cursor_gets_through() {
    const FLOOD: i32 = 20_000;
    let broker = one().await;
    let mut player = Player::on_board(&broker, "plan", "Ann").await;
    let mut bytes = Vec::new();
    for x in 0..FLOOD {
        let mut message = Vec::new();
        FromClient::Cursor(Some(switchboard::codec::presence::Point { x, y: x })).write(&mut message);
        bytes.extend(frame(OpCode::Data(Data::Binary), true, &message));
    }
    player.stream.write_all(&bytes).await.unwrap();
    let (code, sentence) = player.error().await;
    assert!(code == 111 && sentence.contains("1000"), "{code} {sentence}");
    while !player.members.values().any(|seen| seen.cursor == Some((FLOOD - 1, FLOOD - 1))) {
        player.next().await;
    }
    assert!(broker.rejected("too_many_requests").await > 1000);
    let told = broker.metric("board_movements_total", &[("outcome", "told")]).await;
    assert!(told < 1000, "{told}");
    player.say(&FromClient::Selection("still there")).await;
    eventually("the next second", async || {
        player.say(&FromClient::Selection("still there")).await;
        tokio::time::timeout(std::time::Duration::from_millis(200), player.next()).await.is_ok()
            && player.members.values().any(|seen| seen.selection == "still there")
    })
    .await;
}

#[tokio::test]
async fn a_client_that_never_reads_is_ended_and_the_others_go_on() {
    // Until its socket is full takes a while on a busy machine, and it answers no pings.
    let yaml = format!(
        "{OPEN}limits: {{outbox_size: 64KiB, message_size: 64KiB}}\n\
         endpoints: {{presence: {{enabled: true, cursor_rate: 1000, flush_interval: 1ms, ping_interval: 10m}}}}\n"
    );
    let broker = Broker::start(&yaml).await;
    let mut deaf = Player::open(&broker).await;
    deaf.say(&join("plan", "Deaf")).await;
    let mut ann = Player::on_board(&broker, "plan", "Ann").await;
    ann.sees(&["Ann", "Deaf"]).await;
    let selection = "s".repeat(1000);
    let mut number = 0;
    while ann.names() != ["Ann"] {
        number += 1;
        let selection = format!("{number}{}", &selection[10..]);
        ann.say(&FromClient::Selection(&selection)).await;
        ann.next().await;
    }
    assert_eq!(broker.ended_on("presence", "slow").await, 1);
    ann.moves_to(1, 1).await;
    ann.sees_that("Ann", |seen| seen.cursor == Some((1, 1))).await;
}

#[tokio::test]
async fn nobody_is_on_a_board_without_leave() {
    let auth = format!("auth: {{jwt: {{hmac_secret: \"{SECRET}\"}}}}\n{BOARDS}");
    let namespaces = "channels: {namespaces: [{name: board, join_leave: true, subscribe: token}]}\n";
    let broker = Broker::start(&format!("{auth}{namespaces}")).await;
    let of_ann = token(&serde_json::json!({"sub": "ann"}));
    let pass = token(&serde_json::json!({"sub": "ann", "channel": "board:plan"}));
    let colour = Colour::default();
    let plan = Join { board: "plan", user: "", name: "Ann", colour, token: &of_ann, pass: &pass };
    for (token, code) in [("", 3507), ("nonsense", 3500)] {
        let mut player = Player::open(&broker).await;
        player.say(&FromClient::Join(Join { token, ..plan })).await;
        assert_eq!(player.end().await, code);
    }
    let mut player = Player::open(&broker).await;
    for (refused, code) in [
        (Join { pass: "", ..plan }, 103),
        (Join { pass: "nonsense", ..plan }, 103),
        (Join { board: "other", ..plan }, 103),
        (Join { user: "bob", ..plan }, 103),
    ] {
        player.say(&FromClient::Join(refused)).await;
        assert_eq!(player.error().await.0, code, "{refused:?}");
    }
    // The connection has its token by now.
    player.say(&FromClient::Join(Join { user: "ann", token: "", ..plan })).await;
    player.is_told(&Told::Welcome).await;
    assert!(player.members.values().all(|seen| seen.user == "ann"));
}
