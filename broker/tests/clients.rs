//! What one instance can do with the clients of all: messages, lists, notes, the end of connections.
//!
//! The cases are those of several brokers, on a backplane in memory here and on a real Redis in
//! [`crate::redis`].

pub(crate) mod left_out;
pub(crate) mod whole;

use std::sync::Arc;

use serde_json::{Value, json};
use switchboard::{backplane::memory::Memory, clock::tick_ms};

use crate::support::{Broker, Client, OPEN, eventually, token::SECRET, token::token};

/// Anonymous clients and those with tokens.
pub(crate) fn settings(number: usize) -> String {
    let auth = OPEN.replace("auth: {", &format!("auth: {{jwt: {{hmac_secret: {SECRET:?}}}, "));
    format!(
        "{auth}instance: {{id: chat-{number}}}\nlimits: {{channels_per_client: 2}}\n\
         channels: {{namespaces: [{{name: ''}}, {{name: only, subscribe: nobody, join_leave: true}}, \
         {{name: kept, history: {{size: 10}}}}]}}\n"
    )
}

async fn cluster() -> Vec<Broker> {
    let memory = Arc::new(Memory::default());
    let mut brokers = Vec::new();
    for number in 0..3 {
        brokers.push(Broker::joining(&memory, &settings(number)).await);
    }
    brokers
}

/// A connected client of this user, and its id.
async fn client_of(broker: &Broker, user: &str) -> (Client, String) {
    let mut client = broker.open().await;
    let token = if user.is_empty() { String::new() } else { token(&json!({"sub": user})) };
    let reply = client.connect(&token).await;
    let id = reply["client"].as_str().unwrap().to_owned();
    (client, id)
}

async fn send(broker: &Broker, body: Value) -> Value {
    let mut answer = broker.api("send", &body).await;
    assert!(answer["result"].is_object(), "{answer}");
    answer["result"].take()
}

/// The ids of a page, and the page.
async fn list(broker: &Broker, query: Value) -> (Vec<String>, Value) {
    let page = broker.api("clients", &query).await["result"].take();
    let clients = page["clients"].as_array().unwrap_or_else(|| panic!("no page: {page}"));
    (clients.iter().map(|client| client["id"].as_str().unwrap().to_owned()).collect(), page)
}

/// All instances know of so many clients.
async fn known(brokers: &[Broker], count: usize) {
    for broker in brokers {
        eventually("the clients are listed", async || list(broker, json!({})).await.0.len() == count).await;
    }
}

pub(crate) async fn direct_messages_reach_their_client_and_say_so(brokers: &[Broker]) {
    let (mut ann, ann_id) = client_of(&brokers[0], "ann").await;
    let (mut bob, bob_id) = client_of(&brokers[1], "bob").await;
    let nobody = "0190163d-8694-739b-aea5-966c26f8ad91";
    // The directory learns of them a moment after they connect.
    for (from, to) in [(&brokers[2], &ann_id), (&brokers[2], &bob_id)] {
        let find = async || {
            send(from, json!({"clients": [to], "data": "hello"})).await["clients"][to] == "delivered"
        };
        eventually("the client is found", find).await;
    }
    for client in [&mut ann, &mut bob] {
        assert_eq!(client.push().await, json!({"message": {"data": "hello"}}));
    }
    for broker in brokers {
        let body = json!({"clients": [ann_id, nobody, bob_id, ann_id], "data": {"n": 1}});
        let expected =
            json!({(ann_id.as_str()): "delivered", (nobody): "gone", (bob_id.as_str()): "delivered"});
        assert_eq!(send(broker, body).await["clients"], expected);
        for client in [&mut ann, &mut bob] {
            assert_eq!(client.push().await, json!({"message": {"data": {"n": 1}}}), "and once only");
        }
    }
    drop(bob);
    let gone = async || {
        send(&brokers[2], json!({"clients": [bob_id], "data": 1})).await["clients"][&bob_id] == "gone"
    };
    eventually("bob is gone for all", gone).await;
    assert!(ann.unasked().await.is_empty());
}

pub(crate) async fn everyone_gets_what_is_for_everyone(brokers: &[Broker]) {
    let mut clients = Vec::new();
    for broker in brokers {
        clients.push(client_of(broker, "").await.0);
        clients.push(client_of(broker, "ann").await.0);
    }
    send(&brokers[1], json!({"everyone": true, "data": "maintenance"})).await;
    for client in &mut clients {
        assert_eq!(client.push().await, json!({"message": {"data": "maintenance"}}));
        assert!(client.unasked().await.is_empty());
    }
}

pub(crate) async fn lists_have_pages_and_filters(brokers: &[Broker]) {
    let (mut clients, mut ids) = (Vec::new(), Vec::new());
    for round in 0..4 {
        for broker in brokers {
            let (client, id) = client_of(broker, if round == 0 { "" } else { "ann" }).await;
            clients.push(client);
            ids.push(id);
        }
    }
    known(brokers, ids.len()).await;
    ids.sort();
    let (mut seen, mut after) = (Vec::new(), Value::Null);
    loop {
        let mut query = json!({"limit": 5});
        if !after.is_null() {
            query["after"] = after.take();
        }
        let (page, answer) = list(&brokers[1], query).await;
        assert!(page.len() <= 5);
        seen.extend(page);
        after = answer["next"].clone();
        if after.is_null() {
            break;
        }
    }
    assert_eq!(seen, ids, "without gap or overlap, in the order in which they connected");
    for (query, count) in [
        (json!({"user": "ann"}), 9),
        (json!({"user": ""}), 3),
        (json!({"user": "bob"}), 0),
        (json!({"instance": "chat-1"}), 4),
        (json!({"instance": "chat-1", "user": "ann"}), 3),
        (json!({"endpoint": "websocket"}), 12),
        (json!({"endpoint": "tcp"}), 0),
        (json!({"silent_since": 1}), 0),
    ] {
        let (found, page) = list(&brokers[2], query.clone()).await;
        assert_eq!(found.len(), count, "{query}: {page}");
    }
    let page = list(&brokers[0], json!({"instance": "chat-2", "user": ""})).await.1;
    let client = &page["clients"][0];
    assert_eq!((&client["instance"], &client["endpoint"]), (&json!("chat-2"), &json!("websocket")));
    assert!(client["connected"].as_u64() <= client["last_message"].as_u64());
}

pub(crate) async fn notes_are_known_to_all(brokers: &[Broker]) {
    let (mut ann, id) = client_of(&brokers[0], "ann").await;
    let note = json!({"client": id, "metadata": {"room": "7", "lang": "de"}});
    let noted = async || brokers[2].api("note", &note).await == json!({"result": {}});
    eventually("the client is found", noted).await;
    for broker in brokers {
        let (found, page) = list(broker, json!({"metadata": {"room": "7"}})).await;
        assert_eq!(found, [id.as_str()]);
        assert_eq!(page["clients"][0]["metadata"], json!({"room": "7", "lang": "de"}));
    }
    brokers[1].api("note", &json!({"client": id, "metadata": {"room": ""}})).await;
    assert!(list(&brokers[2], json!({"metadata": {"room": "7"}})).await.0.is_empty());
    // What it sends is news too.
    let last = async || list(&brokers[2], json!({})).await.1["clients"][0]["last_message"].as_u64().unwrap();
    let before = last().await;
    eventually("its last message is later", async || {
        ann.command(json!({"ping": {}})).await;
        last().await > before
    })
    .await;
    let gone = json!({"client": "0190163d-8694-739b-aea5-966c26f8ad91", "metadata": {}});
    assert_eq!(brokers[0].api("note", &gone).await["error"]["code"], 104);
}

pub(crate) async fn connections_end_anywhere(brokers: &[Broker]) {
    let (mut ann, ann_id) = client_of(&brokers[0], "ann").await;
    let (mut again, _) = client_of(&brokers[1], "ann").await;
    let (mut bob, bob_id) = client_of(&brokers[1], "bob").await;
    known(brokers, 3).await;
    let ended = async || {
        let answer = brokers[2].api("disconnect", &json!({"client": bob_id})).await;
        answer["result"]["disconnected"] == 1
    };
    eventually("the client is found", ended).await;
    assert_eq!(bob.end().await, 3503);
    let answer = brokers[2].api("disconnect", &json!({"user": "ann", "reconnect": true})).await;
    assert_eq!(answer, json!({"result": {"disconnected": 2}}));
    assert_eq!(ann.end().await, 3011);
    assert_eq!(again.end().await, 3011);
    drop((ann, again, bob));
    known(brokers, 0).await;
    let gone = brokers[1].api("disconnect", &json!({"client": ann_id})).await;
    assert_eq!(gone, json!({"result": {"disconnected": 0}}));
    for bad in
        [json!({}), json!({"user": ""}), json!({"user": "ann", "client": ann_id}), json!({"client": "x"})]
    {
        assert_eq!(brokers[0].api("disconnect", &bad).await["error"]["code"], 107, "{bad}");
    }
}

/// What a client was pushed that it did not ask for, but for others who come and go.
async fn pushed(client: &mut Client) -> Vec<Value> {
    let pushes = client.unasked().await.into_iter().map(|mut line| line["push"].take());
    pushes.filter(|push| push["join"].is_null() && push["leave"].is_null()).collect()
}

/// The next push that is not about others.
async fn next_push(client: &mut Client) -> Value {
    loop {
        let push = client.push().await;
        if push["join"].is_null() && push["leave"].is_null() {
            return push;
        }
    }
}

pub(crate) async fn the_server_subscribes_and_unsubscribes_clients_anywhere(brokers: &[Broker]) {
    let (mut ann, _) = client_of(&brokers[0], "ann").await;
    let (mut again, again_id) = client_of(&brokers[1], "ann").await;
    let (mut bob, bob_id) = client_of(&brokers[1], "bob").await;
    known(brokers, 3).await;
    let subscribed = json!({"channel": "only:us", "subscribe": {}});
    let ended = json!({"channel": "only:us", "unsubscribe": {"code": 2000, "reason": "server unsubscribe"}});
    assert_eq!(ann.error(json!({"subscribe": {"channel": "only:us"}})).await, 103, "nobody may by itself");

    let user = json!({"user": "ann", "channel": "only:us"});
    let answer = brokers[2].api("subscribe", &user).await;
    assert_eq!(answer, json!({"result": {"subscribed": 2}}));
    brokers[2].api("publish", &json!({"channel": "only:us", "data": 1})).await;
    for client in [&mut ann, &mut again] {
        assert_eq!(client.push().await, subscribed, "before anything of the channel");
        assert_eq!(next_push(client).await["pub"]["data"], 1);
    }
    let answer = brokers[0].api("subscribe", &user).await;
    assert_eq!(answer, json!({"result": {"subscribed": 2}}), "asking again does no harm");
    for client in [&mut ann, &mut again, &mut bob] {
        assert!(pushed(client).await.is_empty(), "and nobody is told again");
    }

    // One client, by itself and as a user's. The directory learns of it a moment after it connects.
    let not_hers = json!({"client": bob_id, "user": "ann", "channel": "only:us"});
    assert_eq!(brokers[2].api("subscribe", &not_hers).await, json!({"result": {"subscribed": 0}}));
    let one = json!({"client": bob_id, "channel": "only:us"});
    let found = async || brokers[2].api("subscribe", &one).await == json!({"result": {"subscribed": 1}});
    eventually("bob is found", found).await;
    assert_eq!(bob.push().await, subscribed);
    let hers = json!({"client": again_id, "user": "ann", "channel": "only:us"});
    let found = async || brokers[0].api("unsubscribe", &hers).await == json!({"result": {"unsubscribed": 1}});
    eventually("she is found", found).await;
    assert_eq!(pushed(&mut again).await, std::slice::from_ref(&ended));
    brokers[0].api("publish", &json!({"channel": "only:us", "data": 2})).await;
    for client in [&mut ann, &mut bob] {
        assert_eq!(next_push(client).await["pub"]["data"], 2);
    }
    assert!(pushed(&mut again).await.is_empty(), "nothing comes after the end");

    assert_eq!(brokers[2].api("unsubscribe", &user).await, json!({"result": {"unsubscribed": 1}}));
    assert_eq!(brokers[2].api("unsubscribe", &user).await, json!({"result": {"unsubscribed": 0}}));
    assert_eq!(pushed(&mut ann).await, [ended]);
    eventually("bob alone is there", async || {
        let who = brokers[0].api("presence", &json!({"channel": "only:us"})).await;
        who["result"]["presence"].as_object().unwrap().keys().eq([&bob_id])
    })
    .await;

    // What cannot be.
    let of_bob = |channel| json!({"user": "bob", "channel": channel});
    assert_eq!(brokers[0].api("subscribe", &of_bob("second")).await["result"]["subscribed"], 1);
    assert_eq!(brokers[0].api("subscribe", &of_bob("third")).await["error"]["code"], 106);
    for (bad, code) in [
        (json!({"channel": "a"}), 107),
        (json!({"channel": "a", "user": ""}), 107),
        (json!({"channel": "", "user": "ann"}), 107),
        (json!({"channel": "no:such", "user": "ann"}), 102),
        (json!({"channel": "a", "user": "ann", "dance": 1}), 107),
    ] {
        for method in ["subscribe", "unsubscribe"] {
            assert_eq!(brokers[0].api(method, &bad).await["error"]["code"], code, "{bad}");
        }
    }
    // Who goes takes the subscriptions of the server's making along.
    drop(bob);
    known(brokers, 2).await;
    eventually("nobody is subscribed", async || {
        brokers[2].api("channels", &json!({})).await == json!({"result": {"channels": {}}})
    })
    .await;
    let gone = json!({"client": bob_id, "channel": "a"});
    let found = async || brokers[0].api("subscribe", &gone).await == json!({"result": {"subscribed": 0}});
    eventually("bob is gone for all", found).await;
}

#[tokio::test]
async fn an_answer_to_a_ping_is_no_message() {
    let broker = Broker::start(OPEN).await;
    let mut client = broker.connect().await;
    let record = async || list(&broker, json!({})).await.1["clients"][0].take();
    let before = record().await;
    eventually("time has passed", async || tick_ms() > before["last_message"].as_u64().unwrap()).await;
    client.send("{}").await;
    eventually("it was read", async || broker.metric("received_total", &[("command", "pong")]).await == 1)
        .await;
    assert_eq!(record().await, before);
    client.command(json!({"ping": {}})).await;
    assert!(record().await["last_message"].as_u64() > before["last_message"].as_u64());
}

#[tokio::test]
async fn direct_messages() {
    direct_messages_reach_their_client_and_say_so(&cluster().await).await;
}

#[tokio::test]
async fn messages_for_everyone() {
    everyone_gets_what_is_for_everyone(&cluster().await).await;
}

#[tokio::test]
async fn lists() {
    lists_have_pages_and_filters(&cluster().await).await;
}

#[tokio::test]
async fn left_out() {
    left_out::some_are_left_out_wherever_they_are(&cluster().await).await;
}

#[tokio::test]
async fn lists_of_channels() {
    whole::lists_of_a_channel_are_of_who_is_in_it(&cluster().await).await;
}

#[tokio::test]
async fn notes() {
    notes_are_known_to_all(&cluster().await).await;
}

#[tokio::test]
async fn disconnects() {
    connections_end_anywhere(&cluster().await).await;
}

#[tokio::test]
async fn subscriptions() {
    the_server_subscribes_and_unsubscribes_clients_anywhere(&cluster().await).await;
}

#[tokio::test]
async fn whole_channels() {
    whole::all_in_a_channel_are_put_into_another_and_ended(&cluster().await).await;
}

#[tokio::test]
async fn nobody_named_is_nobody_reached() {
    let broker = Broker::start(OPEN).await;
    for bad in [json!({"data": 1}), json!({"everyone": false, "data": 1}), json!({"everyone": true})] {
        assert_eq!(broker.api("send", &bad).await["error"]["code"], 107, "{bad}");
    }
    let answer = send(&broker, json!({"logic": ["nothing"], "data": 1})).await;
    assert_eq!(answer["logic"]["nothing"]["error"], "no such logic module");
}

#[tokio::test]
async fn a_batch_answers_each_command_in_order() {
    let broker = Broker::start(OPEN).await;
    let mut client = broker.connect().await;
    client.subscribe("news").await;
    for parallel in [false, true] {
        let commands = json!([
            {"publish": {"channel": "news", "data": 1}},
            {"publish": {"channel": "nowhere:x", "data": 1}},
            {"presence_stats": {"channel": "news"}},
            {"channels": {}},
        ]);
        let answer = broker.api("batch", &json!({"commands": commands, "parallel": parallel})).await;
        let replies = &answer["result"]["replies"];
        assert_eq!(replies[0], json!({"publish": {}}));
        assert_eq!(replies[1]["error"]["code"], 102);
        assert_eq!(replies[2], json!({"presence_stats": {"num_clients": 1, "num_users": 1}}));
        assert_eq!(replies[3], json!({"channels": {"channels": {"news": {"num_clients": 1}}}}));
        assert_eq!(client.publication("news").await, 1);
    }
    for bad in [json!({"commands": []}), json!({"commands": [{"dance": {}}]}), json!({})] {
        assert_eq!(broker.api("batch", &bad).await["error"]["code"], 107, "{bad}");
    }
}
