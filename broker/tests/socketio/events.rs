//! What events do, as the configuration says.

use serde_json::{Value, json};

use super::{Poller, with};
use crate::support::{Broker, eventually};

const RULES: &str = r#"
auth: {anonymous: true, api_keys: [key-of-the-tests]}
logic:
  modules:
    - {name: everybody, broadcaster: {}, receives: [rpc]}
endpoints:
  socketio:
    enabled: true
    message_event: data
    events:
      - {event: enter, do: join, room: /0/room, prefix: "room-"}
      - {event: say, do: publish, room: /0/room, prefix: "room-", emit: said, to_sender: true, stamp: true}
      - {event: shout, do: call, logic: everybody}
      - {event: who, do: presence, room: /0/room, prefix: "room-"}
"#;

/// The JSON of the only packet in a body, behind its type.
fn json_of(body: &str, start: &str) -> Value {
    let json = body.strip_prefix(start).unwrap_or_else(|| panic!("{body} does not begin with {start}"));
    serde_json::from_str(json).unwrap()
}

#[tokio::test]
async fn events_do_what_the_configuration_says() {
    let broker = Broker::start(RULES).await;
    let (ann, bob) = (Poller::connect(&broker).await, Poller::connect(&broker).await);
    for client in [&ann, &bob] {
        client.posts(r#"421["enter",{"room":7}]"#).await;
        assert_eq!(client.hears().await, r#"431[{"status":"ok"}]"#);
    }
    let channels = broker.api("channels", &json!({})).await;
    assert_eq!(channels["result"]["channels"]["room-7"]["num_clients"], 2, "{channels}");
    ann.posts(r#"422["say",{"room":7,"text":"hi","id":"mine"}]"#).await;
    let said = json_of(&bob.hears().await, "42");
    assert_eq!((&said[0], &said[1]["text"], &said[1]["user"]), (&json!("said"), &json!("hi"), &json!("")));
    let heard = ann.hears().await;
    let mut packets: Vec<_> = heard.split('\u{1e}').map(str::to_owned).collect();
    if packets.len() == 1 {
        packets.push(ann.hears().await);
    }
    packets.sort();
    let (own, answer) = (json_of(&packets[0], "42"), json_of(&packets[1], "432"));
    assert_eq!(own, said, "the sender hears it too");
    let expected = json!({"status": "ok", "id": said[1]["id"], "timestamp": said[1]["timestamp"]});
    assert_eq!(answer[0], expected);

    ann.posts(r#"42["shout","hello"]"#).await;
    for client in [&ann, &bob] {
        assert_eq!(client.hears().await, r#"42["shout","hello"]"#, "logic is given the event");
    }
    broker.api("publish", &json!({"channel": "room-7", "data": {"a": 1}})).await;
    assert_eq!(bob.hears().await, r#"42["data",{"a":1}]"#);
    // What is not configured is not there.
    bob.posts(r#"425["join","room-7"]"#).await;
    let refused = json!([{"status": "error", "code": 104, "message": "method not found"}]);
    assert_eq!(json_of(&bob.hears().await, "435"), refused);
}

#[tokio::test]
async fn an_answer_is_waited_for_so_long_and_who_goes_is_missing() {
    let broker = Broker::start(&with("ack_timeout: 3s")).await;
    let clients =
        [Poller::connect(&broker).await, Poller::connect(&broker).await, Poller::connect(&broker).await];
    for client in &clients {
        client.posts(r#"420["join","room"]"#).await;
        assert_eq!(client.hears().await, r#"430[{"status":"ok"}]"#);
    }
    let [ann, bob, _silent] = &clients;
    ann.posts(r#"421["ask","room","how many",1]"#).await;
    let asked = bob.hears().await;
    assert_eq!(asked, r#"420["how many",1]"#);
    bob.posts(r#"430[{"many":2},"more"]"#).await;
    let answer = json_of(&ann.hears().await, "431");
    assert_eq!(answer, json!([{"status": "ok", "answers": [{"many": 2}], "missing": 1}]));
    // An answer that comes too late is not waited for.
    bob.posts(r#"430[3]"#).await;
    eventually("it is counted", async || broker.rejected("unknown_command").await == 1).await;
}
