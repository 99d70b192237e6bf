use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::*;
use crate::{
    backplane::Publication,
    message::{Epoch, InstanceId},
};

/// What a publish is told, and when.
type Told = JoinHandle<(Result<(), Unavailable>, Duration)>;

/// A bus, and the server's end of its connection, which takes `room` bytes before somebody reads them.
fn joined(room: usize) -> (Arc<Bus>, DuplexStream) {
    let address = Address { instance: InstanceId::new("one"), epoch: Epoch(1) };
    let bus = Arc::new(Bus::new(&address, Keys::new("app"), Arc::new(Metrics::new())));
    let (here, there) = duplex(room);
    let (serving, wire) = (bus.clone(), Wire::new(Box::new(here)));
    tokio::spawn(async move {
        serving.run(wire).await;
        serving.lost();
    });
    bus.joined();
    (bus, there)
}

fn publish(bus: &Bus, size: usize) -> Told {
    let (ack, outcome) = Ack::channel();
    let data = vec![b'1'; size];
    let publication = Publication { info: b"", tags: b"", data: &data };
    bus.publish(&Channel::trusted("chat"), &Envelope::Publication(publication), ack);
    let since = Instant::now();
    tokio::spawn(async move { (outcome.await, since.elapsed()) })
}

/// Reads so many bytes.
async fn take(server: &mut DuplexStream, bytes: usize) {
    server.read_exact(&mut vec![0; bytes]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_publish_that_waited_before_it_left_has_no_more_time_than_others() {
    let (bus, mut server) = joined(1024);
    let first = publish(&bus, 1);
    take(&mut server, 1).await;
    let second = publish(&bus, 1);
    sleep(Duration::from_millis(5)).await;
    // Two are under way: this one waits until the server has answered, and is not answered itself.
    let third = publish(&bus, 1);
    sleep(Duration::from_millis(700)).await;
    server.write_all(b":1\r\n:1\r\n").await.unwrap();
    assert_eq!(first.await.unwrap().0, Ok(()));
    assert_eq!(second.await.unwrap().0, Ok(()));
    let (outcome, after) = third.await.unwrap();
    assert_eq!(outcome, Err(Unavailable::Timeout));
    assert!(after <= ANSWER_WITHIN + Duration::from_millis(10), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_reads_slowly_has_no_more_time_than_others() {
    let (bus, mut server) = joined(WRITE_SIZE);
    let told: Vec<_> = (0..8).map(|_| publish(&bus, 2 * WRITE_SIZE)).collect();
    tokio::spawn(async move {
        loop {
            take(&mut server, WRITE_SIZE).await;
            sleep(Duration::from_millis(500)).await;
        }
    });
    for told in told {
        let (outcome, after) = told.await.unwrap();
        assert_eq!(outcome, Err(Unavailable::Timeout));
        assert!(after <= ANSWER_WITHIN + Duration::from_millis(10), "{after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn answers_are_read_while_the_server_does_not_read() {
    let (bus, mut server) = joined(1024);
    let first = publish(&bus, 1);
    take(&mut server, 1).await;
    let second = publish(&bus, 1024 * 1024);
    sleep(Duration::from_millis(500)).await;
    server.write_all(b":1\r\n").await.unwrap();
    let (outcome, after) = first.await.unwrap();
    assert_eq!(outcome, Ok(()));
    assert!(after < Duration::from_millis(600), "{after:?}");
    tokio::spawn(async move { take(&mut server, 2 * 1024 * 1024).await });
    assert_eq!(second.await.unwrap().0, Err(Unavailable::Timeout), "nothing answers it");
}

#[tokio::test(start_paused = true)]
async fn what_the_bus_itself_sends_passes_a_full_queue() {
    let (bus, mut server) = joined(1024);
    // The server reads nothing at first: one batch is being written, and the next one fills up.
    let first = publish(&bus, QUEUE_LIMIT);
    sleep(Duration::from_millis(5)).await;
    assert_eq!(publish(&bus, 1).await.unwrap().0, Err(Unavailable::QueueFull));
    let (ack, outcome) = Ack::channel();
    let mut outcome = Box::pin(outcome);
    bus.send_raw("probe", b"1", ack);
    let early = timeout(Duration::from_millis(100), &mut outcome).await;
    assert!(early.is_err(), "it waits: {early:?}");
    tokio::spawn(async move {
        take(&mut server, QUEUE_LIMIT).await;
        server.write_all(b":1\r\n:1\r\n").await.unwrap();
        std::future::pending::<()>().await;
    });
    assert_eq!(outcome.await, Ok(()));
    assert_eq!(first.await.unwrap().0, Ok(()));
}
