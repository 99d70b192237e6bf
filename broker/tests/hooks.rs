//! Hooks: what is asked of clients before they go on, and what becomes of the answers.

mod connect;
mod node;
mod order;
mod publish;
mod subscribe;
mod transports;
mod trouble;

use serde_json::{Value, json};

use crate::support::{
    Answer, Broker, Client, Frame, OPEN, Receiver,
    token::{SECRET, token},
};

/// A secret of the tests, for hooks.
const KEY: &str = "a secret of the tests, for hooks";

/// What anybody may publish into and see who is in, with a hook and without.
const CHANNELS: &str = "channels: {namespaces: [{name: \"\", publish: any}, {name: free, publish: any}]}\n";

/// The settings of a hook at this receiver, with more keys of it and of its webhook.
fn at(receiver: &Receiver, more: &str, webhook: &str) -> String {
    at_url(&format!("http://{}/hook", receiver.address), more, webhook)
}

fn at_url(url: &str, more: &str, webhook: &str) -> String {
    // A machine that is busy with other tests must not be taken for a receiver that is slow.
    let patience = if more.contains("time_limit") { "" } else { "time_limit: 1m, " };
    format!(
        "{{webhook: {{url: \"{url}\", secret: \"{KEY}\", retry_delay: 1ms, {webhook}}}, {patience}{more}}}"
    )
}

/// A broker with these hooks, that anybody may connect to.
async fn broker(hooks: &str) -> Broker {
    let auth = OPEN.replace("auth: {", &format!("auth: {{jwt: {{hmac_secret: \"{SECRET}\"}}, "));
    Broker::start(&format!("{auth}{CHANNELS}instance: {{id: chat-0}}\nhooks: {{{hooks}}}\n")).await
}

/// How many calls of a hook had this outcome.
async fn calls(broker: &Broker, hook: &str, outcome: &str) -> u64 {
    broker.metric("hook_calls_total", &[("hook", hook), ("outcome", outcome)]).await
}

fn publish(channel: &str, data: &Value) -> Value {
    json!({"publish": {"channel": channel, "data": data}})
}

fn subscribe(channel: &str) -> Value {
    json!({"subscribe": {"channel": channel}})
}

fn error(code: u32) -> Answer {
    Answer::Json(json!({"error": {"code": code, "message": "not \"you\""}}))
}

fn disconnect(code: u16) -> Answer {
    Answer::Json(json!({"disconnect": {"code": code, "reason": "go \"away\""}}))
}

/// The frame that ends a connection.
async fn end(client: &mut Client) -> Frame {
    loop {
        match client.frame().await {
            Frame::Text(_) => {}
            other => return other,
        }
    }
}

/// A connected client of this user.
async fn of_user(broker: &Broker, user: &str) -> Client {
    let mut client = broker.open().await;
    client.connect(&token(&json!({"sub": user}))).await;
    client
}
