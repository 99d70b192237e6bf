//! Hooks are asked of members as of all clients.

use serde_json::json;
use switchboard::codec::presence::{Colour, FromClient, Join};

use super::BOARDS;
use crate::support::{
    Answer, Broker, OPEN, Receiver,
    board::{Player, Told, join},
};

async fn broker(hook: &str, receiver: &Receiver) -> Broker {
    let url = format!("http://{}/hook", receiver.address);
    let webhook =
        format!("{{url: \"{url}\", secret: \"a secret of the tests, for hooks\", retry_delay: 1ms}}");
    let more = if hook == "connect" { ", instead_of_token: true" } else { "" };
    let hooks = format!("hooks: {{{hook}: {{webhook: {webhook}, time_limit: 1m{more}}}}}\n");
    // A hook about boards is about a namespace that is written.
    let namespaces = "channels: {namespaces: [{name: \"\"}, {name: board, join_leave: true}]}\n";
    Broker::start(&format!("{OPEN}{BOARDS}{namespaces}{hooks}")).await
}

#[tokio::test]
async fn a_hook_says_who_connects() {
    let receiver = Receiver::start(Answer::Json(json!({"result": {"user": "ann"}}))).await;
    let broker = broker("connect", &receiver).await;
    let mut player = Player::open(&broker).await;
    let plan =
        Join { board: "plan", user: "", name: "Ann", colour: Colour::default(), token: "mine", pass: "" };
    player.say(&FromClient::Join(plan)).await;
    player.is_told(&Told::Welcome).await;
    assert!(player.members.values().all(|seen| seen.user == "ann"));
    let asked = receiver.got()[0].json();
    assert_eq!((&asked["transport"], &asked["token"]), (&json!("presence"), &json!("mine")));
    // Once for a connection.
    player.say(&FromClient::Leave).await;
    player.join("other", "Ann").await;
    assert_eq!(receiver.got().len(), 1);
}

#[tokio::test]
async fn a_hook_says_who_may_be_on_a_board() {
    let receiver = Receiver::start(Answer::Json(json!({"result": {"info": {"role": "guest"}}}))).await;
    let broker = broker("subscribe", &receiver).await;
    let mut watcher = broker.connect().await;
    watcher.subscribe("board:plan").await;
    watcher.push().await;
    let mut player = Player::on_board(&broker, "plan", "Ann").await;
    let joined = watcher.push().await;
    assert_eq!(joined["join"]["info"]["chan_info"]["info"], json!({"role": "guest"}));
    player.say(&FromClient::Leave).await;
    player.is_told(&Told::Left(0, "left".into())).await;
    receiver.always(Answer::Json(json!({"error": {"code": 1002, "message": "not you"}})));
    player.say(&join("plan", "Ann")).await;
    assert_eq!(player.error().await, (1002, "not you".into()));
    receiver.always(Answer::Json(json!({"disconnect": {"code": 4000, "reason": "go"}})));
    player.say(&join("plan", "Ann")).await;
    assert_eq!(player.end().await, 4000);
}
