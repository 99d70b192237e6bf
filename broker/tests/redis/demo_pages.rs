//! The demonstrations in a real Chromium, before two brokers on a real Redis that goes away and comes back.

use super::{Server, eventually};
use crate::support::{Broker, OPEN, chromium::Browser};

/// How many people a page shows who are there, with how often each of these names.
const THERE: &str = "[...document.querySelectorAll('#people li:not(:has(.gone))')].map((li) => li.children[1].innerText).sort().join()";

async fn broker(server: &Server, id: &str, rules: &str) -> Broker {
    Broker::start(&format!(
        "{OPEN}instance: {{id: {id}}}\nredis: {{url: \"redis://127.0.0.1:{}\"}}\npages: {{demo: true}}\n\
         channels: {{namespaces: [{{name: \"\", presence: subscribers}}]}}\n\
         endpoints: {{socketio: {{enabled: true{rules}, ping_interval: 10m}}, presence: {{enabled: true, ping_interval: 10m}}}}\n",
        server.port
    ))
    .await
}

async fn pair(server: &Server, rules: &str) -> [Broker; 2] {
    let pair = [broker(server, "chat-0", rules).await, broker(server, "chat-1", rules).await];
    for broker in &pair {
        eventually("the instances hear each other", async || broker.metric("redis_peers", &[]).await == 1)
            .await;
    }
    pair
}

async fn joined(mut browser: Browser, name: &str) -> Browser {
    browser.eventually("document.activeElement.id === 'name'").await;
    browser.value("document.getElementById('name').value = ''").await;
    browser.types(name).await;
    browser.presses("Enter").await;
    browser
}

fn url(broker: &Broker, page: &str) -> String {
    format!("http://{}/demo/{page}", broker.client_address)
}

fn there(names: &str) -> String {
    format!("{THERE} === '{names}'")
}

/// Three people: Ann and Cid on one instance, Bob on the other one. Cid comes while Redis is away.
async fn without_redis(page: &str, rules: &str, meanwhile: impl AsyncFn([&mut Browser; 3])) {
    let mut server = Server::start().await;
    let [a, b] = pair(&server, rules).await;
    let mut ann = joined(Browser::open(&url(&a, page)).await, "Ann").await;
    let mut bob = joined(ann.another(&url(&b, page)).await, "Bob").await;
    ann.sees("Bob\non chat-1").await;
    bob.sees("Ann\non chat-0").await;
    assert_eq!(ann.value("document.getElementById('trouble').hidden").await, true);
    server.kill();
    ann.sees("chat-0 has lost the other instances").await;
    bob.sees("chat-1 has lost the other instances").await;
    ann.sees("Bob\non chat-1, out of reach").await;
    let mut cid = joined(ann.another(&url(&a, page)).await, "Cid").await;
    cid.sees("chat-0 has lost the other instances").await;
    ann.sees("Cid\non chat-0").await;
    meanwhile([&mut ann, &mut bob, &mut cid]).await;
    server.run().await;
    for browser in [&mut ann, &mut bob, &mut cid] {
        browser.sees("The instances are together again").await;
    }
    ann.eventually(&there("Ann (you),Bob,Cid")).await;
    bob.eventually(&there("Ann,Bob (you),Cid")).await;
    cid.eventually(&there("Ann,Bob,Cid (you)")).await;
    for mut browser in [ann, bob, cid] {
        browser.eventually("!document.body.innerText.includes('out of reach')").await;
        browser.eventually("document.getElementById('trouble').hidden").await;
        assert_eq!(browser.complaints(), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_says_that_its_instance_is_cut_off_and_has_everybody_once_after() {
    without_redis("board", "", async |[ann, bob, cid]| {
        cid.tabs_to("[data-note=Draft]").await;
        cid.presses(" ").await;
        ann.sees("has Draft").await;
        assert_eq!(bob.value("document.body.innerText.includes('Draft\\nCid')").await, false);
    })
    .await;
}

async fn chat(rules: &str) {
    without_redis("chat", rules, async |[ann, bob, cid]| {
        cid.eventually("document.activeElement.id === 'text'").await;
        cid.types("only here").await;
        cid.presses("Enter").await;
        cid.sees("Only those on chat-0 have it.").await;
        ann.sees("only here").await;
        assert_eq!(bob.value("document.body.innerText.includes('only here')").await, false);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_says_that_its_instance_is_cut_off_and_has_everybody_once_after() {
    chat("").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_on_the_profile_says_so_too() {
    chat(", profile: chat").await;
}
