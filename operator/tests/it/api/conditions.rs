//! What the brokers themselves say, in the status.

use super::{
    fixture::{Fixture, chat, condition, reason, until},
    server::server,
};
use serde_json::{Value, json};
use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};
use switchboard_operator::crd::BrokerCluster;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Stands for the admin ports of two brokers, on loopback addresses of their own.
struct Brokers {
    port: u16,
    answer: Arc<Mutex<Value>>,
}

const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 73, 1), Ipv4Addr::new(127, 0, 73, 2)];

impl Brokers {
    async fn start() -> Self {
        let answer = Arc::new(Mutex::new(Value::Null));
        let mut port = 0;
        for address in ADDRESSES {
            let listener = TcpListener::bind((address, port)).await.expect("loopback addresses are free");
            port = listener.local_addr().expect("it is bound").port();
            let answer = answer.clone();
            tokio::spawn(async move {
                loop {
                    let (mut stream, _) = listener.accept().await.expect("a connection");
                    let body = answer.lock().expect("not poisoned").to_string();
                    let mut request = [0; 1024];
                    let _ = stream.read(&mut request).await;
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                    let _ = stream.write_all((head + &body).as_bytes()).await;
                }
            });
        }
        Self { port, answer }
    }

    fn say(&self, connections: u32, connected: bool, probe_ms: Option<f64>) {
        *self.answer.lock().expect("not poisoned") = json!({
            "status": "ok", "instance": "x", "connections": connections,
            "redis": {"mode": "standalone", "connected": connected, "probe_ms": probe_ms},
        });
    }
}

#[tokio::test]
async fn health_of_redis_and_of_delivery_is_shown() {
    let fixture = Fixture::new().await;
    let brokers = Brokers::start().await;
    brokers.say(7, true, Some(0.2));
    let port = brokers.port;
    let operator =
        fixture.operator_with(server().operator(), |settings| settings.broker_admin_port = port).await;
    fixture.chat().await;
    fixture.settled("chat").await;
    fixture.run_pods("chat-redis", 1).await;
    fixture.run_pods("chat", 2).await;
    for (ordinal, address) in ADDRESSES.iter().enumerate() {
        fixture.set_pod(&format!("chat-{ordinal}"), true, Some(&address.to_string())).await;
    }
    let crossing = |c: &BrokerCluster| reason(c, "DataPathReady").as_deref() == Some("ProbesCross");
    let cluster = fixture.cluster_until("chat", "probes return", crossing).await;
    let status = cluster.status.clone().unwrap();
    assert_eq!(status.redis.unwrap().connected, 2);
    assert_eq!(reason(&cluster, "RedisReady").unwrap(), "Connected");
    let counted = |c: &BrokerCluster| c.status.as_ref().is_some_and(|status| status.connections == 14);
    fixture.cluster_until("chat", "its connections are counted", counted).await;
    assert_eq!(condition(&cluster, "Ready").unwrap().0, "True");

    // Redis goes away from under the brokers. Nothing in Kubernetes changes but the pod's own readiness.
    brokers.say(7, false, None);
    fixture.set_pod("chat-redis-0", false, None).await;
    let down = |c: &BrokerCluster| {
        condition(c, "Ready")
            .is_some_and(|(status, reason, _)| status == "False" && reason == "RedisNotReady")
    };
    let cluster = fixture.cluster_until("chat", "not ready without Redis", down).await;
    assert_eq!(reason(&cluster, "Degraded").unwrap(), "RedisDown");

    brokers.say(7, true, Some(0.2));
    fixture.set_pod("chat-redis-0", true, None).await;
    let healed = |c: &BrokerCluster| condition(c, "Ready").is_some_and(|(status, ..)| status == "True");
    fixture.cluster_until("chat", "ready again", healed).await;
    until("metrics tell the same", async || {
        let text = operator.operator.metrics.render();
        text.contains("switchboard_operator_cluster_conditions{condition=\"Ready\",status=\"True\"} 1")
            && text.contains("switchboard_operator_clusters 1")
    })
    .await;
}

#[tokio::test]
async fn a_cluster_that_admits_nobody_says_so() {
    let fixture = Fixture::new().await;
    let _operator = fixture.operator().await;
    let mut spec = chat();
    spec["auth"] = json!({});
    fixture.apply("chat", spec).await.expect("it is valid");
    fixture.settled("chat").await;
    fixture.run_pods("chat-redis", 1).await;
    fixture.run_pods("chat", 2).await;
    let api_only = |c: &BrokerCluster| reason(c, "Ready").as_deref() == Some("ServerApiOnly");
    let cluster = fixture.cluster_until("chat", "for the server API only", api_only).await;
    let (status, _, message) = condition(&cluster, "Ready").unwrap();
    assert_eq!(status, "True");
    assert!(message.contains("set auth.jwt"), "{message}");
}

#[tokio::test]
async fn the_admin_port_answers() {
    let fixture = Fixture::new().await;
    let operator = fixture.operator().await;
    let ask = async |path: &str| {
        let mut stream = tokio::net::TcpStream::connect(operator.operator.admin).await.expect("it listens");
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        answer
    };
    assert!(ask("/livez").await.starts_with("HTTP/1.1 200"));
    until("it is ready", async || ask("/readyz").await.starts_with("HTTP/1.1 200")).await;
    let metrics = ask("/metrics").await;
    for name in
        ["switchboard_operator_leader", "switchboard_operator_build_info", "process_resident_memory_bytes"]
    {
        assert!(metrics.contains(name), "{name} is missing");
    }
}
