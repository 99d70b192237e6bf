//! `/admin` in a real Chromium, before two brokers on a real Redis.

use serde_json::json;

use super::{Server, eventually};
use crate::support::{
    Broker,
    chromium::Browser,
    token::{SECRET, token},
};

async fn broker(server: &Server, id: &str) -> Broker {
    // A browser takes its time, and clients that are only looked at answer no pings.
    Broker::start(&format!(
        "auth: {{anonymous: true, api_keys: [key-of-the-tests], jwt: {{hmac_secret: \"{SECRET}\"}}}}\n\
         instance: {{id: {id}}}\nredis: {{url: \"redis://127.0.0.1:{}\"}}\npages: {{admin: true}}\n\
         endpoints: {{websocket: {{ping_interval: 10m}}}}\n",
        server.port
    ))
    .await
}

async fn see_each_other(brokers: [&Broker; 2]) {
    for broker in brokers {
        eventually("the instances see each other", async || {
            broker.api("info", &json!({})).await["result"]["nodes"]
                .as_array()
                .is_some_and(|nodes| nodes.len() == 2)
        })
        .await;
    }
}

#[tokio::test]
async fn who_has_the_key_sees_all_instances_and_ends_a_connection_by_keyboard() {
    let server = Server::start().await;
    let (a, b) = (broker(&server, "chat-0").await, broker(&server, "chat-1").await);
    see_each_other([&a, &b]).await;
    let (mut ann, mut other) = (b.open().await, a.connect().await);
    ann.connect(&token(&json!({"sub": "ann"}))).await;
    ann.subscribe("lobby").await;
    other.subscribe("lobby").await;

    let mut browser = Browser::open(&format!("http://{}/admin", a.client_address)).await;
    browser.eventually("document.activeElement.id === 'key'").await;
    browser.types("not-the-key").await;
    browser.presses("Enter").await;
    browser.sees("This key is wrong").await;
    assert_eq!(browser.value("document.getElementById('floor').hidden").await, true);
    assert_eq!(browser.value("sessionStorage.length").await, 0, "a wrong key is not kept");

    // What is there is selected, so that typing replaces it.
    browser.types("key-of-the-tests").await;
    browser.presses("Enter").await;
    for text in ["chat-0", "chat-1", "lobby", "ann", "running"] {
        browser.sees(text).await;
    }
    browser.eventually("document.querySelectorAll('#instances tr').length === 2").await;
    browser.eventually("document.querySelectorAll('#clients tr').length === 2").await;
    browser.eventually("/ ms/.test(document.querySelector('#instances tr').innerText)").await;

    browser.tabs_to("#clients-text").await;
    browser.types("ann").await;
    browser.eventually("document.querySelectorAll('#clients tr').length === 1").await;
    browser.tabs_to("#clients button").await;
    browser.presses("Enter").await;
    browser.eventually("document.getElementById('sure').open").await;
    browser.sees("Disconnect ann?").await;
    browser.presses("Escape").await;
    browser.eventually("!document.getElementById('sure').open").await;
    assert_eq!(b.metric("connections", &[]).await, 1, "it asks first");

    browser.tabs_to("#clients button").await;
    browser.presses("Enter").await;
    browser.eventually("document.getElementById('sure').open").await;
    browser.presses("Enter").await;
    assert_eq!(ann.end().await, 3503);
    browser.sees("No such client is connected.").await;
    assert_eq!(b.metric("connections", &[]).await, 0);
    assert_eq!(a.metric("connections", &[]).await, 1, "the other one stays");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[tokio::test]
async fn it_says_when_an_instance_goes_and_when_redis_is_away() {
    let mut server = Server::start().await;
    let (a, b) = (broker(&server, "chat-0").await, broker(&server, "chat-1").await);
    see_each_other([&a, &b]).await;
    let mut browser = Browser::open(&format!("http://{}/admin", a.client_address)).await;
    browser.types("key-of-the-tests").await;
    browser.presses("Enter").await;
    browser.eventually("document.querySelectorAll('#instances tr').length === 2").await;
    b.drain().await;
    browser.sees("chat-1 has gone").await;
    server.kill();
    browser.sees("Redis is away").await;
    browser.sees("not known").await;
    server.run().await;
    browser.eventually("document.getElementById('trouble').hidden").await;
    browser.eventually("document.getElementById('state').innerText === 'live'").await;
    assert_eq!(browser.complaints(), [""; 0]);
}
