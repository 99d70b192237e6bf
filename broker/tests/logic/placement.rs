//! Modules that run on one instance of several.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use serde_json::{Value, json};
use switchboard::{
    backplane::{
        Backplane,
        memory::{Memory, MemoryBackplane},
    },
    logic::{Context, Kind, Logic, Outcome, Placement, Settings},
    message::Message,
};

use super::{builder, open_to_clients};
use crate::support::{Broker, OPEN, eventually};

/// Answers with the name of the instance that it runs on.
pub(crate) struct Where;

impl Logic for Where {
    fn receive<'a>(&'a self, _message: Message, context: &'a Context) -> BoxFuture<'a, Outcome> {
        async move { Ok(Some(json!(context.instance().as_str()).to_string().into())) }.boxed()
    }
}

/// A broker with the module `odd` here, and `one` on one of the instances.
pub(crate) async fn broker(number: usize, backplane: Arc<dyn Backplane>) -> Broker {
    let one = Settings { placement: Placement::OneInstance, ..open_to_clients(Kind::Worker) };
    let builder = builder(&format!("{OPEN}instance: {{id: chat-{number}}}\n"))
        .backplane(backplane)
        .logic("here", open_to_clients(Kind::Dispatched(1)), Arc::new(Where))
        .logic("one", one, Arc::new(Where));
    Broker::built(builder).await
}

/// Where a module says that it runs, when it is asked through this broker.
async fn place(broker: &Broker, module: &str) -> Value {
    let answer = broker.connect().await.command(json!({"rpc": {"method": module, "data": null}})).await;
    answer["rpc"]["data"].clone()
}

/// Takes the brokers, for it ends them one after the other.
pub(crate) async fn one_instance_runs_it_and_another_takes_over(mut brokers: Vec<Broker>) {
    for (number, broker) in brokers.iter().enumerate() {
        assert_eq!(place(broker, "here").await, format!("chat-{number}"));
        let at = json!({"logic": [{"name": "here", "instance": "chat-1"}], "data": null});
        eventually("any instance is reached", async || {
            broker.api("send", &at).await["result"]["logic"]["here"] == json!({"data": "chat-1"})
        })
        .await;
    }
    let at = json!({"logic": [{"name": "here", "instance": "chat-9"}], "data": null});
    let answer = brokers[0].api("send", &at).await;
    let error = answer["result"]["logic"]["here"]["error"].as_str().unwrap().to_owned();
    assert_eq!(error, "the instance of the logic module cannot be reached");
    while brokers.len() > 1 {
        let mut holder = Value::Null;
        eventually("all agree on one instance", async || {
            let mut places = Vec::new();
            for broker in &brokers {
                places.push(place(broker, "one").await);
            }
            holder = places[0].clone();
            holder.is_string() && places.iter().all(|place| *place == holder)
        })
        .await;
        let mut left = Vec::new();
        for broker in brokers {
            match place(&broker, "here").await == holder {
                true => drop(broker.drain().await),
                false => left.push(broker),
            }
        }
        brokers = left;
    }
    eventually("the last one has taken over", async || {
        place(&brokers[0], "one").await == place(&brokers[0], "here").await
    })
    .await;
}

#[tokio::test]
async fn on_memory() {
    let memory = Arc::new(Memory::default());
    let mut brokers = Vec::new();
    for number in 0..3 {
        brokers.push(broker(number, Arc::new(MemoryBackplane::joining(memory.clone()))).await);
    }
    one_instance_runs_it_and_another_takes_over(brokers).await;
}
