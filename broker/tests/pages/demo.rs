//! The demonstrations in real Chromiums, each on an instance of its own.

use std::sync::Arc;

use switchboard::backplane::memory::Memory;

use crate::support::{Broker, OPEN, chromium::Browser};

const DEMO: &str = "pages: {demo: true}\nchannels: {namespaces: [{name: \"\", presence: subscribers}]}\n\
    endpoints: {socketio: {enabled: true}, presence: {enabled: true}}\n";

async fn pair(demo: &str) -> [Broker; 2] {
    let memory = Arc::new(Memory::default());
    let broker = async |id| Broker::joining(&memory, &format!("{OPEN}{demo}instance: {{id: {id}}}\n")).await;
    [broker("chat-0").await, broker("chat-1").await]
}

/// The same with the profile `chat`.
fn of_profile() -> String {
    DEMO.replace("socketio: {enabled: true}", "socketio: {enabled: true, profile: chat}")
}

/// A browser whose user has given a name and joined.
async fn joined(broker: &Broker, page: &str, name: &str) -> Browser {
    let mut browser = Browser::open(&format!("http://{}/demo/{page}", broker.client_address)).await;
    browser.eventually("document.activeElement.id === 'name'").await;
    browser.types(name).await;
    browser.presses("Enter").await;
    browser
}

async fn chat(demo: &str) {
    let [a, b] = pair(demo).await;
    let mut ann = joined(&a, "chat", "Ann").await;
    ann.sees("served by chat-0").await;
    let mut bob = joined(&b, "chat", "Bob").await;
    bob.sees("served by chat-1").await;
    ann.sees("Bob\non chat-1").await;
    bob.sees("Ann\non chat-0").await;
    bob.eventually("document.activeElement.id === 'text'").await;
    bob.types("good <b>morning</b>").await;
    ann.sees("Bob is typing").await;
    bob.presses("Enter").await;
    ann.sees("good <b>morning</b>").await;
    assert_eq!(ann.value("document.querySelectorAll('#messages b').length").await, 0, "a text stays a text");
    let said = "document.querySelectorAll('#messages .mine').length";
    assert_eq!(bob.value(said).await, 1, "who says something sees it once");
    assert_eq!(ann.value(said).await, 0);
    bob.value("document.getElementById('leave').click()").await;
    ann.sees("Bob has gone").await;
    ann.sees("offline, last seen").await;
    assert_eq!(ann.complaints(), [""; 0]);
    assert_eq!(bob.complaints(), [""; 0]);
}

#[tokio::test]
async fn people_on_two_instances_chat_and_see_who_is_served_by_which() {
    chat(DEMO).await;
}

#[tokio::test]
async fn people_chat_on_the_profile_too() {
    chat(&of_profile()).await;
}

#[tokio::test]
async fn pages_fit_a_narrow_screen() {
    let [a, _] = pair(DEMO).await;
    for page in ["chat", "board"] {
        let mut browser = joined(&a, page, "Ann, who has a name that is as long as it gets").await;
        browser.looks((360, 640), false).await;
        browser.sees("served by chat-0").await;
        browser.eventually("document.documentElement.scrollWidth <= 360").await;
        browser.eventually("document.getElementById('people').getBoundingClientRect().right <= 360").await;
    }
}

#[tokio::test]
async fn people_on_two_instances_see_where_the_others_point_and_what_they_have_selected() {
    let [a, b] = pair(DEMO).await;
    let mut ann = joined(&a, "board", "Ann").await;
    ann.sees("served by chat-0").await;
    let mut bob = joined(&b, "board", "Bob").await;
    ann.sees("Bob\non chat-1").await;
    bob.sees("Ann\non chat-0").await;
    let place = "document.querySelector('#cursors .other').style.transform";
    ann.eventually("document.querySelectorAll('#cursors .other').length === 1").await;
    let before = ann.value(place).await;
    bob.presses("ArrowRight").await;
    ann.eventually(&format!("{place} !== {before}")).await;
    bob.tabs_to("[data-note=Draft]").await;
    bob.presses("Enter").await;
    ann.sees("has Draft").await;
    bob.presses("Escape").await;
    ann.eventually("!document.body.innerText.includes('has Draft')").await;
    assert_eq!(ann.complaints(), [""; 0]);
    assert_eq!(bob.complaints(), [""; 0]);
}
