//! What holds on every backplane that keeps history.

use serde_json::{Value, json};

use crate::support::{Broker, Client, eventually, within};

/// Channels that keep much, little, and for a moment; and plain ones.
pub(crate) const HISTORY: &str = "channels: {namespaces: [\
    {name: \"\", publish: any}, \
    {name: kept, publish: any, history: {size: 5000, ttl: 10m, read: any}}, \
    {name: few, publish: any, history: {size: 3, ttl: 10m}}, \
    {name: short, publish: any, history: {size: 10, ttl: 50ms, read: nobody}}, \
    {name: still, publish: any, history: {size: 10, ttl: 10m, recover: false}}]}\n";

/// A new client that is subscribed, and the reply's `subscribe`.
pub(crate) async fn subscribe(broker: &Broker, channel: &str) -> (Client, Value) {
    let mut client = broker.connect().await;
    let mut reply = client.command(json!({"subscribe": {"channel": channel}})).await;
    assert_eq!(reply["subscribe"]["positioned"], true, "{reply}");
    (client, reply["subscribe"].take())
}

/// A new client that wants what came after this position, and the reply's `subscribe`.
pub(crate) async fn resubscribe(broker: &Broker, channel: &str, since: &Value) -> (Client, Value) {
    let mut client = broker.connect().await;
    let (offset, epoch) = (&since["offset"], &since["epoch"]);
    let command = json!({"channel": channel, "recover": true, "offset": offset, "epoch": epoch});
    let mut reply = client.command(json!({"subscribe": command})).await;
    assert_eq!(reply["subscribe"]["was_recovering"], true, "{reply}");
    (client, reply["subscribe"].take())
}

/// Publishes by the server API, which must go well; the position.
pub(crate) async fn publish(broker: &Broker, channel: &str, data: Value) -> Value {
    let answer = broker.api("publish", &json!({"channel": channel, "data": data})).await;
    assert!(answer["result"]["offset"].is_u64() && answer["result"]["epoch"].is_string(), "{answer}");
    answer["result"].clone()
}

fn data(publications: &Value) -> Vec<Value> {
    publications.as_array().unwrap().iter().map(|publication| publication["data"].clone()).collect()
}

pub(crate) async fn missed_messages_are_recovered_anywhere(brokers: &[Broker]) {
    let (mut client, first) = subscribe(&brokers[0], "kept:room").await;
    assert_eq!((&first["offset"], &first["recoverable"]), (&json!(0), &json!(true)), "{first}");
    assert_eq!(first["was_recovering"], Value::Null);
    let position = publish(&brokers[1], "kept:room", json!("seen")).await;
    let push = client.push().await;
    assert_eq!(push, json!({"channel": "kept:room", "pub": {"data": "seen", "offset": 1}}));
    drop(client);
    for number in 0..3 {
        publish(&brokers[number % 2], "kept:room", json!(number)).await;
    }
    for broker in brokers {
        let (mut client, reply) = resubscribe(broker, "kept:room", &position).await;
        assert_eq!((&reply["recovered"], &reply["offset"]), (&json!(true), &json!(4)), "{reply}");
        assert_eq!(data(&reply["publications"]), [0, 1, 2]);
        assert_eq!(reply["epoch"], first["epoch"]);
        assert!(client.unasked().await.is_empty());
        // From the beginning of the stream, from its end, and while another one is there who has it all.
        let (_, all) = resubscribe(broker, "kept:room", &first).await;
        assert_eq!(data(&all["publications"]), [json!("seen"), json!(0), json!(1), json!(2)]);
        let (_, none) = resubscribe(broker, "kept:room", &reply).await;
        assert_eq!((&none["recovered"], &none["publications"]), (&json!(true), &json!([])));
    }
    let recoveries = async |outcome| brokers[0].metric("recoveries_total", &[("outcome", outcome)]).await;
    assert_eq!((recoveries("recovered").await, recoveries("lost").await), (3, 0));
    // A client that publishes gets its own message, in its place.
    let (mut ann, _) = subscribe(&brokers[0], "kept:room").await;
    ann.publish("kept:room", json!("mine")).await;
    assert_eq!(ann.push().await["pub"]["offset"], 5);
}

pub(crate) async fn what_is_gone_is_lost(brokers: &[Broker]) {
    let broker = &brokers[0];
    let lost = async |channel: &str, since: &Value| {
        let (mut client, reply) = resubscribe(broker, channel, since).await;
        assert_eq!((&reply["recovered"], &reply["publications"]), (&json!(false), &Value::Null), "{reply}");
        // It goes on from where the stream is.
        let position = publish(&brokers[1], channel, json!("next")).await;
        assert_eq!(position["offset"].as_u64(), reply["offset"].as_u64().map(|offset| offset + 1));
        assert_eq!(client.publication(channel).await, "next");
    };
    // More has come than is kept.
    let (client, start) = subscribe(broker, "few:room").await;
    drop(client);
    let mut positions = Vec::new();
    for number in 0..5 {
        positions.push(publish(&brokers[1], "few:room", json!(number)).await);
    }
    let (_, reply) = resubscribe(broker, "few:room", &positions[1]).await;
    assert_eq!(data(&reply["publications"]), [2, 3, 4]);
    lost("few:room", &positions[0]).await;
    lost("few:room", &start).await;
    // Another stream, no stream, and a position that never was.
    lost("few:room", &json!({"offset": positions[4]["offset"], "epoch": "00000000"})).await;
    lost("few:room", &json!({"offset": positions[4]["offset"], "epoch": "?"})).await;
    lost("few:room", &json!({"offset": 1000, "epoch": positions[4]["epoch"]})).await;
    // What has run out; who had it all has missed nothing.
    let early = publish(broker, "short:room", json!(1)).await;
    let last = publish(broker, "short:room", json!(2)).await;
    eventually("it runs out", async || {
        let answer = broker.api("history", &json!({"channel": "short:room", "limit": -1})).await;
        answer["result"]["publications"] == json!([])
    })
    .await;
    let (_, reply) = resubscribe(broker, "short:room", &last).await;
    assert_eq!(reply["recovered"], true);
    lost("short:room", &early).await;
    // Channels that do not recover say nothing of it.
    let (mut client, reply) = subscribe(broker, "still:room").await;
    assert_eq!(reply["recoverable"], Value::Null);
    assert_eq!(
        client.command(json!({"unsubscribe": {"channel": "still:room"}})).await,
        json!({"unsubscribe": {}})
    );
    let again = json!({"channel": "still:room", "recover": true, "offset": 0, "epoch": reply["epoch"]});
    let again = client.command(json!({"subscribe": again})).await;
    assert_eq!(again["subscribe"]["was_recovering"], Value::Null);
}

/// What a client gets that comes and goes until it has everything.
async fn come_and_go(broker: &Broker, channel: &str, mut position: Value, wanted: u64) -> Vec<u64> {
    fn take(publication: &Value, position: &mut Value, got: &mut Vec<u64>) {
        position["offset"] = publication["offset"].clone();
        got.push(publication["data"].as_u64().unwrap());
    }
    let (mut got, mut stay) = (Vec::new(), 1);
    while (got.len() as u64) < wanted {
        let (mut client, reply) = resubscribe(broker, channel, &position).await;
        assert_eq!(reply["recovered"], true, "{reply}");
        for publication in reply["publications"].as_array().unwrap() {
            take(publication, &mut position, &mut got);
        }
        assert_eq!(position["offset"], reply["offset"], "what the reply says is what it brings");
        for _ in 0..stay.min(wanted - got.len() as u64) {
            let push = client.push().await;
            assert!(push["pub"].is_object(), "{push}");
            take(&push["pub"], &mut position, &mut got);
        }
        stay = stay % 7 + 1;
    }
    got
}

pub(crate) async fn comers_and_goers_miss_nothing(brokers: &[Broker], messages: u64) {
    const CLIENTS: usize = 8;
    let (_stays, start) = subscribe(&brokers[0], "kept:busy").await;
    let clients = brokers.iter().flat_map(|broker| std::iter::repeat_n(broker, CLIENTS / brokers.len() + 1));
    let clients = clients.map(|broker| come_and_go(broker, "kept:busy", start.clone(), messages));
    let mut publisher = brokers[brokers.len() - 1].connect().await;
    let publishing = async {
        for number in 0..messages {
            publisher.publish("kept:busy", json!(number)).await;
        }
    };
    let all = futures_util::future::join_all(clients);
    let ((), all) = tokio::join!(publishing, within("everybody has everything", all));
    let expected: Vec<u64> = (0..messages).collect();
    for got in all {
        assert!(got == expected, "not everything once and in order");
    }
}

pub(crate) async fn there_is_one_order(brokers: &[Broker], messages: u64) {
    let mut subscribers = Vec::new();
    for broker in brokers {
        subscribers.push(subscribe(broker, "kept:mixed").await.0);
    }
    let publish = async |index: usize, broker: &Broker| {
        let mut publisher = broker.connect().await;
        for number in 0..messages {
            publisher.publish("kept:mixed", json!([index, number])).await;
        }
    };
    let publishing = brokers.iter().enumerate().map(|(index, broker)| publish(index, broker));
    futures_util::future::join_all(publishing).await;
    let mut orders = Vec::new();
    for subscriber in &mut subscribers {
        let mut order = Vec::new();
        for offset in 1..=messages * brokers.len() as u64 {
            let push = subscriber.push().await;
            assert_eq!(push["pub"]["offset"], offset);
            order.push(push["pub"]["data"].clone());
        }
        assert!(subscriber.unasked().await.is_empty(), "nothing twice");
        orders.push(order);
    }
    assert!(orders.windows(2).all(|pair| pair[0] == pair[1]), "one order for all");
    for (index, _) in brokers.iter().enumerate() {
        let own = orders[0].iter().filter(|data| data[0] == index).map(|data| data[1].clone());
        assert!(own.eq((0..messages).map(Value::from)), "each publisher's own order");
    }
}

pub(crate) async fn the_server_api_has_history(brokers: &[Broker]) {
    let broker = &brokers[0];
    let first = publish(broker, "kept:api", json!(1)).await;
    let skipped = json!({"channel": "kept:api", "data": "skipped", "skip_history": true});
    assert_eq!(broker.api("publish", &skipped).await, json!({"result": {}}));
    let tagged = json!({"channels": ["kept:api", "plain"], "data": 2, "tags": {"a": "b"}});
    let answers = brokers[1].api("broadcast", &tagged).await;
    let epoch = &first["epoch"];
    assert_eq!(
        answers["result"]["responses"],
        json!([{"result": {"offset": 2, "epoch": epoch}}, {"result": {}}])
    );
    let history = async |body: Value| broker.api("history", &body).await;
    let (one, two) = (json!({"offset": 1, "data": 1}), json!({"offset": 2, "data": 2, "tags": {"a": "b"}}));
    for (asked, expected) in [
        (json!({"limit": -1}), json!([one, two])),
        (json!({"limit": 1}), json!([one])),
        (json!({"limit": 1, "reverse": true}), json!([two])),
        (json!({"limit": -1, "since": {"offset": 1, "epoch": epoch}}), json!([two])),
        (json!({"limit": -1, "since": {"offset": 2}, "reverse": true}), json!([one])),
        (json!({}), json!([])),
    ] {
        let mut body = asked.clone();
        body["channel"] = "kept:api".into();
        let expected = json!({"result": {"publications": expected, "offset": 2, "epoch": epoch}});
        assert_eq!(history(body).await, expected, "{asked}");
    }
    for since in
        [json!({"offset": 1, "epoch": "00000000"}), json!({"offset": 1, "epoch": "?"}), json!({"offset": 9})]
    {
        let answer = history(json!({"channel": "kept:api", "limit": -1, "since": since})).await;
        assert_eq!(answer["error"]["code"], 112, "{since}");
    }
    for method in ["history", "history_remove"] {
        let refused =
            async |channel| broker.api(method, &json!({"channel": channel})).await["error"]["code"].clone();
        assert_eq!((refused("plain").await, refused("no:such").await), (json!(108), json!(102)));
    }
    let batch = json!({"commands": [
        {"history_remove": {"channel": "kept:api"}},
        {"publish": {"channel": "kept:api", "data": 3}},
        {"history": {"channel": "kept:api", "limit": -1}},
    ]});
    let replies = broker.api("batch", &batch).await;
    let kept = json!({"publications": [{"offset": 3, "data": 3}], "offset": 3, "epoch": epoch});
    let expected = [
        json!({"history_remove": {}}),
        json!({"publish": {"offset": 3, "epoch": epoch}}),
        json!({"history": kept}),
    ];
    assert_eq!(replies["result"]["replies"], json!(expected));
    // Forgotten is forgotten, and who comes back is told.
    let (_, reply) = resubscribe(&brokers[1], "kept:api", &first).await;
    assert_eq!(reply["recovered"], false);
}
