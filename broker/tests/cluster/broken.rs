//! A backplane that does not work: what clients are told, and that the instance goes on alone.

use std::sync::{Arc, OnceLock};

use futures_util::future::{BoxFuture, FutureExt, ready};
use serde_json::json;
use switchboard::{
    backplane::{
        Ack, Audience, Backplane, Envelope, Health, InstanceRecord, Located, Member, StartError, Unavailable,
    },
    cluster::Inbound,
    hub::Hub,
    message::{Address, Channel, ClientId},
    registry::ClientRecord,
};

use crate::support::{Broker, OPEN, config};

/// Answers everything with an error, at once. Listening goes well when `listens` says so.
#[derive(Default)]
pub(super) struct Broken {
    pub(super) listens: bool,
    /// The broker's, from the start on.
    pub(super) hub: OnceLock<Arc<Hub>>,
}

const WHY: Unavailable = Unavailable::Disconnected;

impl Backplane for Broken {
    fn start(&self, inbound: Arc<Inbound>) -> BoxFuture<'_, Result<(), StartError>> {
        let _ = self.hub.set(inbound.hub.clone());
        ready(Ok(())).boxed()
    }

    fn publish(&self, _channel: &Channel, _envelope: &Envelope<'_>, ack: Ack) {
        ack.done(Err(WHY));
    }

    fn tell(&self, _audience: &Audience, _envelope: &Envelope<'_>, ack: Ack) {
        ack.done(Err(WHY));
    }

    fn subscribe(&self, _channel: &Channel, ack: Ack) {
        ack.done(if self.listens { Ok(()) } else { Err(WHY) });
    }

    fn unsubscribe(&self, _channel: &Channel) {}

    fn register(&self, _client: ClientRecord) {}

    fn unregister(&self, _client: ClientId) {}

    fn touch(&self, _clients: &[ClientId]) {}

    fn locate<'a>(
        &'a self,
        _clients: &'a [ClientId],
    ) -> BoxFuture<'a, Result<Vec<Option<Located>>, Unavailable>> {
        ready(Err(WHY)).boxed()
    }

    fn hold<'a>(&'a self, _role: &'a str) -> BoxFuture<'a, Result<Option<Address>, Unavailable>> {
        ready(Err(WHY)).boxed()
    }

    fn release<'a>(&'a self, _role: &'a str) -> BoxFuture<'a, ()> {
        ready(()).boxed()
    }

    fn enter(&self, _channel: &Channel, _member: Member) {}

    fn leave(&self, _channel: &Channel, _client: ClientId) {}

    fn presence<'a>(&'a self, _channel: &'a Channel) -> BoxFuture<'a, Result<Vec<Member>, Unavailable>> {
        ready(Err(WHY)).boxed()
    }

    fn instances(&self) -> BoxFuture<'_, Result<Vec<InstanceRecord>, Unavailable>> {
        ready(Err(WHY)).boxed()
    }

    fn health(&self) -> Health {
        Health {
            mode: "broken",
            connected: false,
            error: Some(WHY.to_string()),
            probe_ms: None,
            probe_age_ms: None,
            heard: None,
            queued_bytes: 0,
        }
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        ready(()).boxed()
    }
}

#[tokio::test]
async fn local_delivery_goes_on_and_the_publisher_is_told() {
    let broker = Broker::on(Arc::new(Broken { listens: true, ..Broken::default() }), OPEN).await;
    let (mut ann, mut bob) = (broker.connect().await, broker.connect().await);
    ann.subscribe("room").await;
    bob.subscribe("room").await;
    let reply = ann.command(json!({"publish": {"channel": "room", "data": 1}})).await;
    let error = json!({"error": {"code": 100, "message": "internal server error", "temporary": true}});
    assert_eq!(reply, error);
    assert_eq!(ann.publication("room").await, 1);
    assert_eq!(bob.publication("room").await, 1);
    assert_eq!(broker.metric("publish_failures_total", &[("reason", "disconnected")]).await, 1);

    for command in ["presence", "presence_stats"] {
        assert_eq!(ann.command(json!({command: {"channel": "room"}})).await, error, "{command}");
    }
    assert_eq!(broker.rejected("unavailable").await, 2);
    for (method, body) in
        [("publish", json!({"channel": "room", "data": 2})), ("channels", json!({})), ("info", json!({}))]
    {
        assert_eq!(broker.api(method, &body).await["error"]["code"], 100, "{method}");
    }
    assert_eq!(broker.rejected("unavailable").await, 4, "a failed publish is counted as that");
    assert_eq!(broker.metric("publish_failures_total", &[("reason", "disconnected")]).await, 2);
    assert_eq!(ann.publication("room").await, 2);
    assert_eq!(broker.admin("GET", "/healthz").await.json()["status"], "degraded");
    assert_eq!(broker.admin("GET", "/readyz").await.status, 200, "it takes clients");
}

#[tokio::test]
async fn a_backplane_without_history_is_no_place_for_it() {
    let yaml = format!("{OPEN}channels: {{namespaces: [{{name: \"\", history: {{size: 10}}}}]}}\n");
    let backplane = Arc::new(Broken { listens: true, ..Broken::default() });
    let started = switchboard::Broker::builder().settings(config(&yaml)).backplane(backplane).start().await;
    let refused = started.err().expect("it does not start").to_string();
    assert!(refused.contains("this backplane keeps none"), "{refused}");
}

#[tokio::test]
async fn a_channel_that_cannot_be_listened_to_is_a_temporary_error() {
    let broker = Broker::on(Arc::new(Broken::default()), OPEN).await;
    let mut client = broker.connect().await;
    for _ in 0..3 {
        let reply = client.command(json!({"subscribe": {"channel": "room"}})).await;
        assert_eq!(reply["error"]["code"], 100);
        assert_eq!(reply["error"]["temporary"], true);
    }
    assert_eq!(broker.rejected("unavailable").await, 3);
    assert_eq!(broker.metric("channels", &[]).await, 0);
    assert!(client.unasked().await.is_empty());
}
