//! Logic modules: what they get, when, where, and what happens when they are slow or broken.

mod flood;
pub(crate) mod placement;
mod subscribing;
mod webhook;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt};
use parking_lot::Mutex;
use serde_json::{Value, json};
use switchboard::{
    Builder,
    logic::{Context, Kind, Logic, LogicError, Outcome, Settings, WhenFull},
    message::{Message, Target},
};
use tokio::sync::Semaphore;

use crate::support::{Broker, OPEN, config, eventually};

/// Notes what it gets, and does what the payload says: `"wait"` until it is let go, `"panic"`, `"refuse"`, `"fail"`;
/// anything else is answered as it is.
#[derive(Default)]
struct Odd {
    got: Mutex<Vec<String>>,
    running: AtomicUsize,
    most: AtomicUsize,
    gate: Gate,
}

struct Gate(Semaphore);

impl Default for Gate {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

impl Logic for Odd {
    fn receive<'a>(&'a self, message: Message, _context: &'a Context) -> BoxFuture<'a, Outcome> {
        async move {
            let text = String::from_utf8_lossy(&message.payload).into_owned();
            self.got.lock().push(text.clone());
            match text.as_str() {
                "\"panic\"" => panic!("as it was told"),
                "\"refuse\"" => Err(LogicError::Refused("not you".into())),
                "\"fail\"" => Err(LogicError::Failed("no database".into())),
                "\"wait\"" => {
                    let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
                    self.most.fetch_max(running, Ordering::SeqCst);
                    self.gate.0.acquire().await.expect("it is never closed").forget();
                    self.running.fetch_sub(1, Ordering::SeqCst);
                    Ok(None)
                }
                _ => Ok(Some(message.payload)),
            }
        }
        .boxed()
    }
}

fn builder(yaml: &str) -> Builder {
    switchboard::Broker::builder().settings(config(yaml))
}

fn open_to_clients(kind: Kind) -> Settings {
    Settings { takes_calls: true, takes_sends: true, ..Settings::new(kind) }
}

async fn broker_with(settings: Settings) -> (Broker, Arc<Odd>) {
    let odd = Arc::new(Odd::default());
    (Broker::built(builder(OPEN).logic("odd", settings, odd.clone())).await, odd)
}

fn rpc(data: &Value) -> Value {
    json!({"rpc": {"method": "odd", "data": data}})
}

async fn runs(broker: &Broker, outcome: &str) -> u64 {
    broker.metric("logic_runs_total", &[("module", "odd"), ("outcome", outcome)]).await
}

#[tokio::test]
async fn a_call_is_answered_with_what_the_module_gives_back() {
    let (broker, odd) = broker_with(open_to_clients(Kind::Dispatched(4))).await;
    let mut client = broker.connect().await;
    assert_eq!(client.error(json!({"rpc": {"method": "nothing", "data": 1}})).await, 104);
    let answer = client.command(rpc(&json!({"n": [1, 2]}))).await;
    assert_eq!(answer, json!({"rpc": {"data": {"n": [1, 2]}}}));
    assert_eq!(client.command(json!({"rpc": {"method": "odd"}})).await, json!({"rpc": {"data": null}}));
    client.send(&json!({"send": {"data": "no answer"}}).to_string()).await;
    eventually("it was sent", async || odd.got.lock().len() == 3).await;
    assert!(client.unasked().await.is_empty());
    assert_eq!(runs(&broker, "ok").await, 3);
}

#[tokio::test]
async fn clients_reach_only_what_is_open_to_them() {
    let (broker, odd) = broker_with(Settings::new(Kind::Dispatched(4))).await;
    let mut client = broker.connect().await;
    assert_eq!(client.error(rpc(&json!(1))).await, 108, "no module is open to clients");
    client.send(&json!({"send": {"data": 1}}).to_string()).await;
    assert!(client.unasked().await.is_empty());
    assert!(odd.got.lock().is_empty());
    assert_eq!(broker.rejected("not_available").await, 2);
    // The server API reaches it always.
    let answer = broker.api("send", &json!({"logic": ["odd"], "data": {"a": 1}})).await;
    assert_eq!(answer["result"]["logic"]["odd"], json!({"data": {"a": 1}}));
}

#[tokio::test]
async fn a_module_that_panics_or_fails_goes_on() {
    let (broker, _odd) = broker_with(open_to_clients(Kind::Worker)).await;
    let mut client = broker.connect().await;
    for (data, code) in [("panic", 100), ("refuse", 103), ("fail", 100), ("panic", 100)] {
        assert_eq!(client.error(rpc(&json!(data))).await, code, "{data}");
    }
    assert_eq!(client.command(rpc(&json!("fine"))).await, json!({"rpc": {"data": "fine"}}));
    for (outcome, count) in [("panicked", 2), ("refused", 1), ("failed", 1), ("ok", 1)] {
        assert_eq!(runs(&broker, outcome).await, count, "{outcome}");
    }
    assert_eq!(broker.rejected("logic").await, 1);
}

#[tokio::test]
async fn a_module_that_hangs_is_given_up() {
    let time_limit = Duration::from_millis(20);
    let (broker, _odd) = broker_with(Settings { time_limit, ..open_to_clients(Kind::Worker) }).await;
    let mut client = broker.connect().await;
    assert_eq!(client.error(rpc(&json!("wait"))).await, 100);
    assert_eq!(client.command(rpc(&json!("fine"))).await, json!({"rpc": {"data": "fine"}}));
    assert_eq!(runs(&broker, "timed_out").await, 1);
}

#[tokio::test]
async fn a_worker_handles_one_after_the_other_in_order() {
    let (broker, odd) = broker_with(Settings { queue: 500, ..open_to_clients(Kind::Worker) }).await;
    let mut client = broker.connect().await;
    client.send(&json!({"send": {"data": "wait"}}).to_string()).await;
    for number in 0..200 {
        client.send(&json!({"send": {"data": number}}).to_string()).await;
    }
    eventually("all but the first wait", async || {
        broker.metric("logic_waiting", &[("module", "odd")]).await == 200
    })
    .await;
    assert_eq!(odd.got.lock().len(), 1);
    odd.gate.0.add_permits(1);
    eventually("all were handled", async || runs(&broker, "ok").await == 201).await;
    let numbers = (0..200).map(|number| number.to_string());
    assert_eq!(odd.got.lock()[1..], numbers.collect::<Vec<_>>());
}

#[tokio::test]
async fn a_module_without_code_for_batches_handles_one_message_after_the_other() {
    let (broker, odd) = broker_with(Settings { batch: 10, ..open_to_clients(Kind::Worker) }).await;
    let mut client = broker.connect().await;
    client.send(&json!({"send": {"data": "wait"}}).to_string()).await;
    eventually("the first is in hand", async || odd.got.lock().len() == 1).await;
    for number in 0..25 {
        client.send(&json!({"send": {"data": number}}).to_string()).await;
    }
    odd.gate.0.add_permits(1);
    eventually("all were handled", async || runs(&broker, "ok").await == 26).await;
    let numbers = (0..25).map(|number| number.to_string());
    assert_eq!(odd.got.lock()[1..], numbers.collect::<Vec<_>>());
}

#[tokio::test]
async fn dispatched_messages_are_handled_side_by_side_up_to_a_limit() {
    let (broker, odd) = broker_with(open_to_clients(Kind::Dispatched(3))).await;
    let mut client = broker.connect().await;
    for _ in 0..10 {
        client.send(&json!({"send": {"data": "wait"}}).to_string()).await;
    }
    eventually("the limit is reached", async || {
        odd.running.load(Ordering::SeqCst) == 3
            && broker.metric("logic_waiting", &[("module", "odd")]).await == 7
    })
    .await;
    odd.gate.0.add_permits(10);
    eventually("all were handled", async || runs(&broker, "ok").await == 10).await;
    assert_eq!(odd.most.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_full_queue_refuses_the_newest() {
    let (broker, odd) = broker_with(Settings { queue: 2, ..open_to_clients(Kind::Worker) }).await;
    let mut client = broker.connect().await;
    for data in [json!("wait"), json!(1), json!(2), json!(3)] {
        client.send(&json!({"send": {"data": data}}).to_string()).await;
    }
    eventually("one was refused", async || runs(&broker, "queue_full").await == 1).await;
    assert_eq!(client.error(rpc(&json!(4))).await, 111, "too many requests: come again");
    odd.gate.0.add_permits(1);
    eventually("the others were handled", async || runs(&broker, "ok").await == 3).await;
    assert_eq!(*odd.got.lock(), ["\"wait\"", "1", "2"]);
}

#[tokio::test]
async fn a_full_queue_drops_the_oldest_where_that_is_wanted() {
    let settings = Settings { queue: 2, when_full: WhenFull::DropOldest, ..open_to_clients(Kind::Worker) };
    let (broker, odd) = broker_with(settings).await;
    let mut client = broker.connect().await;
    for data in [json!("wait"), json!(1), json!(2), json!(3)] {
        client.send(&json!({"send": {"data": data}}).to_string()).await;
    }
    eventually("one was dropped", async || runs(&broker, "dropped").await == 1).await;
    odd.gate.0.add_permits(1);
    eventually("the others were handled", async || runs(&broker, "ok").await == 3).await;
    assert_eq!(*odd.got.lock(), ["\"wait\"", "2", "3"]);
}

/// Works in the background: counts how often it was begun, and panics the first time.
#[derive(Default)]
struct Background {
    begun: AtomicUsize,
    ended: AtomicUsize,
}

impl Logic for Background {
    fn run<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, ()> {
        async move {
            assert!(self.begun.fetch_add(1, Ordering::SeqCst) > 0, "the first time goes wrong");
            context.stopped().await;
            self.ended.fetch_add(1, Ordering::SeqCst);
        }
        .boxed()
    }
}

#[tokio::test]
async fn a_passive_module_works_again_after_a_panic_and_ends_with_the_broker() {
    let background = Arc::new(Background::default());
    let settings = open_to_clients(Kind::Passive);
    let broker = Broker::built(builder(OPEN).logic("odd", settings, background.clone())).await;
    eventually("it was begun again", async || background.begun.load(Ordering::SeqCst) == 2).await;
    assert_eq!(runs(&broker, "panicked").await, 1);
    // It does not support invocation.
    assert_eq!(broker.connect().await.error(rpc(&json!(1))).await, 104);
    broker.drain().await;
    assert_eq!(background.ended.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_broadcaster_sends_to_every_client() {
    for mode in ["dispatched", "worker"] {
        let modules = format!(
            "logic: {{modules: [{{name: all, broadcaster: {{}}, mode: {mode}, receives: [send, rpc]}}]}}\n"
        );
        let broker = Broker::start(&format!("{OPEN}{modules}")).await;
        let (mut ann, mut bob) = (broker.connect().await, broker.connect().await);
        ann.send(&json!({"send": {"data": "hello"}}).to_string()).await;
        for client in [&mut ann, &mut bob] {
            assert_eq!(client.push().await, json!({"message": {"data": "hello"}}));
        }
        let called = bob.command(json!({"rpc": {"method": "all", "data": 1}})).await;
        assert_eq!(called, json!({"rpc": {"data": null}}));
        assert_eq!(ann.push().await, json!({"message": {"data": 1}}));
        assert_eq!(broker.metric("publishes_total", &[("source", "logic")]).await, 2);
    }
}

#[tokio::test]
async fn the_inactivity_monitor_ends_silent_connections_and_no_others() {
    let modules = "logic: {modules: [{name: idle, inactivity: {after: 300ms, every: 20ms}}]}\n";
    let broker = Broker::start(&format!("{OPEN}{modules}")).await;
    let (mut silent, mut busy) = (broker.connect().await, broker.connect().await);
    let ends = tokio::spawn(async move { silent.end().await });
    eventually("the silent one is gone", async || {
        busy.command(json!({"ping": {}})).await;
        broker.ended("inactive").await == 1
    })
    .await;
    assert_eq!(ends.await.unwrap(), 4500);
    assert!(busy.unasked().await.is_empty());
}

/// Sends what it gets to a channel, with a note of who sent it.
struct Relay;

impl Logic for Relay {
    fn receive<'a>(&'a self, message: Message, context: &'a Context) -> BoxFuture<'a, Outcome> {
        async move {
            let channel = Target::Channel(switchboard::message::Channel::trusted("news"));
            let sent = context.send(channel, "not JSON").await;
            assert!(sent.is_err(), "clients are never sent what they cannot read");
            let channel = Target::Channel(switchboard::message::Channel::trusted("news"));
            let receipt = context.send(channel, message.payload).await;
            receipt.map_err(|error| LogicError::Failed(error.to_string()))?;
            Ok(None)
        }
        .boxed()
    }
}

#[tokio::test]
async fn what_a_module_sends_passes_the_send_chain_and_no_module_again() {
    let broker = builder(OPEN).logic("relay", open_to_clients(Kind::Dispatched(1)), Arc::new(Relay));
    let broker = Broker::built(broker.send(Arc::new(Stamp))).await;
    let mut client = broker.connect().await;
    client.subscribe("news").await;
    client.send(&json!({"send": {"data": {"a":1}}}).to_string()).await;
    let expected = json!({"channel": "news", "pub": {"data": {"a": 1}, "tags": {"stamp": "1"}}});
    assert_eq!(client.push().await, expected);
    assert!(client.unasked().await.is_empty());
}

/// Counts in the metadata how often a message has passed.
struct Stamp;

impl switchboard::middleware::Middleware for Stamp {
    fn process(&self, message: &mut Message) {
        let passed = message.metadata.get("stamp").map_or(0, |count| count.parse().unwrap_or(0));
        message.metadata.insert("stamp".into(), (passed + 1).to_string());
    }
}
