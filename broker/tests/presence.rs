//! The presence endpoint: boards, on one instance and on two.

mod broken;
mod hooks;
mod timers;

use std::sync::Arc;

use serde_json::{Value, json};
use switchboard::{backplane::memory::Memory, codec::presence::FromClient};

use crate::support::{
    Broker, OPEN,
    board::{Player, Told, board_handshake, boards, join},
    eventually, within,
};

/// With the endpoint.
const BOARDS: &str = "endpoints: {presence: {enabled: true}}\n";

async fn one() -> Broker {
    Broker::start(&format!("{OPEN}{BOARDS}")).await
}

async fn pair(more: &str) -> [Broker; 2] {
    let memory = Arc::new(Memory::default());
    let start = async |id| Broker::joining(&memory, &format!("{OPEN}{more}instance: {{id: {id}}}\n")).await;
    [start("b-0").await, start("b-1").await]
}

#[tokio::test]
async fn members_see_each_other_come_move_select_and_go() {
    let [a, b] = pair(BOARDS).await;
    let mut ann = Player::on_board(&a, "plan", "Ann").await;
    assert_eq!(ann.names(), ["Ann"]);
    let mut bob = Player::on_board(&b, "plan", "Bob").await;
    let mut cid = Player::on_board(&a, "plan", "Cid").await;
    for player in [&mut ann, &mut bob, &mut cid] {
        player.sees(&["Ann", "Bob", "Cid"]).await;
    }
    ann.moves_to(40, -8).await;
    bob.say(&FromClient::Selection("shape 7")).await;
    for player in [&mut ann, &mut bob, &mut cid] {
        player.sees_that("Ann", |seen| seen.cursor == Some((40, -8))).await;
        player.sees_that("Bob", |seen| seen.selection == "shape 7").await;
    }
    ann.say(&FromClient::Cursor(None)).await;
    bob.sees_that("Ann", |seen| seen.cursor.is_none()).await;
    ann.say(&FromClient::Leave).await;
    ann.is_told(&Told::Left(0, "left".into())).await;
    drop(cid);
    bob.sees(&["Bob"]).await;
    // Who has left may join another board on the same connection.
    ann.join("other", "Ann").await;
    assert_eq!(ann.names(), ["Ann"]);
    drop((ann, bob));
    for broker in [&a, &b] {
        boards(broker, 0).await;
        eventually("nothing is left", async || broker.metric("channels", &[]).await == 0).await;
    }
}

#[tokio::test]
async fn who_comes_later_is_told_everything_that_others_know() {
    let [a, b] = pair(BOARDS).await;
    let mut ann = Player::on_board(&a, "plan", "Ann").await;
    ann.moves_to(4, 5).await;
    ann.say(&FromClient::Selection("x")).await;
    ann.sees_that("Ann", |seen| seen.selection == "x").await;
    // The first one of its instance: the others are asked.
    let mut bob = Player::on_board(&b, "plan", "Bob").await;
    bob.sees_that("Ann", |seen| seen.cursor == Some((4, 5)) && seen.selection == "x").await;
    // The second one: it is there at once.
    let cid = Player::on_board(&b, "plan", "Cid").await;
    assert_eq!(cid.names(), ["Ann", "Bob", "Cid"]);
    assert!(cid.members.values().any(|seen| seen.cursor == Some((4, 5)) && seen.selection == "x"));
}

#[tokio::test]
async fn boards_are_apart_and_an_instance_hears_its_own_only() {
    let [a, b] = pair(BOARDS).await;
    let mut ann = Player::on_board(&a, "one", "Ann").await;
    let mut bob = Player::on_board(&b, "two", "Bob").await;
    for x in 0..20 {
        ann.moves_to(x, 0).await;
    }
    ann.sees_that("Ann", |seen| seen.cursor == Some((19, 0))).await;
    bob.moves_to(1, 1).await;
    bob.sees_that("Bob", |seen| seen.cursor == Some((1, 1))).await;
    assert_eq!((bob.names(), bob.moves.len()), (vec!["Bob"], 0));
    assert_eq!(b.metric("deliveries_total", &[("origin", "remote")]).await, 0);
}

#[tokio::test]
async fn many_movements_of_many_members_are_one_message_a_tick() {
    const MEMBERS: usize = 20;
    // A tick is so long here that all of it falls into one or two, on any machine.
    let slow = "endpoints: {presence: {enabled: true, flush_interval: 1s}}\n";
    let [a, b] = pair(slow).await;
    let mut players = Vec::new();
    for i in 0..MEMBERS {
        players.push(Player::on_board(&a, "plan", &format!("p{i:02}")).await);
    }
    let mut watcher = Player::on_board(&b, "plan", "Watcher").await;
    watcher.until("all are there", |player| player.members.len() == MEMBERS + 1).await;
    for x in 0..50 {
        for player in &mut players {
            player.moves_to(x, x).await;
        }
    }
    watcher
        .until("all are where they stopped", |player| {
            player.members.values().filter(|seen| seen.cursor == Some((49, 49))).count() == MEMBERS
        })
        .await;
    let told = a.metric("board_movements_total", &[("outcome", "told")]).await;
    let merged = a.metric("board_movements_total", &[("outcome", "merged")]).await;
    let ticks = a.metric("board_flushes_total", &[]).await;
    assert_eq!(told + merged, 50 * MEMBERS as u64);
    assert_eq!((watcher.news as u64, watcher.moves.len() as u64), (ticks, told));
    // At most a message for each tick that the sending took, and far fewer than movements.
    assert!(told <= ticks * MEMBERS as u64 && merged > told, "{told} told, {merged} merged, {ticks} ticks");
}

#[tokio::test]
async fn each_members_movements_keep_their_order() {
    let [a, b] =
        pair("endpoints: {presence: {enabled: true, cursor_rate: 1000, flush_interval: 1ms}}\n").await;
    let mut watcher = Player::on_board(&b, "plan", "Watcher").await;
    let (mut ann, mut bob) =
        (Player::on_board(&a, "plan", "Ann").await, Player::on_board(&b, "plan", "Bob").await);
    watcher.sees(&["Ann", "Bob", "Watcher"]).await;
    for x in 0..300 {
        ann.moves_to(x, 1).await;
        bob.moves_to(x, 2).await;
    }
    for name in ["Ann", "Bob"] {
        watcher.sees_that(name, |seen| seen.cursor.is_some_and(|(x, _)| x == 299)).await;
    }
    for who in [1, 2] {
        let xs: Vec<_> = watcher.moves.iter().filter(|(_, (_, y))| *y == who).map(|(_, (x, _))| *x).collect();
        assert!(xs.is_sorted_by(|one, other| one < other), "{xs:?}");
        assert_eq!(xs.last(), Some(&299));
    }
}

#[tokio::test]
async fn announcements_come_from_the_channel_and_from_everywhere() {
    let [a, b] = pair(BOARDS).await;
    let mut ann = Player::on_board(&a, "plan", "Ann").await;
    b.api("publish", &json!({"channel": "board:plan", "data": {"text": "hello"}})).await;
    ann.is_told(&Told::Announcement("board:plan".into(), r#"{"text":"hello"}"#.into())).await;
    // To several boards, and to all clients of all boards.
    b.api("broadcast", &json!({"channels": ["board:plan", "board:other"], "data": 1})).await;
    ann.is_told(&Told::Announcement("board:plan".into(), "1".into())).await;
    b.api("send", &json!({"everyone": true, "data": "closing at ten"})).await;
    ann.is_told(&Told::Announcement(String::new(), "\"closing at ten\"".into())).await;
}

#[tokio::test]
async fn all_boards_hear_the_channel_of_announcements() {
    let [a, b] = pair("endpoints: {presence: {enabled: true, announcements: all}}\n").await;
    let mut players = [Player::on_board(&a, "one", "Ann").await, Player::on_board(&b, "two", "Bob").await];
    let mut other = a.connect().await;
    b.api("publish", &json!({"channel": "all", "data": {"text": "closing"}})).await;
    for player in &mut players {
        player.is_told(&Told::Announcement("all".into(), r#"{"text":"closing"}"#.into())).await;
        assert_eq!(player.members.len(), 1);
    }
    assert!(other.unasked().await.is_empty(), "it is on no board");
}

#[tokio::test]
async fn a_websocket_subscriber_of_the_channel_sees_joins_leaves_and_announcements() {
    let [a, b] = pair(BOARDS).await;
    let mut watcher = a.connect().await;
    watcher.subscribe("board:plan").await;
    assert!(watcher.push().await["join"].is_object(), "its own");
    let mut ann = Player::on_board(&b, "plan", "Ann").await;
    let mut joined = watcher.push().await;
    let about = joined["join"]["info"]["chan_info"].take();
    assert_eq!((&about["name"], &about["color"]), (&json!("Ann"), &json!("#010203")));
    assert_eq!(ann.names(), ["Ann"], "who watches is on no board");
    ann.moves_to(1, 1).await;
    ann.sees_that("Ann", |seen| seen.cursor.is_some()).await;
    a.api("publish", &json!({"channel": "board:plan", "data": 1})).await;
    assert_eq!(watcher.publication("board:plan").await, 1, "cursors are for boards only");
    let presence = watcher.command(json!({"presence": {"channel": "board:plan"}})).await;
    let members = presence["presence"]["presence"].as_object().unwrap();
    assert_eq!(members.values().filter(|info| info["chan_info"]["name"] == "Ann").count(), 1);
    drop(ann);
    let left: Value = watcher.push().await;
    assert_eq!(left["leave"]["info"]["chan_info"], about);
}

#[tokio::test]
async fn the_server_api_takes_members_off_boards_and_ends_connections() {
    let broker = one().await;
    let mut ann = Player::on_board(&broker, "plan", "Ann").await;
    let mut bob = Player::on_board(&broker, "plan", "Bob").await;
    ann.sees(&["Ann", "Bob"]).await;
    let clients = broker.api("clients", &json!({})).await;
    let clients = clients["result"]["clients"].as_array().unwrap();
    assert!(clients.iter().all(|client| client["endpoint"] == "presence"), "{clients:?}");
    let presence = broker.api("presence", &json!({"channel": "board:plan"})).await;
    let members = presence["result"]["presence"].as_object().unwrap();
    let (id, _) = members.iter().find(|(_, info)| info["chan_info"]["name"] == "Ann").unwrap();
    let order = json!({"client": id, "channel": "board:plan"});
    assert_eq!(broker.api("unsubscribe", &order).await, json!({"result": {"unsubscribed": 1}}));
    ann.is_told(&Told::Left(2000, "server unsubscribe".into())).await;
    bob.sees(&["Bob"]).await;
    ann.moves_to(1, 1).await;
    assert_eq!(ann.error().await.0, 108);
    ann.join("plan", "Ann").await;
    bob.sees(&["Ann", "Bob"]).await;
    // A subscription that the server begins makes nobody a member, and stands in nobody's way.
    ann.say(&FromClient::Leave).await;
    bob.sees(&["Bob"]).await;
    assert_eq!(broker.api("subscribe", &order).await, json!({"result": {"subscribed": 1}}));
    ann.join("plan", "Ann").await;
    bob.sees(&["Ann", "Bob"]).await;
    broker.api("disconnect", &json!({"client": id})).await;
    assert_eq!(ann.end().await, 3503);
    bob.sees(&["Bob"]).await;
}

#[tokio::test]
async fn large_messages_are_packed() {
    let [a, b] = pair(BOARDS).await;
    let mut players = Vec::new();
    for i in 0..40 {
        players.push(Player::on_board(&a, "plan", &format!("a member with a rather long name, {i}")).await);
    }
    let mut bob = Player::on_board(&b, "plan", "Bob").await;
    bob.until("all are there", |player| player.members.len() == 41).await;
    let cid = Player::on_board(&b, "plan", "Cid").await;
    assert_eq!(cid.members.len(), 42);
    assert_eq!((bob.packed, cid.packed), (1, 1), "a roster for the first, a welcome for the second");
}

#[tokio::test]
async fn a_drain_sends_members_away_and_the_others_see_them_go() {
    let [a, b] = pair(BOARDS).await;
    let mut ann = Player::on_board(&a, "plan", "Ann").await;
    let mut bob = Player::on_board(&b, "plan", "Bob").await;
    ann.sees(&["Ann", "Bob"]).await;
    let drain = tokio::spawn(b.drain());
    assert_eq!(bob.end().await, 3001);
    drop(bob);
    within("the end of the drain", drain).await.unwrap();
    ann.sees(&["Ann"]).await;
}

#[tokio::test]
async fn the_path_and_port_of_the_service_before_can_be_kept() {
    let yaml = format!(
        "{OPEN}endpoints: {{presence: {{enabled: true, path: /, channel_prefix: \"presence:board:\"}}}}\n"
    );
    let broker = Broker::start(&yaml).await;
    let (mut ann, head) = board_handshake(broker.client_address, "/", "").await.unwrap_or_else(|_| panic!());
    assert!(!head.contains("sec-websocket-protocol"), "{head}");
    ann.join("1", "Ann").await;
    broker.api("publish", &json!({"channel": "presence:board:1", "data": 1})).await;
    ann.is_told(&Told::Announcement("presence:board:1".into(), "1".into())).await;
}

#[tokio::test]
async fn versions_are_subprotocols() {
    let broker = one().await;
    let offer = "Sec-WebSocket-Protocol: switchboard-board.v9, switchboard-board.v1\r\n";
    let (_, head) =
        board_handshake(broker.client_address, "/presence", offer).await.unwrap_or_else(|_| panic!());
    assert!(head.contains("sec-websocket-protocol: switchboard-board.v1\r\n"), "{head}");
    let offer = "Sec-WebSocket-Protocol: switchboard-board.v9\r\n";
    let refusal = board_handshake(broker.client_address, "/presence", offer).await.err().unwrap();
    assert_eq!(refusal.status, 400);
    assert!(refusal.body.contains("switchboard-board.v1"), "{refusal:?}");
    assert_eq!(broker.rejected("unknown_command").await, 1);
    let mut ann = Player::open(&broker).await;
    ann.say(&join("plan", "Ann")).await;
    assert_eq!(ann.next().await, Told::Welcome);
}
