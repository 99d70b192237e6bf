//! One operator leads; another takes over when it ends, dies, or is cut off.

use super::{
    fixture::{Fixture, Running, until},
    server::server,
};
use k8s_openapi::api::coordination::v1::Lease;
use std::time::{Duration, Instant};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

fn leads(running: &Running) -> bool {
    running.operator.metrics.render().lines().any(|line| line == "switchboard_operator_leader 1")
}

async fn holder(fixture: &Fixture) -> Option<String> {
    fixture.get::<Lease>("switchboard").await?.spec?.holder_identity
}

#[tokio::test]
async fn a_standby_takes_over_at_once_when_the_leader_ends() {
    let fixture = Fixture::new().await;
    let first =
        fixture.operator_with(server().operator(), |settings| settings.lease.identity = "first".into()).await;
    until("the first leads", async || leads(&first)).await;
    let second = fixture.operator_with(server().operator(), |settings| {
        settings.lease.identity = "second".into();
        // Long enough that only a lease given back explains the takeover.
        settings.lease.duration = Duration::from_secs(600);
    });
    let second = second.await;
    fixture.chat().await;
    fixture.settled("chat").await;
    assert_eq!(holder(&fixture).await.as_deref(), Some("first"));
    assert!(!leads(&second) && second.operator.metrics.writes() == 0, "a standby does nothing");
    first.stop.cancel();
    until("the second leads", async || leads(&second)).await;
    assert!(!leads(&first));
    assert_eq!(holder(&fixture).await.as_deref(), Some("second"));
    fixture.apply("more", super::fixture::chat()).await.expect("it is valid");
    fixture.settled("more").await;
}

#[tokio::test]
async fn a_standby_takes_over_when_the_leader_dies() {
    let fixture = Fixture::new().await;
    let first = fixture.operator().await;
    until("the first leads", async || leads(&first)).await;
    let second = fixture.operator().await;
    first.operator.kill();
    until("the second leads", async || leads(&second)).await;
}

#[tokio::test]
async fn a_leader_that_is_cut_off_ends_before_another_may_begin() {
    let fixture = Fixture::new().await;
    let (port, cut) = proxy().await;
    let settings = |settings: &mut switchboard_operator::runtime::Settings| {
        settings.lease.duration = Duration::from_secs(6);
        settings.lease.deadline = Duration::from_secs(2);
    };
    let mut first = fixture.operator_with(server().operator_through(port), settings).await;
    until("the first leads", async || leads(&first)).await;
    let second = fixture.operator_with(server().operator(), settings).await;
    let when = Instant::now();
    cut.send_replace(true);
    let ended = first.operator.wait().await;
    let took = when.elapsed();
    assert!(ended.expect_err("it lost the lease").to_string().contains("another operator may lead now"));
    assert!(took < Duration::from_secs(4), "it went on for {took:?}");
    assert!(!leads(&second), "the other waits until the lease has run out");
    until("the second leads", async || leads(&second)).await;
}

/// Passes bytes on until it is cut; then nothing goes through and nothing is closed, as with a pulled cable.
async fn proxy() -> (u16, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let (cut, is_cut) = watch::channel(false);
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.expect("a connection");
            let mut is_cut = is_cut.clone();
            tokio::spawn(async move {
                let target = TcpStream::connect(("127.0.0.1", server().port)).await;
                let mut target = target.expect("the API server listens");
                let cut = async { is_cut.wait_for(|cut| *cut).await.is_ok() };
                tokio::select! {
                    _ = copy_bidirectional(&mut client, &mut target) => {}
                    _ = cut => std::future::pending::<()>().await,
                }
            });
        }
    });
    (port, cut)
}
