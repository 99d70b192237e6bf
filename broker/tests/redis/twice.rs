//! Two processes that believe to be one instance.

use serde_json::json;

use super::Server;
use crate::support::{Client, program::Program};

#[tokio::test]
async fn of_two_processes_with_one_id_the_earlier_one_sends_its_clients_away_and_ends() {
    let server = Server::start().await;
    let url = format!("redis://127.0.0.1:{}", server.port);
    let environment = [
        ("SWITCHBOARD_AUTH__ANONYMOUS", "true"),
        ("SWITCHBOARD_INSTANCE__ID", "chat-0"),
        ("SWITCHBOARD_REDIS__URL", url.as_str()),
        ("SWITCHBOARD_REDIS__REQUIRED", "true"),
    ];
    let earlier = Program::start(&[], &environment);
    let mut client = Client::open(earlier.addresses().await.0).await;
    client.connect("").await;
    let later = Program::start(&[], &environment);
    let (address, _) = later.addresses().await;
    assert_eq!(client.end().await, 3001, "come back: another will answer");
    drop(client);
    let (status, log) = earlier.end().await;
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("each needs an instance.id of its own"), "{log}");
    // The later one goes on as if nothing had been.
    let mut client = Client::open(address).await;
    assert_eq!(client.connect("").await["node"], json!("chat-0"));
}
