//! Hooks that are asked about clients of endpoints of one's own.

use serde_json::{Value, json};
use switchboard::endpoint::{Credentials, Disconnect, Farewell, Guest, Host, Outgoing};

use super::{HERE, bare, closed, connect, written};
use crate::support::{
    Answer, Broker, OPEN, Receiver, eventually,
    token::{SECRET, in_seconds, token},
    within,
};

/// An endpoint of a broker whose hook is at this receiver.
async fn asked(receiver: &Receiver, hook: &str, more: &str, rest: &str) -> (Broker, Host) {
    let url = format!("http://{}/hook", receiver.address);
    // A machine that is busy with other tests must not be taken for a receiver that is slow.
    let hook = format!("{hook}: {{webhook: {{url: \"{url}\"}}, time_limit: 1m, {more}}}");
    bare(&format!("{rest}hooks: {{{hook}}}\n")).await
}

async fn turned_away(host: &Host, credentials: Credentials<'_>) -> Farewell {
    let Ok(newcomer) = host.admit(HERE) else { panic!("there is a place") };
    let connected: Result<(Guest, Outgoing), Farewell> = newcomer.connect(credentials).await;
    connected.err().expect("it is not let in")
}

/// What was asked last, without what differs each time.
fn last(receiver: &Receiver) -> Value {
    let mut asked = receiver.got().last().expect("it was asked").json();
    let keys = asked.as_object_mut().unwrap();
    for key in ["id", "instance", "client", "info"] {
        keys.remove(key);
    }
    asked
}

#[tokio::test]
async fn a_connect_is_asked_about_after_the_token_was_judged_or_the_endpoint_has_vouched() {
    let receiver = Receiver::start(Answer::Json(json!({"result": {"info": {"vip": true}}}))).await;
    let auth = format!("auth: {{jwt: {{hmac_secret: {SECRET:?}}}}}\n");
    let (broker, host) = asked(&receiver, "connect", "", &auth).await;
    assert_eq!(turned_away(&host, Credentials::Token("nonsense")).await, Disconnect::InvalidToken.into());
    assert!(receiver.got().is_empty(), "a token that does not hold is not asked about");
    let bearer = token(&json!({"sub": "ann"}));
    let (ann, _outgoing) = connect(&host, Credentials::Token(&bearer)).await;
    assert_eq!(receiver.got()[0].json()["client"], ann.id().to_string());
    assert_eq!(last(&receiver), json!({"hook": "connect", "user": "ann", "transport": "bare"}));
    ann.subscribe("room", "").await.unwrap();
    let members = ann.presence("room").await.unwrap();
    let info: Value = serde_json::from_slice(&members[0].info).unwrap();
    assert_eq!(info["conn_info"], json!({"vip": true}));
    let (bob, _outgoing) = connect(&host, Credentials::User("bob")).await;
    assert_eq!(bob.user(), "bob");
    assert_eq!(last(&receiver)["user"], "bob");
    receiver.always(Answer::Json(json!({"result": {"user": "eve"}})));
    let refused = turned_away(&host, Credentials::User("bob")).await;
    assert_eq!(refused, Disconnect::ServerError.into(), "an answer cannot give it to another user");
    assert_eq!(broker.metric("connects_total", &[("endpoint", "bare")]).await, 2);
    assert_eq!(broker.metric("connections", &[("endpoint", "bare")]).await, 2);
}

#[tokio::test]
async fn an_answer_instead_of_a_token_says_who_a_newcomer_is_and_when_it_ends() {
    let receiver = Receiver::start(Answer::Json(json!({"result": {"user": "ann"}}))).await;
    let (broker, host) = asked(&receiver, "connect", "instead_of_token: true", "").await;
    let (ann, _outgoing) = connect(&host, Credentials::Token("a ticket")).await;
    assert_eq!(ann.user(), "ann");
    assert_eq!(last(&receiver), json!({"hook": "connect", "token": "a ticket", "transport": "bare"}));
    receiver.always(Answer::Json(json!({"result": {"user": "ann", "expire_at": in_seconds(2)}})));
    let (_guest, mut outgoing) = connect(&host, Credentials::Token("a ticket")).await;
    assert_eq!(closed(&mut outgoing).await, Disconnect::Expired);
    receiver.always(Answer::Json(json!({})));
    let refused = turned_away(&host, Credentials::Token("a ticket")).await;
    assert_eq!(refused, Disconnect::PermissionDenied.into(), "nobody is anonymous by accident");
    assert_eq!(broker.rejected("no_token").await, 1);
}

#[tokio::test]
async fn a_newcomer_that_is_not_wanted_is_told_so_in_the_hooks_words() {
    let receiver =
        Receiver::start(Answer::Json(json!({"disconnect": {"code": 4501, "reason": "banned"}}))).await;
    let (broker, host) = asked(&receiver, "connect", "", OPEN).await;
    let in_words = |code, reason: &'static str| Farewell { code, reason: reason.into() };
    assert_eq!(turned_away(&host, Credentials::User("ann")).await, in_words(4501, "banned"));
    receiver.always(Answer::Json(json!({"error": {"code": 400, "message": "not you"}})));
    assert_eq!(turned_away(&host, Credentials::User("ann")).await, in_words(3507, "not you"));
    receiver.always(Answer::Json(json!({"error": {"code": 400, "message": "later", "temporary": true}})));
    assert_eq!(turned_away(&host, Credentials::User("ann")).await, in_words(3004, "later"));
    assert_eq!(broker.rejected("hook").await, 3);
    assert_eq!(broker.ended_on("bare", "hook").await, 3);
    assert_eq!(broker.metric("connects_total", &[("endpoint", "bare")]).await, 0);
}

#[tokio::test]
async fn a_drain_does_not_wait_for_an_answer_about_a_newcomer() {
    let receiver = Receiver::start(Answer::Wait).await;
    let (broker, host) = asked(&receiver, "connect", "", OPEN).await;
    let waiting = tokio::spawn(async move { turned_away(&host, Credentials::User("ann")).await });
    eventually("the hook is asked", async || receiver.got().len() == 1).await;
    let drained = within("the drain", broker.drain()).await;
    assert_eq!(within("the newcomer is told", waiting).await.unwrap(), Disconnect::Shutdown.into());
    assert_eq!((drained.closed, drained.left), (0, 0));
}

#[tokio::test]
async fn a_subscribe_is_asked_about_and_refused_or_ended_as_the_hook_says() {
    let receiver = Receiver::start(Answer::Json(json!({"result": {"info": 7}}))).await;
    let (broker, host) = asked(&receiver, "subscribe", "", OPEN).await;
    let (ann, mut outgoing) = connect(&host, Credentials::User("ann")).await;
    ann.subscribe("room", "").await.unwrap();
    let question =
        json!({"hook": "subscribe", "user": "ann", "metadata": {}, "transport": "bare", "channel": "room"});
    assert_eq!(last(&receiver), question);
    receiver.always(Answer::Json(json!({"error": {"code": 400, "message": "the room is full"}})));
    assert_eq!(ann.subscribe("other", "").await.unwrap_err().message(), "the room is full");
    receiver.always(Answer::Json(json!({"disconnect": {"code": 4501, "reason": "banned"}})));
    assert!(ann.subscribe("third", "").await.is_err());
    assert_eq!(closed(&mut outgoing).await, Disconnect::Hook);
    assert_eq!(broker.metric("subscriptions", &[]).await, 1);
    assert_eq!(broker.rejected("hook").await, 2);
}

#[tokio::test]
async fn a_publish_is_asked_about_and_goes_out_with_the_data_of_the_answer() {
    let receiver = Receiver::start(Answer::Json(json!({"result": {"data": "****"}}))).await;
    let (broker, host) = asked(&receiver, "publish", "", OPEN).await;
    let (ann, mut outgoing) = connect(&host, Credentials::User("ann")).await;
    ann.subscribe("room", "").await.unwrap();
    ann.publish("room", "darn").await.unwrap();
    assert_eq!((&last(&receiver)["data"], &last(&receiver)["channel"]), (&json!("darn"), &json!("room")));
    let line = written(&mut outgoing).await;
    assert!(line.contains(r#""data":"****""#), "{line}");
    receiver.always(Answer::Json(json!({"error": {"code": 400, "message": "not here"}})));
    assert_eq!(ann.publish("room", "darn").await.unwrap_err().message(), "not here");
    assert_eq!(broker.rejected("hook").await, 1);
}
