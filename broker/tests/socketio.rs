//! The endpoint of Socket.IO, with clients that can do everything wrong. The official client is in [`crate::foreign`].

mod asks;
mod broken;
mod elsewhere;
mod events;
mod hooks;
mod orders;
mod polling;
mod slow;
mod websocket;

use std::net::SocketAddr;

use serde_json::Value;

use crate::support::{Broker, Response, request};

/// Anybody may connect by Socket.IO.
const ON: &str =
    "auth: {anonymous: true, api_keys: [key-of-the-tests]}\nendpoints: {socketio: {enabled: true}}\n";

/// The same with these settings of the endpoint.
fn with(settings: &str) -> String {
    format!(
        "auth: {{anonymous: true, api_keys: [key-of-the-tests]}}\n\
         endpoints: {{socketio: {{enabled: true, {settings}}}}}\n"
    )
}

/// A connection by requests.
pub(crate) struct Poller {
    address: SocketAddr,
    sid: String,
}

impl Poller {
    /// A connection that has said nothing.
    pub(crate) async fn open(broker: &Broker) -> Self {
        let address = broker.client_address;
        let answer = ask(address, "GET", "", "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let opening: Value = serde_json::from_str(answer.body.strip_prefix('0').unwrap()).unwrap();
        Self { address, sid: opening["sid"].as_str().unwrap().to_owned() }
    }

    /// A client of the main namespace.
    pub(crate) async fn connect(broker: &Broker) -> Self {
        let poller = Self::open(broker).await;
        poller.posts("40").await;
        let answer = poller.hears().await;
        assert!(answer.starts_with(r#"40{"sid":""#), "{answer}");
        poller
    }

    async fn get(&self) -> Response {
        ask(self.address, "GET", &self.sid, "").await
    }

    async fn post(&self, body: &str) -> Response {
        ask(self.address, "POST", &self.sid, body).await
    }

    /// What it is told next.
    pub(crate) async fn hears(&self) -> String {
        let answer = self.get().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    /// Says this, which is taken.
    pub(crate) async fn posts(&self, body: &str) {
        let answer = self.post(body).await;
        assert_eq!((answer.status, &*answer.body), (200, "ok"), "{body}");
    }

    /// Whether the broker knows it no more.
    async fn is_gone(&self) -> bool {
        let answer = self.get().await;
        answer.status == 400
            && answer.json() == serde_json::json!({"code": 1, "message": "Session ID unknown"})
    }
}

async fn ask(address: SocketAddr, method: &str, sid: &str, body: &str) -> Response {
    let sid = if sid.is_empty() { String::new() } else { format!("&sid={sid}") };
    let path = format!("/socket.io/?EIO=4&transport=polling{sid}");
    request(address, method, &path, "", body.as_bytes()).await
}
