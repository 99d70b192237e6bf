//! Logic modules in another language: what is POSTed to them, and what becomes of their replies.

mod batches;
mod node;
mod tls;
mod trouble;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{
    Answer, Broker, OPEN, Receiver, eventually,
    token::{SECRET, token},
};

const KEY: &str = "a secret of the tests, for webhooks";

/// A broker whose module `hook` is at this URL, with these keys of the webhook and of the module beside.
async fn broker_at(url: &str, webhook: &str, module: &str) -> Broker {
    let auth = OPEN.replace("auth: {", &format!("auth: {{jwt: {{hmac_secret: \"{SECRET}\"}}, "));
    let webhook = format!("{{url: \"{url}\", secret: \"{KEY}\", retry_delay: 1ms, {webhook}}}");
    Broker::start(&format!(
        "{auth}instance: {{id: chat-0}}\nlogic: {{modules: [{{name: hook, receives: [send, rpc], webhook: {webhook}, {module}}}]}}\n"
    ))
    .await
}

async fn broker(receiver: &Receiver, webhook: &str, module: &str) -> Broker {
    broker_at(&format!("http://{}/messages?a=1", receiver.address), webhook, module).await
}

fn rpc(data: &Value) -> Value {
    json!({"rpc": {"method": "hook", "data": data}})
}

async fn runs(broker: &Broker, outcome: &str) -> u64 {
    broker.metric("logic_runs_total", &[("module", "hook"), ("outcome", outcome)]).await
}

async fn attempts(broker: &Broker, outcome: &str) -> u64 {
    broker.metric("webhook_attempts_total", &[("module", "hook"), ("outcome", outcome)]).await
}

async fn actions(broker: &Broker, outcome: &str) -> u64 {
    broker.metric("webhook_actions_total", &[("module", "hook"), ("outcome", outcome)]).await
}

/// HMAC-SHA256 by its definition (RFC 2104), in hexadecimal.
fn hmac(key: &[u8], message: &[u8]) -> String {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    let outer = Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize();
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_call_is_posted_signed_and_answered_with_the_reply() {
    let receiver = Receiver::start(Answer::Echo).await;
    let broker = broker(&receiver, "headers: {Authorization: Bearer abc}", "").await;
    let mut client = broker.open().await;
    let id = client.connect(&token(&json!({"sub": "ann", "info": {"a": 1}}))).await["client"].clone();
    let data = json!({"n": [1, 2.5], "text": "a\"b"});
    assert_eq!(client.command(rpc(&data)).await, json!({"rpc": {"data": data}}));
    client.send(&json!({"send": {"data": "no answer"}}).to_string()).await;
    eventually("the second came", async || receiver.got().len() == 2).await;

    let got = receiver.got();
    let mut body = got[0].json();
    assert_eq!(got[0].header("x-switchboard-delivery"), body["id"].as_str().unwrap());
    assert!(body["messages"][0]["id"].is_string());
    body["messages"][0].as_object_mut().unwrap().remove("id");
    let info = json!({"user": "ann", "client": id, "conn_info": {"a": 1}});
    let message = json!({
        "from": "client", "client": id, "user": "ann", "info": info, "rpc": true, "metadata": {}, "data": data,
    });
    assert_eq!(body["messages"], json!([message]));
    assert_eq!((&body["module"], &body["instance"]), (&json!("hook"), &json!("chat-0")));
    assert_eq!(got[1].json()["messages"][0]["rpc"], false);
    for got in &got {
        assert_eq!(got.header("content-type"), "application/json");
        assert_eq!(got.header("authorization"), "Bearer abc");
        let signed = [got.header("x-switchboard-timestamp").as_bytes(), b".", &got.body].concat();
        assert_eq!(got.header("x-switchboard-signature"), format!("v1={}", hmac(KEY.as_bytes(), &signed)));
    }
    assert_ne!(got[0].header("x-switchboard-delivery"), got[1].header("x-switchboard-delivery"));
    eventually("both are counted", async || runs(&broker, "ok").await == 2).await;
    assert_eq!(attempts(&broker, "ok").await, 2);
}

#[tokio::test]
async fn a_module_can_be_refused_answered_with_nothing_or_called_by_the_server_api() {
    let receiver = Receiver::start(Answer::Status(204, &[], "")).await;
    let broker = broker(&receiver, "", "").await;
    let mut client = broker.connect().await;
    assert_eq!(client.command(rpc(&json!(1))).await, json!({"rpc": {"data": null}}));
    receiver.always(Answer::Json(json!({"reject": "not you"})));
    let refused = client.command(rpc(&json!(1))).await;
    assert_eq!(refused, json!({"error": {"code": 103, "message": "not you"}}));
    let asked = json!({"logic": ["hook"], "data": 1, "metadata": {"room": "7"}});
    let answer = broker.api("send", &asked).await;
    assert_eq!(answer["result"]["logic"]["hook"]["error"], "not you");
    let message = &receiver.got()[2].json()["messages"][0];
    assert_eq!((&message["from"], &message["rpc"]), (&json!("api"), &json!(true)));
    assert_eq!(message["metadata"], json!({"room": "7"}));
    assert_eq!(runs(&broker, "refused").await, 2);
}

#[tokio::test]
async fn what_a_reply_asks_for_is_done_in_order() {
    let receiver = Receiver::start(Answer::Json(json!({}))).await;
    let broker = broker(&receiver, "", "").await;
    let (mut ann, mut bob) = (broker.open().await, broker.open().await);
    let ann_id = ann.connect("").await["client"].clone();
    let bob_id = bob.connect(&token(&json!({"sub": "bob"}))).await["client"].clone();
    for channel in ["news", "sport"] {
        ann.subscribe(channel).await;
    }
    receiver.next([Answer::Json(json!({"replies": [{
        "data": "done",
        "disconnect": [{"user": "bob", "reconnect": true}],
        "broadcast": [{"channels": ["news", "sport"], "data": 4}],
        "publish": [{"channel": "news", "data": 3, "metadata": {"k": "v"}}],
        "send": [{"clients": [bob_id], "data": 1}, {"everyone": true, "channel": "news", "data": {"a": 2}}],
        "note": [{"client": ann_id, "metadata": {"level": "3"}}],
    }]}))]);
    assert_eq!(ann.command(rpc(&json!("go"))).await, json!({"rpc": {"data": "done"}}));
    assert_eq!(bob.push().await, json!({"message": {"data": 1}}));
    assert_eq!(bob.push().await, json!({"message": {"data": {"a": 2}}}));
    assert_eq!(bob.end().await, 3011, "everything came before the end");
    let mut pushes = ann.unasked().await;
    let messages = pushes.iter().position(|push| push["push"].get("message").is_some()).unwrap();
    assert_eq!(pushes.remove(messages)["push"], json!({"message": {"data": {"a": 2}}}));
    let pushed: Vec<_> =
        pushes.iter().map(|push| (&push["push"]["channel"], &push["push"]["pub"]["data"])).collect();
    let (news, sport) = (json!("news"), json!("sport"));
    let data = [json!({"a": 2}), json!(3), json!(4)];
    assert_eq!(pushed, [(&news, &data[0]), (&news, &data[1]), (&news, &data[2]), (&sport, &data[2])]);
    assert_eq!(pushes[1]["push"]["pub"]["tags"], json!({"k": "v"}));
    let clients = broker.api("clients", &json!({})).await;
    assert_eq!(clients["result"]["clients"][0]["metadata"], json!({"level": "3"}), "{clients}");
    assert_eq!(actions(&broker, "done").await, 6);
    assert_eq!(actions(&broker, "failed").await, 0);
}

#[tokio::test]
async fn a_reply_moves_clients_and_leaves_some_out() {
    let receiver = Receiver::start(Answer::Json(json!({}))).await;
    let broker = broker(&receiver, "", "").await;
    let (mut ann, mut bob) = (broker.connect().await, broker.open().await);
    let bob_id = bob.connect("").await["client"].clone();
    ann.subscribe("news").await;
    receiver.next([Answer::Json(json!({
        "data": "done",
        "publish": [
            {"channel": "sport", "data": 1, "except": {"clients": [bob_id]}},
            {"channel": "sport", "data": 2, "except": {"channels": ["news"]}},
        ],
        "unsubscribe": [{"in": "sport", "channel": "news"}],
        "subscribe": [
            {"in": "news", "channel": "sport"}, {"client": bob_id, "channel": "sport"},
            {"client": bob_id, "channel": "news"}, {"user": "nobody", "channel": "sport"},
        ],
    }))]);
    assert_eq!(ann.command(rpc(&json!("go"))).await, json!({"rpc": {"data": "done"}}));
    let subscribed = |channel: &str| json!({"channel": channel, "subscribe": {}});
    assert_eq!(ann.push().await, subscribed("sport"));
    assert_eq!([bob.push().await, bob.push().await], ["sport", "news"].map(subscribed));
    for client in [&mut ann, &mut bob] {
        assert_eq!(client.push().await["unsubscribe"]["code"], 2000);
    }
    assert_eq!([ann.publication("sport").await, ann.publication("sport").await], [1, 2]);
    assert_eq!(bob.publication("sport").await, 2);
    assert_eq!((actions(&broker, "done").await, actions(&broker, "failed").await), (7, 0));
}

#[tokio::test]
async fn a_module_that_sends_to_itself_does_not_wait_for_itself() {
    let receiver = Receiver::start(Answer::Json(json!({"data": 2}))).await;
    let broker = broker(&receiver, "", "mode: worker").await;
    receiver.next([Answer::Json(json!({"data": 1, "send": [{"logic": ["hook"], "data": "again"}]}))]);
    assert_eq!(broker.connect().await.command(rpc(&json!("go"))).await, json!({"rpc": {"data": 1}}));
    eventually("it got its own message", async || receiver.got().len() == 2).await;
    let again = &receiver.got()[1].json()["messages"][0];
    assert_eq!((&again["from"], &again["logic"]), (&json!("logic"), &json!("hook")));
    assert_eq!((&again["data"], &again["rpc"]), (&json!("again"), &json!(false)));
}

#[tokio::test]
async fn an_action_that_cannot_be_done_is_counted_and_the_rest_is_done() {
    let receiver = Receiver::start(Answer::Json(json!({}))).await;
    let broker = broker(&receiver, "", "").await;
    let mut client = broker.connect().await;
    client.subscribe("news").await;
    let gone = "0190163d-8694-739b-aea5-966c26f8ad91";
    receiver.next([Answer::Json(json!({
        "data": "done",
        "publish": [{"channel": "", "data": 1}, {"channel": "no:such", "data": 1}, {"channel": "news", "data": 2}],
        "note": [{"client": gone, "metadata": {"a": "b"}}],
        "send": [{"data": 1}, {"clients": ["nobody"], "data": 1}],
    }))]);
    assert_eq!(client.command(rpc(&json!("go"))).await, json!({"rpc": {"data": "done"}}));
    assert_eq!(client.publication("news").await, 2);
    assert_eq!((actions(&broker, "done").await, actions(&broker, "failed").await), (1, 5));
}

#[tokio::test]
async fn connections_are_kept_for_the_next_message() {
    let receiver = Receiver::start(Answer::Echo).await;
    let broker = broker(&receiver, "", "").await;
    let mut client = broker.connect().await;
    for number in 0..50 {
        assert_eq!(client.command(rpc(&json!(number))).await, json!({"rpc": {"data": number}}));
    }
    let connections = receiver.connections();
    assert!(connections < 10, "{connections} connections for 50 messages");
}
