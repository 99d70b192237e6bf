//! Who is left out of what others get.

use serde_json::json;

use super::{client_of, send};
use crate::support::Broker;

/// Of each two publications that come together, `room` gets the first, and all but some the second.
pub(crate) async fn some_are_left_out_wherever_they_are(brokers: &[Broker]) {
    let mut clients = Vec::new();
    let (mut ann, _) = client_of(&brokers[0], "ann").await;
    let (mut bob, bob_id) = client_of(&brokers[1], "bob").await;
    for (number, broker) in brokers.iter().enumerate() {
        // Each in `room`, and in `quiet` or `kept:x`.
        for other in ["quiet", "kept:x"] {
            let (mut client, id) = client_of(broker, &format!("{other}-{number}")).await;
            client.subscribe("room").await;
            client.command(json!({"subscribe": {"channel": other}})).await;
            clients.push((client, id, other));
        }
    }
    for client in [&mut ann, &mut bob] {
        client.subscribe("room").await;
    }
    let except = json!({"clients": [bob_id, clients[1].1], "channels": ["quiet", "nobody-is-here"]});
    let mut number = 0;
    for broker in brokers {
        let first = number;
        let commands: Vec<_> = std::iter::repeat_with(|| {
            number += 2;
            [
                json!({"publish": {"channel": "room", "data": number - 2}}),
                json!({"broadcast": {"channels": ["room"], "data": number - 1, "except": except}}),
            ]
        })
        .take(10)
        .flatten()
        .collect();
        let answer = broker.api("batch", &json!({"commands": commands, "parallel": true})).await;
        assert!(!answer.to_string().contains("error"), "{answer}");
        let all: Vec<_> = (first..number).collect();
        let some: Vec<_> = all.iter().copied().step_by(2).collect();
        for (client, id, other) in &mut clients {
            let expected = if *other == "quiet" || except["clients"][1] == **id { &some } else { &all };
            for number in expected {
                assert_eq!(client.publication("room").await, *number);
            }
        }
        for (client, expected) in [(&mut ann, &all), (&mut bob, &some)] {
            for number in expected {
                assert_eq!(client.publication("room").await, *number);
            }
        }
    }

    // Of everyone.
    send(&brokers[2], json!({"everyone": true, "data": 1, "except": except})).await;
    send(&brokers[2], json!({"everyone": true, "data": 2})).await;
    for (client, id, other) in &mut clients {
        let expected = if *other == "quiet" || except["clients"][1] == **id { &[2][..] } else { &[1, 2] };
        for number in expected {
            assert_eq!(client.push().await, json!({"message": {"data": number}}));
        }
    }
    for (client, expected) in [(&mut ann, &[1, 2][..]), (&mut bob, &[2])] {
        for number in expected {
            assert_eq!(client.push().await, json!({"message": {"data": number}}));
        }
    }

    // What is kept is for all.
    let mut kept = json!({"channel": "kept:x", "data": 1, "except": {"clients": [clients[3].1]}});
    let answer = brokers[0].api("publish", &kept).await;
    assert_eq!(answer["error"]["code"], 107, "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("\"kept:x\" has history"), "{answer}");
    kept["skip_history"] = true.into();
    assert_eq!(brokers[0].api("publish", &kept).await, json!({"result": {}}));
    let kept = brokers[0].api("publish", &json!({"channel": "kept:x", "data": 2})).await;
    assert_eq!(kept["result"]["offset"], 1);
    for (number, (client, _, other)) in clients.iter_mut().enumerate() {
        if *other == "kept:x" {
            let heard = client.publication("kept:x").await;
            assert_eq!(heard, if number == 3 { 2 } else { 1 }, "client {number}");
        }
    }

    let too_many = vec!["a"; 101];
    for (method, bad, code) in [
        ("publish", json!({"channel": "room", "data": 1, "except": {"channels": ["no:such"]}}), 102),
        ("publish", json!({"channel": "room", "data": 1, "except": {"channels": [""]}}), 107),
        ("publish", json!({"channel": "room", "data": 1, "except": {"channels": too_many}}), 107),
        ("publish", json!({"channel": "room", "data": 1, "except": {"clients": ["x"]}}), 107),
        ("publish", json!({"channel": "room", "data": 1, "except": {"users": ["ann"]}}), 107),
        ("broadcast", json!({"channels": ["room"], "data": 1, "except": ["ann"]}), 107),
        ("send", json!({"clients": [bob_id], "data": 1, "except": {"clients": [bob_id]}}), 107),
    ] {
        assert_eq!(brokers[1].api(method, &bad).await["error"]["code"], code, "{bad}");
    }
}
