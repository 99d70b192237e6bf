//! What holds for every endpoint of one's own, on one without a socket.

mod hooks;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use futures_util::future::{BoxFuture, FutureExt};
use serde_json::json;
use switchboard::{
    clock::now_ms,
    codec::{Encoder, centrifuge::JsonLines},
    endpoint::{Credentials, Disconnect, Endpoint, ErrorCode, Guest, Host, Outgoing, outbox::Next},
};
use tokio::sync::mpsc;

use crate::support::{
    Broker, OPEN, config, eventually,
    token::{SECRET, token},
    within,
};

/// Hands its host out, and leaves everything to the test.
struct Bare(mpsc::UnboundedSender<Host>);

impl Endpoint for Bare {
    fn encoder(&self) -> Arc<dyn Encoder> {
        Arc::new(JsonLines)
    }

    fn run<'a>(&'a self, host: Host) -> BoxFuture<'a, ()> {
        async move {
            self.0.send(host).unwrap();
            std::future::pending().await
        }
        .boxed()
    }
}

async fn bare(yaml: &str) -> (Broker, Host) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let builder = switchboard::Broker::builder().settings(config(yaml));
    let broker = Broker::built(builder.endpoint("bare", Arc::new(Bare(sender)))).await;
    let host = within("the endpoint is run", receiver.recv()).await.unwrap();
    (broker, host)
}

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

async fn connect(host: &Host, credentials: Credentials<'_>) -> (Guest, Outgoing) {
    let Ok(newcomer) = host.admit(HERE) else { panic!("there is a place") };
    newcomer.connect(credentials).await.unwrap_or_else(|end| panic!("{end:?}"))
}

/// The next lines to be written.
async fn written(outgoing: &mut Outgoing) -> String {
    match within("something to write", outgoing.next()).await {
        Next::Write(bytes) => String::from_utf8(bytes).unwrap(),
        Next::Close(reason) => panic!("closed: {reason:?}"),
    }
}

async fn closed(outgoing: &mut Outgoing) -> Disconnect {
    loop {
        if let Next::Close(reason) = within("the end", outgoing.next()).await {
            return reason;
        }
    }
}

#[tokio::test]
async fn a_user_that_the_endpoint_vouches_for_is_that_user_and_needs_a_name() {
    let (broker, host) = bare("auth: {api_keys: [key-of-the-tests]}").await;
    let (ann, mut outgoing) = connect(&host, Credentials::User("ann")).await;
    assert_eq!(ann.user(), "ann");
    let body = json!({"clients": [ann.id().to_string()], "data": 1});
    broker.api("send", &body).await;
    assert_eq!(written(&mut outgoing).await, "{\"push\":{\"message\":{\"data\":1}}}\n");
    let refused = host.admit(HERE).ok().unwrap().connect(Credentials::User("")).await.err();
    assert_eq!(refused, Some(Disconnect::PermissionDenied.into()));
    broker.api("disconnect", &json!({"user": "ann"})).await;
    assert_eq!(closed(&mut outgoing).await, Disconnect::Forced);
    let refused = ann.publish("room", &1).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::NotAvailable, "who has ended does nothing more");
    drop(ann);
    assert_eq!(broker.metric("connections", &[("endpoint", "bare")]).await, 0);
    assert_eq!(broker.ended_on("bare", "forced").await, 1);
    assert_eq!(broker.ended_on("bare", "permission_denied").await, 1);
}

#[tokio::test]
async fn every_action_has_its_result() {
    let yaml = "channels: {namespaces: [{name: \"\", presence: any}]}\nlogic: {modules: [{name: all, broadcaster: {}, receives: [rpc, send]}]}\n";
    let (_broker, host) = bare(&format!("{OPEN}{yaml}")).await;
    let (guest, mut outgoing) = connect(&host, Credentials::User("ann")).await;
    guest.subscribe("room", "").await.unwrap();
    let members = guest.presence("room").await.unwrap();
    assert_eq!(members.iter().map(|member| member.client).collect::<Vec<_>>(), [guest.id()]);
    let raw = serde_json::value::RawValue::from_string("{\"a\":\n1}".into()).unwrap();
    guest.publish("room", &raw).await.unwrap();
    let line = written(&mut outgoing).await;
    assert!(line.starts_with(r#"{"push":{"channel":"room","pub":{"data":{"a": 1}"#), "{line}");
    guest.unsubscribe("room").await.unwrap();
    assert_eq!(guest.presence("room").await.unwrap(), []);
    assert_eq!(guest.rpc("all", "hello").await.unwrap(), "null");
    assert_eq!(written(&mut outgoing).await, "{\"push\":{\"message\":{\"data\":\"hello\"}}}\n");
    guest.send(&json!(["a"])).await.unwrap();
    assert_eq!(written(&mut outgoing).await, "{\"push\":{\"message\":{\"data\":[\"a\"]}}}\n");
    assert_eq!(guest.rpc("nobody", &()).await.unwrap_err().code(), ErrorCode::MethodNotFound);
}

#[tokio::test]
async fn a_client_that_is_not_written_to_is_ended_and_the_others_get_everything() {
    let (broker, host) = bare(&format!("{OPEN}limits: {{outbox_size: 64KiB}}")).await;
    let (idle, mut unread) = connect(&host, Credentials::User("idle")).await;
    idle.subscribe("room", "").await.unwrap();
    let (busy, mut read) = connect(&host, Credentials::User("busy")).await;
    busy.subscribe("room", "").await.unwrap();
    let text = "x".repeat(10_000);
    for _ in 0..10 {
        busy.publish("room", &text).await.unwrap();
        assert!(written(&mut read).await.len() > 10_000);
    }
    assert_eq!(closed(&mut unread).await, Disconnect::Slow);
    drop(idle);
    assert_eq!(broker.ended_on("bare", "slow").await, 1);
}

#[tokio::test]
async fn tokens_end_what_they_gave() {
    let yaml = format!(
        "auth: {{jwt: {{hmac_secret: {SECRET:?}}}, api_keys: [key-of-the-tests]}}\n\
         channels: {{namespaces: [{{name: \"\", subscribe: token, publish: any}}]}}\n"
    );
    let (_broker, host) = bare(&yaml).await;
    let seconds = now_ms() / 1000;
    let of_ann = token(&json!({"sub": "ann", "exp": seconds + 6}));
    let (ann, mut outgoing) = connect(&host, Credentials::Token(&of_ann)).await;
    // The writer waits already when the subscription comes, which ends before the client does.
    let writing = tokio::spawn(async move { (written(&mut outgoing).await, outgoing) });
    let for_room = token(&json!({"sub": "ann", "channel": "room", "exp": seconds + 4}));
    ann.subscribe("room", &for_room).await.unwrap();
    let (line, mut outgoing) = within("the writer", writing).await.unwrap();
    assert_eq!(
        line.trim_end(),
        r#"{"push":{"channel":"room","unsubscribe":{"code":2501,"reason":"subscription expired"}}}"#
    );
    assert_eq!(closed(&mut outgoing).await, Disconnect::Expired);
}

#[tokio::test]
async fn a_task_that_panics_leaves_nothing_behind() {
    let (broker, host) = bare(OPEN).await;
    let (guest, outgoing) = connect(&host, Credentials::User("ann")).await;
    guest.subscribe("room", "").await.unwrap();
    assert_eq!(broker.metric("subscriptions", &[]).await, 1);
    let task = tokio::spawn(async move {
        let _held = (guest, outgoing);
        panic!("as it was told");
    });
    assert!(task.await.is_err());
    assert_eq!(broker.metric("subscriptions", &[]).await, 0);
    let of_bare = [("endpoint", "bare")];
    eventually("it is gone", async || broker.metric("connections", &of_bare).await == 0).await;
    let drained = within("a drain with nobody left", broker.drain()).await;
    assert_eq!((drained.closed, drained.left), (0, 0));
}

#[tokio::test]
async fn a_socket_that_takes_nothing_is_left_when_its_client_has_ended() {
    let (_broker, host) = bare(OPEN).await;
    let (guest, outgoing) = connect(&host, Credentials::User("ann")).await;
    let (near, _far) = tokio::io::duplex(8);
    guest.reply(&[b'x'; 1000]);
    guest.end(Disconnect::Forced);
    let reading = std::future::pending();
    let ended = outgoing.serve(near, reading, |_| Vec::new());
    assert_eq!(within("the end", ended).await, Disconnect::Forced);
}
