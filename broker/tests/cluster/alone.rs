//! Clients are told when their instance is cut off from the others, and when it is with them again.

use std::sync::Arc;

use serde_json::{Value, json};
use switchboard::hub::Hub;

use super::broken::Broken;
use crate::{
    socketio::Poller,
    support::{
        Broker, OPEN,
        board::{Player, Told},
    },
};

/// A broker with these endpoints, and what its backplane can tell it.
async fn broker(endpoints: &str) -> (Broker, Arc<Hub>) {
    let backplane = Arc::new(Broken { listens: true, ..Broken::default() });
    let yaml = format!("{OPEN}endpoints: {{{endpoints}}}\ninstance: {{id: chat-0}}\n");
    let broker = Broker::on(backplane.clone(), &yaml).await;
    let hub = backplane.hub.get().expect("it has started").clone();
    (broker, hub)
}

#[tokio::test]
async fn members_of_boards_are_told_when_it_begins_when_it_is_over_and_when_they_come_meanwhile() {
    let (broker, hub) = broker("presence: {enabled: true}").await;
    let mut ann = Player::on_board(&broker, "plan", "Ann").await;
    let mut other = Player::on_board(&broker, "another", "Other").await;
    hub.cut_off();
    // Said twice it is nothing new.
    hub.cut_off();
    for player in [&mut ann, &mut other] {
        player.is_told(&Told::Alone(true)).await;
    }
    let mut bob = Player::on_board(&broker, "plan", "Bob").await;
    assert_eq!(bob.next().await, Told::Alone(true), "right behind the welcome");
    hub.rejoined();
    for player in [&mut ann, &mut other, &mut bob] {
        player.is_told(&Told::Alone(false)).await;
    }
    // Who comes now hears nothing of it.
    let mut cid = Player::on_board(&broker, "plan", "Cid").await;
    cid.moves_to(4, 8).await;
    loop {
        match cid.next().await {
            Told::News(_) => break,
            told => assert!(!matches!(told, Told::Alone(_)), "{told:?}"),
        }
    }
}

/// What a client is told next: the name of the event, and its argument.
async fn event(client: &Poller) -> (String, Value) {
    let packet = client.hears().await;
    let packet = packet.strip_prefix("42").unwrap_or_else(|| panic!("no event: {packet}"));
    let (name, mut about): (String, Value) = serde_json::from_str(packet).unwrap();
    assert!(about["timestamp"].take().as_u64() > Some(1_700_000_000_000));
    (name, about)
}

fn of_chat_0(name: &str) -> (String, Value) {
    (name.to_owned(), json!({"instance": "chat-0", "timestamp": null}))
}

#[tokio::test]
async fn clients_of_socketio_are_told_where_the_events_are_the_brokers_own() {
    for rules in ["", ", profile: chat", ", profile: chat, events: [{event: enter, do: join}]"] {
        let (broker, hub) = broker(&format!("socketio: {{enabled: true{rules}}}")).await;
        let ann = Poller::connect(&broker).await;
        hub.cut_off();
        assert_eq!(event(&ann).await, of_chat_0("instanceAlone"), "{rules}");
        let bob = Poller::open(&broker).await;
        bob.posts("40").await;
        let told = bob.hears().await;
        let (connected, alone) = told.split_once('\u{1e}').expect("what it is told comes together");
        assert!(connected.starts_with("40{"), "{connected}");
        assert!(alone.starts_with(r#"42["instanceAlone",{"instance":"chat-0","#), "{alone}");
        hub.rejoined();
        for client in [&ann, &bob] {
            assert_eq!(event(client).await, of_chat_0("instanceTogether"), "{rules}");
        }
    }
}

#[tokio::test]
async fn clients_of_socketio_hear_nothing_of_it_where_an_application_has_rules_of_its_own() {
    let (broker, hub) = broker("socketio: {enabled: true, events: [{event: enter, do: join}]}").await;
    let ann = Poller::connect(&broker).await;
    hub.cut_off();
    ann.posts("420[\"enter\",\"room\"]").await;
    assert_eq!(ann.hears().await, r#"430[{"status":"ok"}]"#);
}
