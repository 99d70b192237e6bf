//! The pages of demonstration in Chromium, through the Service, while a pod and Redis go away and come back.

use std::time::Instant;

use anyhow::{Result, ensure};
use e2e::{
    brokers::{Brokers, CHAT, small},
    lab::Lab,
    process::{self, Signal},
    report::time,
    wait::LONG,
};
use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt, api::DeleteParams};
use serde_json::json;

use crate::browser::{ALL, Browser, DESK};

/// Who is there, as a page shows it.
const THERE: &str = "[...document.querySelectorAll('#people li:not(:has(.gone))')].map((li) => li.children[1].innerText).sort().join()";

/// So many times two people come until they are on two pods; each time one in two does.
const TIMES: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_outlive_a_pod_and_redis() -> Result<()> {
    Lab::run("pages", async |lab| {
        let mut spec = small(2);
        spec["pages"] = json!({"demo": true});
        // By WebSocket alone: each connection is led anew, and never needs another pod than its own.
        spec["endpoints"] = json!({
            "socketio": {"enabled": true, "profile": "chat", "transports": ["websocket"]},
            "presence": {"enabled": true},
        });
        let brokers = Brokers::create(lab, CHAT, spec).await?;
        let url = |page: &str, address| format!("http://{address}/demo/{page}");
        let address = brokers.service().await?;
        let mut chat = Pair::open("chat", &url("chat", address)).await?;
        let mut board = Pair::beside(&chat, "board", &url("board", address)).await?;
        chat.come_on_two_pods(lab).await?;
        board.come_on_two_pods(lab).await?;
        talk(&mut chat).await;
        point(lab, &mut board).await?;
        pictures("1-together", [&mut chat, &mut board]).await?;
        a_pod_is_killed(lab, &brokers, [&mut chat, &mut board]).await?;
        redis_is_killed(lab, &brokers, [&mut chat, &mut board]).await?;
        for pair in [chat, board] {
            for browser in [pair.ann, pair.bob] {
                ensure!(browser.complaints().is_empty(), "{:?}", browser.complaints());
            }
        }
        Ok(())
    })
    .await
}

/// Ann and Bob, each in a browser of their own, on one of the pages.
struct Pair {
    page: &'static str,
    url: String,
    ann: Browser,
    bob: Browser,
}

impl Pair {
    async fn open(page: &'static str, url: &str) -> Result<Self> {
        let (ann, bob) = (Browser::open(url).await, Browser::open(url).await);
        Ok(Self { page, url: url.to_owned(), ann, bob })
    }

    /// In windows of the same browsers.
    async fn beside(pair: &Self, page: &'static str, url: &str) -> Result<Self> {
        let (ann, bob) = (pair.ann.another(url).await, pair.bob.another(url).await);
        Ok(Self { page, url: url.to_owned(), ann, bob })
    }

    /// Both come through the Service until it has led them to two pods.
    async fn come_on_two_pods(&mut self, lab: &Lab) -> Result<()> {
        for time in 1..=TIMES {
            for (browser, name) in [(&mut self.ann, "Ann"), (&mut self.bob, "Bob")] {
                browser.goes_to(&self.url).await;
                comes(browser, name).await;
            }
            let homes = self.homes().await;
            if homes[0] != homes[1] {
                self.are_there("Ann", "Bob").await;
                let [ann, bob] = homes;
                lab.report.say(self.page, format!("Ann is on {ann}, Bob on {bob}, at the {time}. time"));
                return Ok(());
            }
        }
        ensure!(false, "{TIMES} times the Service led both to the same pod");
        Ok(())
    }

    async fn homes(&mut self) -> [String; 2] {
        [home(&mut self.ann).await, home(&mut self.bob).await]
    }

    /// Both see these two, once each, and nobody else.
    async fn are_there(&mut self, ann: &str, bob: &str) {
        self.ann.eventually(&format!("{THERE} === '{ann} (you),{bob}'")).await;
        self.bob.eventually(&format!("{THERE} === '{ann},{bob} (you)'")).await;
    }

    async fn both_see(&mut self, text: &str) {
        for browser in [&mut self.ann, &mut self.bob] {
            browser.sees(text).await;
        }
    }
}

/// Somebody says who they are, by keyboard alone, and is let in.
async fn comes(browser: &mut Browser, name: &str) {
    browser.eventually("document.activeElement?.id === 'name'").await;
    browser.value("document.getElementById('name').select(); 0").await;
    browser.types(name).await;
    browser.presses("Enter").await;
    browser.sees("served by ").await;
}

/// The pod that serves a page.
async fn home(browser: &mut Browser) -> String {
    browser.sees("served by ").await;
    let text = browser.value("document.getElementById('place').innerText").await;
    text.as_str().unwrap_or_default().trim_start_matches("served by ").to_owned()
}

async fn says(browser: &mut Browser, text: &str) {
    browser.tabs_to("#text").await;
    browser.types(text).await;
    browser.presses("Enter").await;
}

/// What has the focus is seen to have it.
async fn shows_its_focus(browser: &mut Browser) {
    let style = "getComputedStyle(document.activeElement)";
    browser
        .eventually(&format!("{style}.outlineStyle !== 'none' && parseFloat({style}.outlineWidth) >= 2"))
        .await;
}

/// How often a page has said that somebody has gone.
async fn departures(browser: &mut Browser) -> serde_json::Value {
    let news = "[...document.querySelectorAll('#messages .news')]";
    browser.value(&format!("{news}.filter((li) => li.innerText.includes('has gone')).length")).await
}

async fn talk(chat: &mut Pair) {
    says(&mut chat.ann, "Good morning, Bob! Which pod are you on?").await;
    shows_its_focus(&mut chat.ann).await;
    chat.bob.sees("Good morning, Bob!").await;
    says(&mut chat.bob, "The other one. So this has crossed Redis.").await;
    chat.ann.sees("So this has crossed Redis.").await;
    // Keys are heard while they are pressed; the rest of the text is there at once.
    chat.bob.types("And thi").await;
    chat.ann.sees("Bob is typing").await;
}

/// Bob points and selects, by pointer and by keyboard, and Ann sees it.
async fn point(lab: &Lab, board: &mut Pair) -> Result<()> {
    let Pair { ann, bob, .. } = board;
    ann.value(
        "window.places = new Set(); new MutationObserver(() => \
         window.places.add(document.querySelector('#cursors .other')?.style.transform)).observe(\
         document.getElementById('cursors'), {subtree: true, attributes: true}); 0",
    )
    .await;
    bob.moves_over("#field", 30).await?;
    ann.eventually("window.places.size >= 10").await;
    let places = ann.value("window.places.size").await;
    lab.report.say("board", format!("Ann sees Bob's cursor at {places} places on its way"));
    bob.tabs_to("[data-note=Review]").await;
    shows_its_focus(bob).await;
    bob.presses(" ").await;
    ann.sees("has Review").await;
    let last = "document.querySelector('#cursors .other').style.transform";
    let before = ann.value(last).await;
    for key in ["ArrowRight", "ArrowUp", "ArrowRight"] {
        bob.presses(key).await;
    }
    ann.eventually(&format!("{last} !== {before}")).await;
    ann.tabs_to("[data-note=Sketch]").await;
    ann.presses("Enter").await;
    bob.sees("has Sketch").await;
    Ok(())
}

async fn pictures(stage: &str, pairs: [&mut Pair; 2]) -> Result<()> {
    for pair in pairs {
        pair.ann.is_pictured(&format!("{}-{stage}-ann", pair.page), &ALL).await?;
        pair.bob.is_pictured(&format!("{}-{stage}-bob", pair.page), &[DESK]).await?;
    }
    Ok(())
}

/// The pod that serves Ann's chat dies: whoever was on it is on the other one by itself, once.
async fn a_pod_is_killed(lab: &Lab, brokers: &Brokers<'_>, [chat, board]: [&mut Pair; 2]) -> Result<()> {
    let dies = home(&mut chat.ann).await;
    lab.report.say("test", format!("sends SIGKILL to the broker in {dies}, and deletes that pod"));
    let pod = lab.api::<Pod>().get(&dies).await?;
    let killed = Instant::now();
    // First, so that nobody on it says goodbye.
    process::signal(&pod.uid().unwrap_or_default(), "broker", Signal::KILL)?;
    lab.api::<Pod>().delete(&dies, &DeleteParams::default().grace_period(0)).await?;
    chat.ann.eventually(&format!("!document.getElementById('place').innerText.includes('{dies}')")).await;
    chat.ann.is_pictured("chat-2-pod-killed-ann", &[DESK]).await?;
    for pair in [&mut *chat, &mut *board] {
        let homes = pair.homes().await;
        let back = time(killed.elapsed());
        pair.are_there("Ann", "Bob").await;
        lab.report.say(
            pair.page,
            format!("on {homes:?} after {back}; each is there once after {}", time(killed.elapsed())),
        );
    }
    says(&mut chat.ann, "My pod was killed. I am back without doing anything.").await;
    chat.bob.sees("My pod was killed.").await;
    board.bob.sees("has Sketch").await;
    pictures("3-pod-back", [chat, board]).await?;
    brokers.settled(LONG).await.map(drop)
}

/// Redis stands still, and then dies: pages say so, go on within their pods, and are together again after.
async fn redis_is_killed(lab: &Lab, brokers: &Brokers<'_>, [chat, board]: [&mut Pair; 2]) -> Result<()> {
    chat.come_on_two_pods(lab).await?;
    board.come_on_two_pods(lab).await?;
    says(&mut chat.bob, "We are on two pods again.").await;
    chat.ann.sees("We are on two pods again.").await;
    let gone = [departures(&mut chat.ann).await, departures(&mut chat.bob).await];
    let redis = lab.api::<Pod>().get("chat-redis-0").await?;
    lab.report.say("test", "freezes Redis");
    let away = Instant::now();
    process::signal(&redis.uid().unwrap_or_default(), "redis-server", Signal::STOP)?;
    for pair in [&mut *chat, &mut *board] {
        pair.both_see("has lost the other instances").await;
        pair.both_see("out of reach").await;
        lab.report
            .say(pair.page, format!("both pages say that they are alone after {}", time(away.elapsed())));
    }
    // Somebody comes meanwhile, wherever the Service leads to.
    let mut others = Vec::new();
    for pair in [&mut *chat, &mut *board] {
        let mut cid = pair.ann.another(&pair.url).await;
        comes(&mut cid, "Cid").await;
        cid.sees("has lost the other instances").await;
        let home = home(&mut cid).await;
        let (near, far) = match pair.homes().await[0] == home {
            true => (&mut pair.ann, &mut pair.bob),
            false => (&mut pair.bob, &mut pair.ann),
        };
        near.sees(&format!("Cid\non {home}")).await;
        if pair.page == "chat" {
            says(&mut cid, "Is anybody there?").await;
            cid.sees(&format!("Only those on {home} have it.")).await;
            near.sees("Is anybody there?").await;
        } else {
            cid.tabs_to("[data-note=Mend]").await;
            cid.presses("Enter").await;
            near.sees("has Mend").await;
        }
        ensure!(far.value("document.body.innerText.includes('Cid')").await == false, "it has crossed");
        others.push(cid);
    }
    pictures("4-redis-away", [chat, board]).await?;
    lab.report.say("test", "deletes Redis' pod without grace");
    let killed = Instant::now();
    lab.api::<Pod>().delete("chat-redis-0", &DeleteParams::default().grace_period(0)).await?;
    // It is said for some seconds only.
    for pair in [&mut *chat, &mut *board] {
        pair.both_see("The instances are together again").await;
    }
    let said = time(killed.elapsed());
    for (pair, cid) in [&mut *chat, &mut *board].into_iter().zip(&mut others) {
        pair.ann.eventually(&format!("{THERE} === 'Ann (you),Bob,Cid'")).await;
        pair.bob.eventually(&format!("{THERE} === 'Ann,Bob (you),Cid'")).await;
        cid.eventually(&format!("{THERE} === 'Ann,Bob,Cid (you)'")).await;
        let merged = time(killed.elapsed());
        lab.report
            .say(pair.page, format!("together again after {said}, everybody is there once after {merged}"));
    }
    says(&mut others[0], "Now you hear me.").await;
    chat.both_see("Now you hear me.").await;
    let after = [departures(&mut chat.ann).await, departures(&mut chat.bob).await];
    ensure!(after == gone, "nobody went while Redis was away: {gone:?}, {after:?}");
    board.both_see("has Mend").await;
    pictures("5-redis-back", [chat, board]).await?;
    brokers.settled(LONG).await.map(drop)
}
