//! Boards through a real Redis: what they cost there, and what becomes of them when it, or an instance, goes away.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use switchboard::{
    backplane::{Backplane, redis::RedisBackplane},
    codec::presence::FromClient,
    config,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{Server, eventually, within};
use crate::support::{
    Broker, OPEN,
    board::{Player, Told, join},
    program::Program,
};

const BOARDS: &str = "endpoints: {presence: {enabled: true}}\n";

/// A broker at this Redis that has joined the others.
async fn broker(id: &str, redis: config::Redis, more: &str) -> Broker {
    let backplane = Arc::new(RedisBackplane::new(redis));
    let broker = Broker::on(backplane.clone(), &format!("{OPEN}{more}instance: {{id: {id}}}\n")).await;
    eventually("the instance joins", async || backplane.health().connected).await;
    broker
}

/// Counts the bytes of an instance's connections to Redis.
struct Meter {
    address: SocketAddr,
    to_redis: Arc<AtomicU64>,
    from_redis: Arc<AtomicU64>,
}

impl Meter {
    async fn start(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (to_redis, from_redis) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let (port, up, down) = (server.port, to_redis.clone(), from_redis.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(redis) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                let ((from_client, to_client), (from_redis, to_redis)) =
                    (client.into_split(), redis.into_split());
                tokio::spawn(count(from_client, to_redis, up.clone()));
                tokio::spawn(count(from_redis, to_client, down.clone()));
            }
        });
        Self { address, to_redis, from_redis }
    }

    fn config(&self) -> config::Redis {
        config::Redis::at(format!("redis://{}", self.address))
    }

    fn read(&self) -> (u64, u64) {
        (self.to_redis.load(Ordering::SeqCst), self.from_redis.load(Ordering::SeqCst))
    }
}

async fn count(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, bytes: Arc<AtomicU64>) {
    let mut buffer = vec![0; 65536];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        bytes.fetch_add(length as u64, Ordering::SeqCst);
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_of_a_busy_board_costs_redis_at_most_sixteen_bytes() {
    const MEMBERS: usize = 100;
    const ROUNDS: i32 = 100;
    let server = Server::start().await;
    let (meter_a, meter_b) = (Meter::start(&server).await, Meter::start(&server).await);
    // A machine that is busy with other tests must not spread what is sent together over many ticks.
    let boards = "endpoints: {presence: {enabled: true, flush_interval: 200ms}}\n";
    let a = broker("b-0", meter_a.config(), boards).await;
    let b = broker("b-1", meter_b.config(), boards).await;
    let mut players = Vec::new();
    for i in 0..MEMBERS {
        players.push(Player::on_board(if i % 2 == 0 { &a } else { &b }, "plan", &format!("p{i:03}")).await);
    }
    for player in &mut players {
        player.until("all are there", |player| player.members.len() == MEMBERS).await;
    }
    let told = async || {
        let of = async |broker: &Broker| {
            let told = broker.metric("board_movements_total", &[("outcome", "told")]).await;
            (told, broker.metric("board_flushes_total", &[]).await)
        };
        let ((one, flushes), (other, more)) = (of(&a).await, of(&b).await);
        (one + other, flushes + more)
    };
    let (up_a, down_a) = meter_a.read();
    let (up_b, down_b) = meter_b.read();
    let published = Arc::new([const { AtomicU64::new(0) }; 2]);
    let (mut listener, counted) = (Listener::start(&server).await, published.clone());
    let counting = tokio::spawn(async move {
        loop {
            let (_, command) = listener.size().await;
            counted[1].fetch_add(command as u64, Ordering::SeqCst);
            counted[0].fetch_add(1, Ordering::SeqCst);
        }
    });
    // All over a large screen, each about as often as a mouse tells of itself.
    for round in 0..ROUNDS {
        tokio::time::sleep(Duration::from_millis(15)).await;
        for (i, player) in players.iter_mut().enumerate() {
            let (x, y) = ((i as i32 * 77 + round * 13) % 3840, (i as i32 * 31 + round * 17) % 2160);
            player.moves_to(x * 4, y * 4).await;
        }
    }
    let mut readers = Vec::new();
    for mut player in players {
        readers.push(tokio::spawn(async move {
            for i in 0..MEMBERS as i32 {
                let last = ((i * 77 + (ROUNDS - 1) * 13) % 3840 * 4, (i * 31 + (ROUNDS - 1) * 17) % 2160 * 4);
                player.sees_that(&format!("p{i:03}"), |seen| seen.cursor == Some(last)).await;
            }
            player
        }));
    }
    let mut back = Vec::new();
    for reader in readers {
        back.push(reader.await.unwrap());
    }
    let (moved, flushes) = told().await;
    let (up, down) = {
        let (one, other) = (meter_a.read(), meter_b.read());
        (one.0 - up_a + other.0 - up_b, one.1 - down_a + other.1 - down_b)
    };
    eventually("all messages are counted", async || published[0].load(Ordering::SeqCst) == flushes).await;
    let each = |bytes: u64| bytes as f64 / moved as f64;
    let command = each(published[1].load(Ordering::SeqCst));
    // Beside the commands: leases, probes, the directory; and what Redis sends to both.
    eprintln!(
        "{moved} movements in {flushes} messages: {command:.1} bytes of commands each; {:.1} bytes of all that went to \
         Redis meanwhile, {:.1} of all that came",
        each(up),
        each(down)
    );
    assert!(command <= 16.0, "{command} bytes for each movement");
    assert!(flushes * 5 < moved, "{flushes} messages for {moved} movements");
    // Before Redis ends, which it listens to.
    counting.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_a_dead_instance_are_gone_with_its_lease() {
    let server = Server::start().await;
    let url = format!("redis://127.0.0.1:{}", server.port);
    let environment = [
        ("SWITCHBOARD_AUTH__ANONYMOUS", "true"),
        ("SWITCHBOARD_INSTANCE__ID", "b-1"),
        ("SWITCHBOARD_ENDPOINTS__PRESENCE__ENABLED", "true"),
        ("REDIS_URL", url.as_str()),
        ("SWITCHBOARD_REDIS__REQUIRED", "true"),
        ("LOG_LEVEL", "info"),
    ];
    let dies = Program::start(&[], &environment);
    let (address, _) = dies.addresses().await;
    let opened = crate::support::board::board_handshake(address, "/presence", "").await;
    let mut bob = opened.unwrap_or_else(|refusal| panic!("{refusal:?}")).0;
    bob.join("plan", "Bob").await;
    let a = broker("b-0", server.config(), BOARDS).await;
    let mut ann = Player::on_board(&a, "plan", "Ann").await;
    ann.sees(&["Ann", "Bob"]).await;
    bob.moves_to(3, 4).await;
    ann.sees_that("Bob", |seen| seen.cursor == Some((3, 4))).await;
    // Killed: nobody says goodbye.
    drop(dies);
    ann.sees(&["Ann"]).await;
    let cid = Player::on_board(&a, "plan", "Cid").await;
    assert_eq!(cid.names(), ["Ann", "Cid"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boards_go_on_without_redis_and_are_one_again_when_it_is_back() {
    let mut server = Server::start().await;
    let a = broker("b-0", server.config(), BOARDS).await;
    let b = broker("b-1", server.config(), BOARDS).await;
    let mut ann = Player::on_board(&a, "plan", "Ann").await;
    let mut bob = Player::on_board(&b, "plan", "Bob").await;
    let leaver = Player::on_board(&b, "plan", "Leaver").await;
    for player in [&mut ann, &mut bob] {
        player.sees(&["Ann", "Bob", "Leaver"]).await;
    }
    server.kill();
    for broker in [&a, &b] {
        eventually("the loss is noticed", async || broker.metric("redis_up", &[]).await == 0).await;
    }
    for player in [&mut ann, &mut bob] {
        player.is_told(&Told::Alone(true)).await;
    }
    // Within each instance all goes on: members move, come and go.
    let mut cid = Player::on_board(&a, "plan", "Cid").await;
    assert_eq!(cid.next().await, Told::Alone(true), "who comes is told too");
    ann.moves_to(8, 8).await;
    cid.sees_that("Ann", |seen| seen.cursor == Some((8, 8))).await;
    cid.say(&FromClient::Selection("meanwhile")).await;
    ann.sees_that("Cid", |seen| seen.selection == "meanwhile").await;
    drop(leaver);
    bob.sees(&["Ann", "Bob"]).await;
    assert_eq!(ann.names(), ["Ann", "Bob", "Cid", "Leaver"], "what is not known is not guessed");
    server.run().await;
    for player in [&mut ann, &mut bob, &mut cid] {
        player.is_told(&Told::Alone(false)).await;
        player.sees(&["Ann", "Bob", "Cid"]).await;
        assert_eq!(player.members.len(), 3, "nobody is there twice");
        player.sees_that("Ann", |seen| seen.cursor == Some((8, 8))).await;
        player.sees_that("Cid", |seen| seen.selection == "meanwhile").await;
    }
    // And nothing is there twice, also for who comes now.
    bob.moves_to(1, 2).await;
    ann.sees_that("Bob", |seen| seen.cursor == Some((1, 2))).await;
    let mut dan = Player::open(&b).await;
    dan.say(&join("plan", "Dan")).await;
    dan.sees(&["Ann", "Bob", "Cid", "Dan"]).await;
    assert_eq!(dan.members.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_was_gone_while_redis_was_away_is_forgotten() {
    let mut server = Server::start().await;
    let a = broker("b-0", server.config(), BOARDS).await;
    let b = broker("b-1", server.config(), BOARDS).await;
    let mut ann = Player::on_board(&a, "plan", "Ann").await;
    let mut bob = Player::on_board(&b, "plan", "Bob").await;
    ann.sees(&["Ann", "Bob"]).await;
    server.kill();
    eventually("the loss is noticed", async || a.metric("redis_up", &[]).await == 0).await;
    let drain = tokio::spawn(b.drain());
    assert_eq!(bob.end().await, 3001);
    drop(bob);
    drain.await.unwrap();
    // Redis has forgotten everything, and nobody is left to say that Bob has gone.
    server.run().await;
    ann.sees(&["Ann"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_listens_to_boards_that_it_has_members_on() {
    let server = Server::start().await;
    let a = broker("b-0", server.config(), BOARDS).await;
    let b = broker("b-1", server.config(), BOARDS).await;
    let ann = Player::on_board(&a, "one", "Ann").await;
    let _bob = Player::on_board(&b, "two", "Bob").await;
    let channels = async || {
        let mut found: Vec<String> = server.ask("PUBSUB CHANNELS *:board:*").await;
        found.sort();
        found
    };
    assert_eq!(channels().await.len(), 2);
    drop(ann);
    eventually("the board is left", async || channels().await.len() == 1).await;
}

/// Listens to everything on boards, as `PSUBSCRIBE *:board:*` does.
struct Listener {
    redis: TcpStream,
    received: Vec<u8>,
}

impl Listener {
    async fn start(server: &Server) -> Self {
        let mut redis = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
        redis.write_all(b"PSUBSCRIBE *:board:*\r\n").await.unwrap();
        let mut listener = Self { redis, received: Vec::new() };
        listener.line(b":1\r\n").await;
        listener
    }

    /// Takes everything up to this.
    async fn line(&mut self, end: &[u8]) -> Vec<u8> {
        within("something from Redis", async {
            loop {
                if let Some(at) = self.received.windows(end.len()).position(|window| window == end) {
                    let rest = self.received.split_off(at + end.len());
                    return std::mem::replace(&mut self.received, rest);
                }
                assert_ne!(self.redis.read_buf(&mut self.received).await.unwrap(), 0);
            }
        })
        .await
    }

    /// The size of the next message, and of the command that published it.
    async fn size(&mut self) -> (usize, usize) {
        self.line(b"pmessage\r\n$").await;
        // The pattern and the name, each with its length; then the length of the message.
        self.line(b"\r\n").await;
        self.line(b"\r\n").await;
        let name_length = self.line(b"\r\n").await;
        let name = self.line(b"\r\n").await;
        let length = self.line(b"\r\n").await;
        let size = std::str::from_utf8(&length[1..length.len() - 2]).unwrap().parse().unwrap();
        let command =
            b"*3\r\n$7\r\nPUBLISH\r\n".len() + name_length.len() + name.len() + length.len() + size + 2;
        (size, command)
    }
}

#[tokio::test]
async fn events_of_a_quiet_board_have_these_sizes_on_redis() {
    let server = Server::start().await;
    let a = broker("b-0", server.config(), BOARDS).await;
    let mut ann = Player::on_board(&a, "1", "Ann").await;
    ann.sees(&["Ann"]).await;
    let mut listener = Listener::start(&server).await;
    let mut bob = Player::on_board(&a, "1", "Bob").await;
    let (join, _) = listener.size().await;
    bob.moves_to(4 * 812, 4 * 455).await;
    let (cursor, command) = listener.size().await;
    ann.say(&FromClient::Heartbeat).await;
    ann.say(&FromClient::Selection("shape-12")).await;
    let (selection, _) = listener.size().await;
    bob.say(&FromClient::Leave).await;
    let (leave, _) = listener.size().await;
    eprintln!(
        "join {join}, cursor {cursor} (command {command}), heartbeat 0, selection {selection}, leave {leave} bytes"
    );
    // Those of the service before: 80 to 120, 60 to 70, about 50 for a heartbeat.
    assert!(cursor < 45 && selection < 50 && join < 220 && leave == join);
}
