//! Clients of every protocol in one channel at once, each a program that somebody else wrote.

use std::{net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{sync::oneshot, task::JoinHandle};

use super::{browser::Page, node::Script, publish, tool::Tool, url};
use crate::support::{Broker, KEY, OPEN, eventually, within};

/// How many messages each client that can publish publishes.
const EACH: usize = 50;

/// Who publishes.
const PUBLISHERS: [&str; 5] = ["nc", "nc -u", "centrifuge", "socket.io", "curl -d"];

/// What a publisher's message is in the channel: an event of Socket.IO, as a client emits it and as a backend publishes
/// it, or any other JSON.
fn message(publisher: &str, n: usize) -> Value {
    let data = json!({"from": publisher, "n": n});
    match publisher {
        "socket.io" | "curl -d" => json!(["news", "room", data]),
        _ => data,
    }
}

/// What a listener is told of it. To a client of Socket.IO all is an event.
fn told(listener: &str, message: Value) -> Value {
    match listener {
        "socket.io" if !message.is_array() => json!(["message", message]),
        _ => message,
    }
}

/// Who published what a listener was told.
fn publisher(told: &Value) -> &Value {
    let last = told.as_array().and_then(|event| event.last());
    &last.unwrap_or(told)["from"]
}

/// Who emits hears it too, as with the other protocols.
const SOCKET_IO: &str =
    "{enabled: true, events: [{event: join, do: join}, {event: news, do: publish, to_sender: true}]}";

/// A client under way.
struct Client {
    name: &'static str,
    heard: Heard,
    is_subscribed: oneshot::Receiver<()>,
    /// What its protocol tells it at the end.
    end: JoinHandle<String>,
}

type Heard = Arc<Mutex<Vec<Value>>>;

impl Client {
    fn start<F: Future<Output = String> + Send + 'static>(
        name: &'static str,
        run: impl FnOnce(Heard, oneshot::Sender<()>) -> F,
    ) -> Self {
        let heard = Heard::default();
        let (subscribed, is_subscribed) = oneshot::channel();
        let end = tokio::spawn(run(heard.clone(), subscribed));
        Self { name, heard, is_subscribed, end }
    }
}

/// The next line of a program as JSON, with the server's pings answered.
async fn json(nc: &mut Tool) -> Value {
    loop {
        let line = nc.line().await.expect("the connection goes on");
        match line.as_str() {
            "{}" => nc.types("{}\n").await,
            line => return serde_json::from_str(line).unwrap(),
        }
    }
}

/// A person with `nc`: connects, subscribes, listens; publishes `at_once` messages before it waits for their replies.
async fn speak(
    mut nc: Tool,
    name: &'static str,
    at_once: usize,
    heard: Heard,
    subscribed: oneshot::Sender<()>,
) -> String {
    // Over UDP the question has to be as long as the answer, which tells what proves the address.
    nc.types(&format!("{}\n", json!({"id": 1, "connect": {"cookie": ".".repeat(64)}}))).await;
    let mut reply = json(&mut nc).await;
    if let Some(cookie) = reply["error"]["cookie"].as_str() {
        nc.types(&format!("{}\n", json!({"id": 1, "connect": {"cookie": cookie}}))).await;
        reply = json(&mut nc).await;
    }
    assert!(reply["connect"]["client"].is_string(), "{reply}");
    nc.types("{\"id\":2,\"subscribe\":{\"channel\":\"room\"}}\n").await;
    assert_eq!(json(&mut nc).await, json!({"id": 2, "subscribe": {}}));
    subscribed.send(()).unwrap();

    let command = |n| json!({"id": 3 + n, "publish": {"channel": "room", "data": message(name, n)}});
    let messages: Vec<_> = (0..EACH).map(|n| format!("{}\n", command(n))).collect();
    let (mut waiting, mut replies) = (messages.chunks(at_once), 0);
    loop {
        let line = json(&mut nc).await;
        let push = &line["push"];
        if let Some(code) = push["disconnect"]["code"].as_u64() {
            return format!("disconnect {code}{}", close(nc, name).await);
        } else if push["pub"].is_object() {
            heard.lock().push(push["pub"]["data"].clone());
            if push["pub"]["data"] == "go" {
                nc.types(&waiting.next().unwrap().concat()).await;
            }
        } else {
            assert_eq!(line, json!({"id": 3 + replies, "publish": {}}));
            replies += 1;
            if replies % at_once == 0
                && let Some(next) = waiting.next()
            {
                nc.types(&next.concat()).await;
            }
        }
    }
}

/// A stream of TCP ends, and `nc` with it once nothing more is typed; of UDP there is no more than the last datagram.
async fn close(nc: Tool, name: &str) -> &'static str {
    if name == "nc -u" {
        return "";
    }
    assert!(nc.end().await.success());
    ", end of the stream"
}

async fn curl(address: SocketAddr, heard: Heard, subscribed: oneshot::Sender<()>) -> String {
    let url = format!("http://{address}/connection/uni_sse?channel=room");
    let mut curl = Tool::start("curl", "curl", &["--silent", "--show-error", "--no-buffer", &url]);
    let (mut subscribed, mut end) = (Some(subscribed), String::new());
    while let Some(line) = curl.line().await {
        if let Some(data) = line.strip_prefix("data: ") {
            assert_eq!(end, "", "nothing comes after the end: {data}");
            end = listen(&serde_json::from_str(data).unwrap(), &heard, &mut subscribed).unwrap_or_default();
        }
    }
    assert!(curl.end().await.success(), "the body is whole");
    format!("{end}, end of the stream")
}

async fn chromium(page: Page, address: SocketAddr, heard: Heard, subscribed: oneshot::Sender<()>) -> String {
    let mut browser = page.open(address, "channel=room");
    let mut subscribed = Some(subscribed);
    let end = loop {
        if let Some(end) = listen(&browser.heard().await, &heard, &mut subscribed) {
            break end;
        }
    };
    // Zero is CONNECTING (https://html.spec.whatwg.org/multipage/server-sent-events.html#dom-eventsource-connecting).
    assert_eq!(browser.heard().await, json!({"readyState": 0}));
    format!("{end}, comes back by itself")
}

/// Takes one event of a stream; how it ends, when it is the last.
fn listen(event: &Value, heard: &Heard, subscribed: &mut Option<oneshot::Sender<()>>) -> Option<String> {
    if event["connect"]["subs"]["room"].is_object() {
        subscribed.take().expect("it is connected once").send(()).unwrap();
    } else if event["pub"].is_object() {
        heard.lock().push(event["pub"]["data"].clone());
    } else if let Some(code) = event["disconnect"]["code"].as_u64() {
        return Some(format!("disconnect {code}"));
    } else {
        assert_eq!(*event, json!({}), "a ping");
    }
    None
}

async fn centrifuge(address: SocketAddr, heard: Heard, subscribed: oneshot::Sender<()>) -> String {
    let arguments = [&url(address), "room", "centrifuge", &EACH.to_string()];
    let mut script = Script::start("together.mjs", &arguments).await;
    script.says("{\"subscribed\":true}").await;
    subscribed.send(()).unwrap();
    loop {
        let line: Value = serde_json::from_str(&script.line().await).unwrap();
        if let Some(code) = line["connecting"].as_u64() {
            script.succeeds().await;
            return format!("connecting {code}, comes back by itself");
        }
        heard.lock().push(line["pub"]["data"].clone());
    }
}

async fn socket_io(address: SocketAddr, heard: Heard, subscribed: oneshot::Sender<()>) -> String {
    let arguments = [&format!("http://{address}"), "room", "socket.io", &EACH.to_string()];
    let mut script = Script::start("socketio_together.mjs", &arguments).await;
    script.says("{\"joined\":true}").await;
    subscribed.send(()).unwrap();
    loop {
        let line: Value = serde_json::from_str(&script.line().await).unwrap();
        if let Some(reason) = line["disconnect"].as_str() {
            assert_eq!(line["comesBack"], true);
            script.succeeds().await;
            return format!("{reason}, comes back by itself");
        }
        heard.lock().push(line["event"].clone());
    }
}

/// A backend with `curl`: publishes by the server API, one message after the other; what each request is answered.
async fn post(address: SocketAddr) -> Vec<String> {
    let url = format!("http://{address}/api/publish");
    let bodies: Vec<_> =
        (0..EACH).map(|n| json!({"channel": "room", "data": message("curl -d", n)}).to_string()).collect();
    let request = |body| {
        ["--silent", "--show-error", "--write-out", "\n", "--header", KEY.trim_end(), "--data", body, &url]
    };
    let requests: Vec<_> = bodies.iter().map(|body| request(body)).collect();
    let mut curl = Tool::start("curl", "curl", &requests.join(&"--next"));
    let mut answers = Vec::new();
    while let Some(answer) = curl.line().await {
        answers.push(answer);
    }
    assert!(curl.end().await.success());
    answers
}

#[tokio::test]
async fn clients_of_every_protocol_hear_each_other_once_and_in_order_and_are_told_of_the_end() {
    let page = Page::new().await;
    let origin = &page.origin;
    let broker = Broker::start(&format!(
        "{OPEN}client: {{allowed_origins: [\"{origin}\"]}}\n\
         endpoints: {{sse: {{enabled: true}}, tcp: {{enabled: true}}, udp: {{enabled: true}}, socketio: {SOCKET_IO}}}\n"
    ))
    .await;
    let (web, tcp, udp) = (broker.client_address, broker.tcp_address(), broker.udp_address());
    let nc = |flags: &[&str], address: SocketAddr| {
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        Tool::start("netcat-openbsd", "nc", &[flags, &[&host, &port]].concat())
    };
    let (lines, datagrams) = (nc(&[], tcp), nc(&["-u"], udp));
    let mut clients = [
        Client::start("nc", |heard, subscribed| speak(lines, "nc", EACH, heard, subscribed)),
        // One at a time, for what the system has no room for is lost.
        Client::start("nc -u", |heard, subscribed| speak(datagrams, "nc -u", 1, heard, subscribed)),
        Client::start("curl -N", |heard, subscribed| curl(web, heard, subscribed)),
        Client::start("Chromium", |heard, subscribed| chromium(page, web, heard, subscribed)),
        Client::start("centrifuge", |heard, subscribed| centrifuge(web, heard, subscribed)),
        Client::start("socket.io", |heard, subscribed| socket_io(web, heard, subscribed)),
    ];
    for client in &mut clients {
        let subscribed = within(client.name, &mut client.is_subscribed).await;
        subscribed.unwrap_or_else(|_| panic!("{} has not subscribed", client.name));
    }

    publish(&broker, "go").await;
    assert_eq!(post(web).await, ["{\"result\":{}}"; EACH]);
    let all = 1 + PUBLISHERS.len() * EACH;
    for client in &clients {
        eventually(client.name, async || client.heard.lock().len() >= all || client.end.is_finished()).await;
    }
    let drained = within("the end of the drain", broker.drain()).await;
    assert_eq!((drained.closed, drained.left), (clients.len(), 0));

    eprintln!("{:<12}{:>6}  {:<80}told at the end", "", "sent", "heard, of whom");
    for client in clients {
        let end = within(client.name, client.end).await.unwrap();
        let heard = client.heard.lock();
        let of = |who: &str| heard.iter().filter(|told| publisher(told) == who).collect::<Vec<_>>();
        for publisher in PUBLISHERS {
            let expected: Vec<_> = (0..EACH).map(|n| told(client.name, message(publisher, n))).collect();
            assert_eq!(of(publisher), expected.iter().collect::<Vec<_>>(), "{} of {publisher}", client.name);
        }
        assert_eq!(heard[0], told(client.name, json!("go")));
        assert_eq!(heard.len(), all, "{}", client.name);
        let expected = match client.name {
            "nc" | "curl -N" => "disconnect 3001, end of the stream",
            "nc -u" => "disconnect 3001",
            "Chromium" => "disconnect 3001, comes back by itself",
            "socket.io" => "transport close, comes back by itself",
            _ => "connecting 3001, comes back by itself",
        };
        assert_eq!(end, expected, "{}", client.name);
        let sent = if PUBLISHERS.contains(&client.name) { EACH } else { 0 };
        let counts = PUBLISHERS.map(|publisher| format!("{publisher} {}", of(publisher).len())).join(", ");
        eprintln!("{:<12}{sent:>6}  {:<80}{end}", client.name, format!("{} ({counts})", heard.len()));
    }
    eprintln!("{:<12}{EACH:>6}  {:<80}each was answered", "curl -d", "0");
}
