//! The hook that is asked before a client subscribes.

use serde_json::json;

use super::{at, broker, calls, disconnect, end, error, of_user, subscribe};
use crate::support::{Answer, Frame, Receiver};

#[tokio::test]
async fn a_subscription_is_asked_about_and_its_info_is_that_of_the_answer() {
    let receiver = Receiver::start(Answer::Json(json!({"result": {"info": {"role": "guest"}}}))).await;
    let broker = broker(&format!("subscribe: {}", at(&receiver, "", ""))).await;
    let mut client = of_user(&broker, "ann").await;
    client.subscribe("room").await;
    let presence = client.command(json!({"presence": {"channel": "room"}})).await;
    let members = presence["presence"]["presence"].as_object().unwrap();
    let (id, member) = members.iter().next().unwrap();
    assert_eq!(*member, json!({"user": "ann", "client": id, "chan_info": {"role": "guest"}}));
    client.publish("room", json!(1)).await;
    assert_eq!(client.publication("room").await, 1);
    let asked = receiver.got()[0].json();
    assert_eq!((&asked["hook"], &asked["channel"]), (&json!("subscribe"), &json!("room")));
    assert_eq!((&asked["user"], asked.get("data")), (&json!("ann"), None));
}

#[tokio::test]
async fn a_subscription_is_refused_or_ends_the_connection() {
    let receiver = Receiver::start(error(1002)).await;
    let broker = broker(&format!("subscribe: {}", at(&receiver, "", ""))).await;
    let mut client = broker.connect().await;
    let reply = client.command(subscribe("room")).await;
    assert_eq!(reply, json!({"error": {"code": 1002, "message": "not \"you\""}}));
    broker.api("publish", &json!({"channel": "room", "data": 1})).await;
    assert!(client.unasked().await.is_empty());
    assert_eq!(broker.metric("subscriptions", &[]).await, 0);
    receiver.always(disconnect(4000));
    client.send(&json!({"id": 9, "subscribe": {"channel": "room"}}).to_string()).await;
    assert_eq!(end(&mut client).await, Frame::Close(4000, "go \"away\"".into()));
    assert_eq!(calls(&broker, "subscribe", "disconnected").await, 1);
}

#[tokio::test]
async fn who_is_subscribed_already_is_not_asked_about_again() {
    let receiver = Receiver::start(Answer::Json(json!({}))).await;
    let broker = broker(&format!("subscribe: {}", at(&receiver, "", ""))).await;
    let mut client = broker.connect().await;
    client.subscribe("room").await;
    assert_eq!(client.error(subscribe("room")).await, 105);
    assert_eq!(receiver.got().len(), 1);
    client.command(json!({"unsubscribe": {"channel": "room"}})).await;
    client.subscribe("room").await;
    assert_eq!(receiver.got().len(), 2);
}
