//! What happens when a client does nothing, on a clock that the tests hold.

use std::{sync::Arc, time::Duration};

use switchboard::{
    codec::presence::FromClient,
    endpoint::{
        presence::{Boards, Pace, Service, Settings, connection},
        session,
    },
};
use tokio::{io::DuplexStream, time::Instant};

use crate::support::{
    Lab, OPEN,
    board::{Player, Told, join},
};

const NAMESPACE: &str = "channels: {namespaces: [{name: board, join_leave: true}]}\n";

/// The endpoint without sockets.
struct Table {
    lab: Lab,
    service: Arc<Service>,
}

impl Table {
    async fn set(idle_timeout: Duration) -> Self {
        let lab = Lab::start(&format!("{OPEN}{NAMESPACE}")).await;
        let (hub, backplane) = (lab.gateway.hub.clone(), lab.gateway.backplane.clone());
        let flush_interval = Duration::from_millis(20);
        let boards =
            Boards::new(hub, backplane, Pace { cursor_rate: 30, flush_interval, compress_above: 1024 });
        let telling = boards.clone();
        tokio::spawn(async move { telling.run().await });
        let session = session::Settings {
            ping_interval: Duration::from_secs(25),
            pong_timeout: Duration::from_secs(8),
            message_size: 65536,
            outbox_size: 1 << 20,
            reply_size: 1 << 20,
            token_grace: Duration::ZERO,
        };
        let settings =
            Settings { session, channel_prefix: "board:".into(), announcements: None, idle_timeout };
        let service = Arc::new(Service::new(lab.gateway.clone(), boards, settings));
        Self { lab, service }
    }

    fn open(&self) -> Player<DuplexStream> {
        let (here, there) = tokio::io::duplex(65536);
        tokio::spawn(connection(there, &[], self.service.clone()));
        Player::on(here, Vec::new())
    }

    async fn player(&self, name: &str) -> Player<DuplexStream> {
        let mut player = self.open();
        player.join("plan", name).await;
        player
    }

    fn ended(&self, reason: &str) -> u64 {
        self.lab.metric("disconnects_total", &[("endpoint", "presence"), ("reason", reason)])
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_join_has_fifteen_seconds() {
    let table = Table::set(Duration::ZERO).await;
    let begun = Instant::now();
    assert_eq!(table.open().end().await, 3502);
    assert_eq!(begun.elapsed().as_secs(), 15);
    assert_eq!(table.ended("stale"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_not_there_any_more_is_found() {
    let table = Table::set(Duration::ZERO).await;
    let mut deaf = table.player("Deaf").await;
    deaf.answers_pings = false;
    let begun = Instant::now();
    deaf.is_told(&Told::Ping).await;
    assert_eq!(begun.elapsed().as_secs(), 25);
    assert_eq!(deaf.end().await, 3012);
    assert_eq!(begun.elapsed().as_secs(), 33);
    assert_eq!(table.ended("no_pong"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_does_nothing_is_taken_off_its_board_and_may_come_back() {
    // All of it is over before the first ping.
    let table = Table::set(Duration::from_secs(12)).await;
    let mut ann = table.player("Ann").await;
    let mut bob = table.player("Bob").await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    bob.moves_to(1, 1).await;
    bob.sees_that("Bob", |seen| seen.cursor.is_some()).await;
    let begun = Instant::now();
    ann.is_told(&Told::Left(1, "idle".into())).await;
    let after = begun.elapsed().as_secs();
    assert!((7..=9).contains(&after), "{after} s");
    bob.sees(&["Bob"]).await;
    ann.join("plan", "Ann").await;
    bob.sees(&["Ann", "Bob"]).await;
    bob.is_told(&Told::Left(1, "idle".into())).await;
    let after = begun.elapsed().as_secs();
    assert!((11..=13).contains(&after), "{after} s");
}

#[tokio::test(start_paused = true)]
async fn heartbeats_do_not_keep_a_member_on_its_board() {
    let table = Table::set(Duration::from_secs(20)).await;
    let mut ann = table.player("Ann").await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(6)).await;
        ann.say(&FromClient::Heartbeat).await;
    }
    let begun = Instant::now();
    ann.is_told(&Told::Left(1, "idle".into())).await;
    assert_eq!(begun.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn zero_is_never_and_heartbeats_are_enough() {
    let table = Table::set(Duration::ZERO).await;
    let mut ann = table.player("Ann").await;
    ann.answers_pings = false;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_secs(8)).await;
        ann.say(&FromClient::Heartbeat).await;
    }
    ann.moves_to(1, 1).await;
    ann.sees_that("Ann", |seen| seen.cursor.is_some()).await;
}

#[tokio::test(start_paused = true)]
async fn movements_are_told_at_the_next_tick_and_nothing_ticks_without_them() {
    let table = Table::set(Duration::ZERO).await;
    let mut ann = table.player("Ann").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begun = Instant::now();
    ann.moves_to(1, 1).await;
    ann.moves_to(2, 2).await;
    ann.sees_that("Ann", |seen| seen.cursor == Some((2, 2))).await;
    let after = begun.elapsed().as_millis();
    assert!((20..=22).contains(&after), "{after} ms");
    let flushes = || table.lab.metric("board_flushes_total", &[]);
    assert_eq!(flushes(), 1);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(flushes(), 1);
    ann.say(&join("plan", "Ann")).await;
    assert_eq!(ann.error().await.0, 105);
}
