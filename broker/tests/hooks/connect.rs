//! The hook that is asked before a client connects, after its token or instead of it.

use serde_json::{Value, json};

use super::{at, broker, calls, disconnect, end, error};
use crate::support::{
    Answer, Broker, Frame, Receiver, eventually,
    token::{SECRET, in_seconds, token},
};

/// A broker that lets nobody in whom the hook does not name.
async fn named_by(receiver: &Receiver) -> Broker {
    let hook = at(receiver, "instead_of_token: true", "");
    Broker::start(&format!("hooks: {{connect: {hook}}}\n")).await
}

async fn infos(client: &mut crate::support::Client) -> Vec<Value> {
    let presence = client.command(json!({"presence": {"channel": "room"}})).await;
    presence["presence"]["presence"].as_object().unwrap().values().cloned().collect()
}

#[tokio::test]
async fn a_connect_is_asked_about_after_its_token_was_judged() {
    let receiver = Receiver::start(Answer::Json(json!({"result": {"info": {"vip": true}}}))).await;
    let hook = at(&receiver, "", "");
    let text = format!("auth: {{jwt: {{hmac_secret: \"{SECRET}\"}}}}\nhooks: {{connect: {hook}}}\n");
    let broker = Broker::start(&text).await;
    let mut client = broker.open().await;
    let bearer = token(&json!({"sub": "ann", "info": {"a": 1}}));
    let connect = json!({"connect": {"token": bearer, "name": "js", "data": {"room": 7}}});
    let id = client.command(connect).await["connect"]["client"].clone();
    client.subscribe("room").await;
    let info = json!({"user": "ann", "client": id, "conn_info": {"vip": true}});
    assert_eq!(infos(&mut client).await, [info]);
    let mut asked = receiver.got()[0].json();
    assert!(asked.as_object_mut().unwrap().remove("id").is_some());
    assert!(asked.as_object_mut().unwrap().remove("instance").is_some());
    let expected = json!({
        "hook": "connect", "client": id, "user": "ann", "transport": "websocket", "name": "js",
        "info": {"user": "ann", "client": id, "conn_info": {"a": 1}}, "data": {"room": 7},
    });
    assert_eq!(asked, expected, "the token itself is nobody's business");

    let mut other = broker.open().await;
    other.send(r#"{"id":1,"connect":{"token":"nonsense"}}"#).await;
    assert_eq!(other.end().await, 3500);
    assert_eq!(receiver.got().len(), 1, "a token that does not hold is not asked about");
    receiver.always(Answer::Json(json!({"result": {"user": "bob"}})));
    let reply = broker.open().await.command(json!({"connect": {"token": bearer}})).await;
    assert_eq!(reply["error"]["code"], 100, "nor can the answer give it to another user: {reply}");
    assert_eq!(calls(&broker, "connect", "bad_answer").await, 1);
}

#[tokio::test]
async fn a_connect_that_is_refused_may_be_tried_again_on_the_same_connection() {
    let receiver = Receiver::start(error(1003)).await;
    let broker = broker(&format!("connect: {}", at(&receiver, "", ""))).await;
    let mut client = broker.open().await;
    // A client's library sends its subscribes with its connect.
    client.send("{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":\"room\"}}").await;
    let reply = client.line().await;
    assert_eq!(reply, json!({"id": 1, "error": {"code": 1003, "message": "not \"you\""}}));
    receiver.always(Answer::Json(json!({})));
    client.send("{\"id\":3,\"connect\":{}}\n{\"id\":4,\"subscribe\":{\"channel\":\"room\"}}").await;
    assert_eq!(client.line().await["id"], 3);
    assert_eq!(client.line().await, json!({"id": 4, "subscribe": {}}));
    assert_eq!(broker.metric("connections", &[("endpoint", "websocket")]).await, 1);
}

#[tokio::test]
async fn a_connect_that_is_not_wanted_ends_the_connection() {
    let receiver = Receiver::start(disconnect(4502)).await;
    let broker = broker(&format!("connect: {}", at(&receiver, "", ""))).await;
    let mut client = broker.open().await;
    client.send(r#"{"id":1,"connect":{}}"#).await;
    assert_eq!(end(&mut client).await, Frame::Close(4502, "go \"away\"".into()));
    assert_eq!(broker.metric("connects_total", &[("endpoint", "websocket")]).await, 0);
}

#[tokio::test]
async fn the_answer_says_who_connects_where_it_stands_for_the_token() {
    let receiver = Receiver::start(Answer::Json(json!({"result": {"user": "ann"}}))).await;
    let broker = named_by(&receiver).await;
    let mut client = broker.open().await;
    let id = client.connect("a session of the application's own").await["client"].clone();
    client.subscribe("room").await;
    assert_eq!(infos(&mut client).await, [json!({"user": "ann", "client": id})]);
    let asked = receiver.got()[0].json();
    assert_eq!(asked["token"], "a session of the application's own");
    assert_eq!((asked.get("user"), asked.get("info")), (None, None));

    for answer in [json!({}), json!({"result": {}}), json!({"result": {"user": "", "info": 1}})] {
        receiver.always(Answer::Json(answer));
        let mut nobody = broker.open().await;
        nobody.send(r#"{"id":1,"connect":{}}"#).await;
        assert_eq!(nobody.end().await, 3507, "anonymous clients are not allowed");
    }
    assert_eq!(broker.rejected("no_token").await, 3);
}

#[tokio::test]
async fn a_connection_ends_when_the_answer_says_so_and_no_token_makes_it_longer() {
    let end = in_seconds(2);
    let receiver = Receiver::start(Answer::Json(json!({"result": {"expire_at": end}}))).await;
    let hook = at(&receiver, "", "");
    let auth = format!("auth: {{jwt: {{hmac_secret: \"{SECRET}\"}}}}\n");
    let broker =
        Broker::start(&format!("{auth}limits: {{token_grace: 0s}}\nhooks: {{connect: {hook}}}\n")).await;
    let mut client = broker.open().await;
    let bearer = token(&json!({"sub": "ann", "exp": in_seconds(3600)}));
    let connect = client.connect(&bearer).await;
    assert!(connect["ttl"].as_u64().unwrap() > 60, "a client asks for new tokens by the token's end");
    client.send(&json!({"id": 7, "refresh": {"token": bearer}}).to_string()).await;
    assert_eq!(client.end().await, 3005);
}

#[tokio::test]
async fn who_goes_while_a_hook_is_asked_leaves_nothing_behind() {
    let receiver = Receiver::start(Answer::Later(json!({}))).await;
    let broker = broker(&format!("connect: {}", at(&receiver, "", ""))).await;
    let mut client = broker.open().await;
    client.send(r#"{"id":1,"connect":{}}"#).await;
    eventually("it is asked", async || receiver.got().len() == 1).await;
    drop(client);
    eventually("it is gone", async || broker.ended("connection_closed").await == 1).await;
    receiver.let_go(1);
    let pending = async || broker.metric("hook_pending", &[("hook", "connect")]).await;
    eventually("nothing is pending", async || pending().await == 0).await;
    assert_eq!(broker.metric("connections", &[("endpoint", "websocket")]).await, 0);
    assert_eq!(broker.metric("hook_breaker", &[("hook", "connect")]).await, 0, "it was no failure");
}
