//! The example receiver in Node.js.

use serde_json::json;

use super::{KEY, at_url, end, publish, subscribe};
use crate::support::{Broker, Frame, talking_receiver, within};

#[tokio::test]
async fn the_example_lets_in_who_has_a_ticket_and_decides_what_they_may() {
    let (_receiver, address, mut printed) = talking_receiver(KEY).await;
    let hook = |more: &str, webhook: &str| at_url(&format!("http://{address}/hooks"), more, webhook);
    let broker = Broker::start(&format!(
        "channels: {{namespaces: [{{name: room}}]}}\nhooks: {{connect: {}, subscribe: {}, publish: {}, disconnect: {}}}\n",
        hook("instead_of_token: true", ""),
        hook("namespaces: [room]", ""),
        hook("", ""),
        hook("", "batch: 100")
    ))
    .await;
    let mut nobody = broker.open().await;
    nobody.send(r#"{"id":1,"connect":{"token":"a stolen ticket"}}"#).await;
    assert_eq!(end(&mut nobody).await, Frame::Close(4501, "no such ticket".into()));

    let (mut ann, mut bob) = (broker.open().await, broker.open().await);
    ann.connect("anns-ticket").await;
    bob.connect("bobs-ticket").await;
    ann.subscribe("room:staff").await;
    assert_eq!(bob.error(subscribe("room:staff")).await, 403);
    ann.subscribe("room:7").await;
    bob.subscribe("room:7").await;
    assert_eq!(bob.command(publish("room:7", &json!({"text": "darn it"}))).await, json!({"publish": {}}));
    assert_eq!(ann.publication("room:7").await, json!({"text": "**** it", "by": "bob"}));
    assert_eq!(ann.error(publish("room:7", &json!(7))).await, 400);
    drop(bob);
    let line = within("the receiver is told", printed.next_line()).await.unwrap().unwrap();
    assert_eq!(line, "bob has gone: connection closed");
}
