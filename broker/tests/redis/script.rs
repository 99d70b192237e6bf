//! `examples/three-instances.sh`, as a newcomer would run it.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::eventually;
use crate::support::{Client, KEY, request};

/// The script with all that it has started; ended with the test.
struct Script(Child);

impl Drop for Script {
    fn drop(&mut self) {
        // So that it can end what it has started.
        if let Some(pid) = Pid::from_raw(self.0.id() as i32) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.0.wait();
    }
}

/// The first of seven ports in a row that are free, away from those of the other tests' servers.
fn ports() -> u16 {
    let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let first = 12_000 + (std::process::id() % 1000) as u16 * 7;
    (first..19_000).step_by(7).find(|first| (*first..first + 7).all(is_free)).expect("seven ports are free")
}

async fn api(port: u16, method: &str, body: Value) -> Value {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let path = format!("/api/{method}");
    request(
        address,
        "POST",
        &path,
        &KEY.replace("key-of-the-tests", "first-key"),
        body.to_string().as_bytes(),
    )
    .await
    .json()["result"]
        .take()
}

#[tokio::test]
async fn three_instances_are_one() {
    let first = ports();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/three-instances.sh");
    let script = Command::new(path)
        .env("PORT", first.to_string())
        .env("BROKER", env!("CARGO_BIN_EXE_broker"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let script = Script(script.unwrap());
    for port in first..first + 3 {
        eventually("the broker listens", async || TcpStream::connect(("127.0.0.1", port)).await.is_ok())
            .await;
        eventually("it has joined the others", async || {
            api(port, "info", json!({})).await["nodes"].as_array().is_some_and(|nodes| nodes.len() == 3)
        })
        .await;
    }
    let (mut clients, mut ids) = (Vec::new(), Vec::new());
    for port in first..first + 3 {
        let mut client = Client::open(SocketAddr::from(([127, 0, 0, 1], port))).await;
        ids.push(client.connect("").await["client"].clone());
        clients.push(client);
    }
    // Each instance lists all of them, with their last messages. Ids of one millisecond have no order of their own.
    let mut sorted: Vec<_> = ids.iter().map(|id| id.as_str().unwrap()).collect();
    sorted.sort_unstable();
    for port in first..first + 3 {
        let page = api(port, "clients", json!({})).await;
        let listed = page["clients"].as_array().unwrap();
        assert_eq!(listed.iter().map(|client| client["id"].as_str().unwrap()).collect::<Vec<_>>(), sorted);
        assert!(listed.iter().all(|client| client["last_message"].is_u64()));
    }
    // A direct message from one instance to a client of another one.
    let direct = json!({"clients": [ids[0]], "data": "for you alone"});
    eventually("the client is found", async || {
        api(first + 2, "send", direct.clone()).await["clients"][ids[0].as_str().unwrap()] == "delivered"
    })
    .await;
    assert_eq!(clients[0].push().await, json!({"message": {"data": "for you alone"}}));
    // Logic, called on one instance, reaches the clients of all.
    let called = clients[1].command(json!({"rpc": {"method": "all", "data": "for all"}})).await;
    assert_eq!(called, json!({"rpc": {"data": null}}));
    for client in &mut clients {
        assert_eq!(client.push().await, json!({"message": {"data": "for all"}}));
    }
    // A connection ends from afar.
    assert_eq!(api(first, "disconnect", json!({"client": ids[2]})).await, json!({"disconnected": 1}));
    assert_eq!(clients[2].end().await, 3503);
    drop(clients);
    drop(script);
    for port in first..first + 7 {
        eventually("nothing is left", async || TcpStream::connect(("127.0.0.1", port)).await.is_err()).await;
    }
}
