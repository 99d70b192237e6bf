//! Messages that wait go together.

use serde_json::{Value, json};

use super::{Answer, Receiver, broker, rpc, runs};
use crate::support::eventually;

/// The data of the messages of each request.
fn batches(receiver: &Receiver) -> Vec<Vec<Value>> {
    let data = |body: Value| {
        body["messages"].as_array().unwrap().iter().map(|message| message["data"].clone()).collect()
    };
    receiver.got().iter().map(|got| data(got.json())).collect()
}

#[tokio::test]
async fn what_waits_goes_together_in_order_and_nothing_waits_when_it_is_idle() {
    let receiver = Receiver::start(Answer::Echo).await;
    receiver.next([Answer::Wait]);
    let broker = broker(&receiver, "batch: 40", "mode: worker, time_limit: 30s").await;
    let mut client = broker.connect().await;
    for number in 0..101 {
        client.send(&json!({"send": {"data": number}}).to_string()).await;
        if number == 0 {
            eventually("it does not wait for others", async || receiver.got().len() == 1).await;
        }
    }
    eventually("all but the first wait", async || {
        broker.metric("logic_waiting", &[("module", "hook")]).await == 100
    })
    .await;
    receiver.let_go(1);
    eventually("all were handled", async || runs(&broker, "ok").await == 101).await;
    let batches = batches(&receiver);
    assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [1, 40, 40, 20]);
    assert_eq!(batches.concat(), (0..101).map(|number| json!(number)).collect::<Vec<_>>());
}

#[tokio::test]
async fn each_call_of_a_batch_gets_its_own_answer() {
    let receiver = Receiver::start(Answer::Echo).await;
    receiver.next([Answer::Wait]);
    let broker = broker(&receiver, "batch: 10", "mode: worker, time_limit: 30s").await;
    let (mut ann, mut bob) = (broker.connect().await, broker.connect().await);
    ann.send(&json!({"send": {"data": "first"}}).to_string()).await;
    eventually("the first is under way", async || receiver.got().len() == 1).await;
    receiver.next([Answer::Json(json!({"replies": [{"data": 1}, {"reject": "no"}]}))]);
    let answers = async {
        let waiting = async |count| broker.metric("logic_waiting", &[("module", "hook")]).await == count;
        let ask_bob = async {
            eventually("ann's waits", async || waiting(1).await).await;
            bob.error(rpc(&json!("bob"))).await
        };
        let let_go = async {
            eventually("both wait", async || waiting(2).await).await;
            receiver.let_go(1);
        };
        tokio::join!(ann.command(rpc(&json!("ann"))), ask_bob, let_go)
    };
    let (ann, bob, ()) = answers.await;
    assert_eq!((ann, bob), (json!({"rpc": {"data": 1}}), 103));
    assert_eq!(batches(&receiver)[1], ["ann", "bob"]);
}

#[tokio::test]
async fn a_batch_waits_for_others_and_goes_when_it_is_full_or_the_time_is_over() {
    let receiver = Receiver::start(Answer::Echo).await;
    // Nobody waits for so long: a full batch goes at once.
    let full = broker(&receiver, "batch: 3, batch_wait: 39s", "time_limit: 40s").await;
    let mut client = full.connect().await;
    for number in 0..3 {
        client.send(&json!({"send": {"data": number}}).to_string()).await;
    }
    eventually("the batch went", async || runs(&full, "ok").await == 3).await;
    assert_eq!(batches(&receiver), [[0, 1, 2].map(Value::from)]);
    let alone = broker(&receiver, "batch: 3, batch_wait: 10ms", "").await;
    let answer = alone.connect().await.command(rpc(&json!("alone"))).await;
    assert_eq!(answer, json!({"rpc": {"data": "alone"}}));
}
