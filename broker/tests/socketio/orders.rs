//! What a backend has done to clients that share a connection, on whatever instance they are.

use std::sync::Arc;

use serde_json::{Value, json};
use switchboard::backplane::memory::Memory;

use super::{Poller, with};
use crate::support::{
    Broker, eventually,
    token::{SECRET, token},
};

/// Two instances in one memory, with two namespaces.
async fn pair() -> [Broker; 2] {
    let memory = Arc::new(Memory::default());
    let yaml = with("namespaces: [/, /staff]")
        .replace("auth: {", &format!("auth: {{jwt: {{hmac_secret: {SECRET:?}}}, "));
    let yaml = format!("{yaml}channels: {{namespaces: [{{name: ''}}, {{name: staff}}]}}\n");
    let broker = async |id| Broker::joining(&memory, &format!("{yaml}instance: {{id: {id}}}\n")).await;
    [broker("chat-0").await, broker("chat-1").await]
}

/// Connects to this namespace as this user; the client's id.
async fn joined(poller: &Poller, namespace: &str, user: &str) -> String {
    let prefix = if namespace == "/" { String::new() } else { format!("{namespace},") };
    poller.posts(&format!("40{prefix}{}", json!({"token": token(&json!({"sub": user}))}))).await;
    let heard = poller.hears().await;
    let json = heard.strip_prefix(&format!("40{prefix}")).unwrap_or_else(|| panic!("{heard}"));
    serde_json::from_str::<Value>(json).unwrap()["sid"].as_str().unwrap().to_owned()
}

/// The backend ends clients, and is told that there were so many.
async fn ends(broker: &Broker, body: Value, count: u64) {
    let answer = broker.api("disconnect", &body).await;
    assert_eq!(answer, json!({"result": {"disconnected": count}}), "{body}");
}

#[tokio::test]
async fn a_client_goes_out_of_its_namespace_and_others_on_its_connection_go_on() {
    let pair = pair().await;
    for broker in &pair {
        let poller = Poller::open(&pair[0]).await;
        let (main, staff) = (joined(&poller, "/", "ann").await, joined(&poller, "/staff", "bob").await);
        let listed = broker.api("clients", &json!({"endpoint": "socketio"})).await["result"].take();
        let of = |id: &str| {
            let found = listed["clients"].as_array().unwrap().iter().find(|client| client["id"] == id);
            found.unwrap_or_else(|| panic!("{listed}"))["namespace"].clone()
        };
        assert_eq!([of(&main), of(&staff)], [json!("/"), json!("/staff")]);

        ends(broker, json!({"client": staff}), 1).await;
        assert_eq!(poller.hears().await, "41/staff,");
        ends(broker, json!({"client": staff}), 0).await;
        broker.api("send", &json!({"clients": [main], "data": ["still here"]})).await;
        assert_eq!(poller.hears().await, r#"42["still here"]"#);
        let staff = joined(&poller, "/staff", "bob").await;

        // Of a user: what else is on the connection goes on too.
        ends(broker, json!({"user": "ann"}), 1).await;
        assert_eq!(poller.hears().await, "41");
        broker.api("send", &json!({"clients": [staff], "data": ["and here"]})).await;
        assert_eq!(poller.hears().await, r#"42/staff,["and here"]"#);
        let main = joined(&poller, "/", "ann").await;

        // With everybody on the connection.
        ends(broker, json!({"client": main, "connection": true}), 1).await;
        let told = poller.hears().await;
        assert!(told.contains("41/staff,") && told.split('\u{1e}').any(|packet| packet == "41"), "{told}");
        eventually("it is gone", async || poller.is_gone().await).await;
    }
    assert_eq!(pair[0].ended_on("socketio", "forced").await, 8);
    assert_eq!(pair[0].metric("connections", &[("endpoint", "socketio")]).await, 0);
}

#[tokio::test]
async fn who_is_to_come_back_needs_another_connection() {
    let [a, b] = pair().await;
    let poller = Poller::open(&a).await;
    let (main, _) = (joined(&poller, "/", "ann").await, joined(&poller, "/staff", "bob").await);
    ends(&b, json!({"client": main, "reconnect": true}), 1).await;
    eventually("it is gone", async || poller.is_gone().await).await;
    assert_eq!(a.ended_on("socketio", "forced_reconnect").await, 2);
}
