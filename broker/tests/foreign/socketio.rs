//! The official client of Socket.IO, on Node.js.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use rustix::process::Signal;
use serde_json::json;
use switchboard::backplane::memory::Memory;
use tokio::net::{TcpListener, TcpStream};

use super::node::Script;
use crate::{
    redis::server::Server,
    support::{
        Broker, eventually,
        program::Program,
        token::{SECRET, token},
        within,
    },
};

/// Anybody may connect, and whoever has a token is somebody.
pub(super) fn yaml(more: &str) -> String {
    format!(
        "auth: {{anonymous: true, api_keys: [key-of-the-tests], jwt: {{hmac_secret: \"{SECRET}\"}}}}\n\
         channels: {{namespaces: [{{name: \"\"}}, {{name: staff}}]}}\n\
         endpoints: {{socketio: {{enabled: true, namespaces: [/, /staff], ping_interval: 10s, ping_timeout: 10s}}}}\n{more}"
    )
}

/// One address before several brokers, each connection to the next of them: as a Service without affinity is.
struct Dumb {
    address: SocketAddr,
    behind: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Dumb {
    async fn before(brokers: &[Broker]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let behind: Vec<_> = brokers.iter().map(|broker| broker.client_address).collect();
        let behind = Arc::new(Mutex::new(behind));
        let (goes_to, next) = (behind.clone(), AtomicUsize::new(0));
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let to = {
                    let behind = goes_to.lock();
                    behind[next.fetch_add(1, Ordering::Relaxed) % behind.len()]
                };
                tokio::spawn(async move {
                    let Ok(mut broker) = TcpStream::connect(to).await else { return };
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut broker).await;
                });
            }
        });
        Self { address, behind }
    }
}

/// Two instances on one real Redis that know each other.
pub(super) async fn pair(server: &Server, settings: &str) -> [Broker; 2] {
    let broker = async |id| {
        let redis = format!("redis: {{url: \"redis://127.0.0.1:{}\"}}\n", server.port);
        Broker::start(&format!("{settings}instance: {{id: {id}}}\n{redis}")).await
    };
    let pair = [broker("chat-0").await, broker("chat-1").await];
    for broker in &pair {
        eventually("the instances hear each other", async || broker.metric("redis_peers", &[]).await == 1)
            .await;
    }
    pair
}

async fn talk(url: SocketAddr, way: &str, [a, b]: &[Broker; 2]) {
    let arguments = [
        format!("http://{url}"),
        way.to_owned(),
        "room".to_owned(),
        format!("http://{}/api", a.client_address),
        "key-of-the-tests".to_owned(),
        super::url(b.client_address),
        token(&json!({"sub": "ann"})),
    ];
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    Script::start("socketio.mjs", &arguments).await.succeeds().await;
    for broker in [a, b] {
        let is_empty = async || broker.metric("connections", &[("endpoint", "socketio")]).await == 0;
        eventually("nobody is left", is_empty).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_talk_by_websocket_across_two_instances() {
    let server = Server::start().await;
    let brokers = pair(&server, &yaml("")).await;
    let service = Dumb::before(&brokers).await;
    talk(service.address, "websocket", &brokers).await;
    assert!(brokers[0].metric("deliveries_total", &[("origin", "remote")]).await > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_talk_by_requests_that_land_on_the_wrong_instance() {
    let server = Server::start().await;
    let brokers = pair(&server, &yaml("")).await;
    let service = Dumb::before(&brokers).await;
    // A client's requests take turns, and so do the instances: out of step, each gets requests of every kind.
    service.behind.lock().extend(brokers.iter().rev().map(|broker| broker.client_address));
    talk(service.address, "polling", &brokers).await;
    let brought =
        async |broker: &Broker| broker.metric("socketio_forwarded_total", &[("outcome", "ok")]).await;
    let brought = brought(&brokers[0]).await + brought(&brokers[1]).await;
    assert!(brought >= 10, "{brought} requests were brought to the other instance");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_may_move_to_a_websocket_talk_across_two_instances() {
    let server = Server::start().await;
    let brokers = pair(&server, &yaml("")).await;
    let service = Dumb::before(&brokers).await;
    talk(service.address, "upgrade", &brokers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_moves_from_requests_to_a_websocket_and_loses_nothing() {
    let broker = Broker::start(&yaml("")).await;
    let url = format!("http://{}", broker.client_address);
    Script::start("socketio_upgrade.mjs", &[&url, "room"]).await.succeeds().await;
}

/// A client of a drained instance comes back on the other one, and hears what is published there.
async fn moves(way: &str) {
    let memory = Arc::new(Memory::default());
    let broker = async |id| Broker::joining(&memory, &yaml(&format!("instance: {{id: {id}}}\n"))).await;
    let brokers = [broker("chat-0").await, broker("chat-1").await];
    let service = Dumb::before(&brokers[..1]).await;
    let url = format!("http://{}", service.address);
    let mut script = Script::start("socketio_stay.mjs", &[&url, way, "room"]).await;
    script.says("joined").await;
    let publish = async |data: &str| {
        let answer = brokers[1].api("publish", &json!({"channel": "room", "data": [data]})).await;
        assert_eq!(answer, json!({"result": {}}));
    };
    publish("before").await;
    script.says(r#"received ["before"]"#).await;
    *service.behind.lock() = vec![brokers[1].client_address];
    let drained = within("the end of the drain", brokers[0].drain()).await;
    assert_eq!((drained.closed, drained.left), (1, 0));
    assert!(script.line().await.starts_with("disconnect transport "));
    script.says("joined").await;
    publish("end").await;
    script.says(r#"received ["end"]"#).await;
    script.succeeds().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_by_websocket_comes_back_when_its_instance_drains() {
    moves("websocket").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_by_requests_comes_back_when_its_instance_drains() {
    moves("polling").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_runs_on_its_profile() {
    let memory = Arc::new(Memory::default());
    let yaml = |id| {
        let profile = yaml("").replace("enabled: true,", "enabled: true, profile: chat, offline_after: 3s,");
        format!("{profile}instance: {{id: {id}}}\n")
    };
    let brokers =
        [Broker::joining(&memory, &yaml("chat-0")).await, Broker::joining(&memory, &yaml("chat-1")).await];
    let [a, b] = [0, 1].map(|at: usize| format!("http://{}", brokers[at].client_address));
    let [ann, bob] = ["ann", "bob"].map(|user| token(&json!({"sub": user})));
    for way in ["upgrade", "websocket", "polling"] {
        Script::start("socketio_chat.mjs", &[&a, &b, &ann, &bob, way]).await.succeeds().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_does_with_clients_of_two_instances_what_a_server_of_socketio_does() {
    let server = Server::start().await;
    let brokers = pair(&server, &yaml("")).await;
    let [a, b] = [0, 1].map(|at: usize| format!("http://{}", brokers[at].client_address));
    for way in ["websocket", "polling"] {
        Script::start("socketio_backend.mjs", &[&a, &b, "key-of-the-tests", way]).await.succeeds().await;
    }
}

/// Two of three instances look on while the third one is sent this signal, and has users who come back elsewhere or do not.
async fn goes(signal: Signal) {
    let server = Server::start().await;
    let chat = yaml("").replace("enabled: true,", "enabled: true, profile: chat, offline_after: 2s,");
    let settings =
        |id| format!("{chat}instance: {{id: {id}}}\nredis: {{url: \"redis://127.0.0.1:{}\"}}\n", server.port);
    let [b, c] = [Broker::start(&settings("chat-1")).await, Broker::start(&settings("chat-2")).await];
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("broker.yaml");
    std::fs::write(&file, settings("chat-0")).unwrap();
    let program = Program::start(&["--config", file.to_str().unwrap()], &[]);
    let (address, _) = program.addresses().await;
    for broker in [&b, &c] {
        eventually("all hear each other", async || broker.metric("redis_peers", &[]).await == 2).await;
    }
    let mut arguments: Vec<_> =
        [address, b.client_address, c.client_address].map(|at| format!("http://{at}")).into();
    arguments.extend(["ann", "bob", "cid", "dan", "eve"].map(|user| token(&json!({"sub": user}))));
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let mut script = Script::start("socketio_gone.mjs", &arguments).await;
    script.says("ready").await;
    program.signal(signal);
    script.succeeds().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_of_an_instance_that_dies_are_told_gone_once_unless_they_come_back() {
    goes(Signal::KILL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_of_an_instance_that_drains_are_told_gone_once_unless_they_come_back() {
    goes(Signal::TERM).await;
}
