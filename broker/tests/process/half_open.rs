//! Ten thousand connections that come and say nothing, or begin and do not go on.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::support::{Client, eventually, program::Program, within};

/// How many connections, where the system lets a process have as many.
const WANTED: usize = 10_000;

/// What the other tests of this process open at the same time, and more.
const OTHERS: usize = 2_000;

/// How many come from one address, which is more than it may have.
const FROM_ONE: usize = 600;

/// How many connections can be opened; the broker may then open as many.
fn may_open() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let most = limit.maximum.map_or(usize::MAX, |most| most.try_into().unwrap_or(usize::MAX));
    assert!(most >= 5_000, "{most} open files are too few for this test; raise the hard limit (ulimit -Hn)");
    WANTED.min(most - OTHERS)
}

/// Opens connections from addresses of loopback that nobody else has. Each sends one of these beginnings.
async fn open(to: SocketAddr, count: usize, network: u8, beginnings: [&[u8]; 2]) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for number in 0..count {
        let socket = TcpSocket::new_v4().unwrap();
        let from = Ipv4Addr::new(127, 1, network, 1 + (number / FROM_ONE) as u8);
        socket.bind(SocketAddr::from((from, 0))).unwrap();
        let mut stream = within("connecting", socket.connect(to)).await.unwrap();
        // One that is refused may be closed before this.
        let _ = stream.write_all(beginnings[number % 2]).await;
        streams.push(stream);
    }
    streams
}

/// Two clients that talk until they are told to stop; how often they have heard each other.
async fn talk(mut ann: Client, mut bob: Client, is_over: Arc<AtomicBool>) -> u64 {
    let mut number = 0;
    while !is_over.load(Ordering::Relaxed) {
        ann.publish("room", json!(number)).await;
        assert_eq!(bob.publication("room").await, number);
        assert_eq!(ann.publication("room").await, number);
        number += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    number
}

async fn client(address: SocketAddr) -> Client {
    let mut client = Client::open(address).await;
    client.connect("").await;
    client.subscribe("room").await;
    client
}

#[tokio::test]
async fn ten_thousand_half_open_connections_are_bounded_closed_and_counted_while_clients_go_on() {
    let count = may_open();
    let limit = 3 * count / 10;
    let broker = Program::start(
        &[],
        &[
            ("SWITCHBOARD_AUTH__ANONYMOUS", "true"),
            ("SWITCHBOARD_ENDPOINTS__TCP", "{enabled: true, address: \"127.0.0.1:0\"}"),
            ("SWITCHBOARD_LIMITS__CONNECTIONS", &limit.to_string()),
            ("SWITCHBOARD_LIMITS__CONNECTIONS_PER_ADDRESS", "500"),
        ],
    );
    let (web, admin) = broker.addresses().await;
    let tcp = broker.tcp_address().await;
    let rejected = async |reason| broker.metric(admin, "rejected_total", &[("reason", reason)]).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let talking = tokio::spawn(talk(client(web).await, client(web).await, is_over.clone()));
    let before = broker.peak_memory();

    let half_heads: [&[u8]; 2] = [b"", b"GET /connection/websocket HTTP/1.1\r\nHost: a\r\nUpgra"];
    let half_lines: [&[u8]; 2] = [b"", b"{\"id\":1,\"connect\":{"];
    let mut streams = open(web, count / 2, 1, half_heads).await;
    streams.extend(open(tcp, count - count / 2, 2, half_lines).await);
    let held = broker.metric(admin, "connections", &[]).await;
    assert!(held <= limit as u64, "{held} clients");

    for mut stream in streams {
        // Whether it is ended in order or cut off, it is over.
        let mut rest = Vec::new();
        let _ = within("the end of a connection", stream.read_to_end(&mut rest)).await;
    }
    let stale = [("endpoint", "tcp"), ("reason", "stale")];
    eventually("all are counted", async || {
        let mut counted = broker.metric(admin, "disconnects_total", &stale).await;
        for reason in ["handshake_limit", "handshake_timeout", "address_limit", "connection_limit"] {
            counted += rejected(reason).await;
        }
        assert!(counted <= count as u64, "{counted} of {count}");
        counted == count as u64
    })
    .await;
    eventually("none of them is left", async || broker.metric(admin, "connections", &[]).await == 2).await;
    is_over.store(true, Ordering::Relaxed);
    let messages = within("the end of the talk", talking).await.unwrap();

    let grown = broker.peak_memory().saturating_sub(before);
    eprintln!("{count} half-open connections, {grown} KiB more at the peak, {messages} messages meanwhile");
    for reason in ["handshake_limit", "handshake_timeout", "address_limit", "connection_limit"] {
        let refused = rejected(reason).await;
        eprintln!("{refused:>8} {reason}");
        assert!(refused > 0, "{reason}");
    }
    let late = broker.metric(admin, "disconnects_total", &stale).await;
    eprintln!("{late:>8} stale");
    assert!(late > 0 && messages > 0);
    assert!(grown < 16 * count as u64, "{grown} KiB for {count} connections");
}
