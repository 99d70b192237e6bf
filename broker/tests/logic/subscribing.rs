//! Modules that put clients into channels and take them out, leave some out, and end them, on whatever instance they are.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use serde_json::json;
use switchboard::{
    backplane::memory::{Memory, MemoryBackplane},
    cluster::{Change, Who},
    logic::{Context, Kind, Logic, LogicError, Outcome, Settings},
    message::{Channel, Except, Message, Target},
    registry::Metadata,
};

use crate::support::{Broker, OPEN, config};

/// Does what the payload says with all that are in `lobby`.
struct Host;

impl Host {
    async fn obey(order: &[u8], context: &Context) -> Result<usize, String> {
        let lobby = Who::Channel("lobby".into());
        let channel = |name| Channel::parse(name, 10).map_err(|error| error.to_string());
        let change = async |change, channel| {
            let changed = context.change(&lobby, channel, change).await;
            changed.map(|changed| changed.done).map_err(|refusal| refusal.to_string())
        };
        match order {
            br#""in""# => change(Change::Subscribe, "night").await,
            br#""out""# => change(Change::Unsubscribe, "night").await,
            br#""nowhere""# => change(Change::Subscribe, "no:such").await,
            _ => {
                let except = Except { clients: Vec::new(), channels: vec![channel("night")?] };
                let to = [Target::Channel(channel("lobby")?)];
                let sent = context.send_except(to, except, order.to_vec(), Metadata::new()).await;
                sent.map(|_| 0).map_err(|error| error.to_string())
            }
        }
    }
}

impl Logic for Host {
    fn receive<'a>(&'a self, message: Message, context: &'a Context) -> BoxFuture<'a, Outcome> {
        async move {
            let done = Self::obey(&message.payload, context).await.map_err(LogicError::Refused)?;
            Ok(Some(done.to_string().into()))
        }
        .boxed()
    }
}

#[tokio::test]
async fn a_module_moves_clients_of_all_instances_and_leaves_some_out() {
    let memory = Arc::new(Memory::default());
    let built = async |id| {
        let builder = switchboard::Broker::builder()
            .settings(config(&format!("{OPEN}instance: {{id: {id}}}\n")))
            .backplane(Arc::new(MemoryBackplane::joining(memory.clone())))
            .logic("host", Settings::new(Kind::Dispatched(4)), Arc::new(Host));
        Broker::built(builder).await
    };
    let brokers = [built("chat-0").await, built("chat-1").await];
    let call = async |data: &str| {
        let answer = brokers[0].api("send", &json!({"logic": ["host"], "data": data})).await;
        answer["result"]["logic"]["host"].clone()
    };
    let (mut ann, mut bob) = (brokers[0].connect().await, brokers[1].connect().await);
    ann.subscribe("lobby").await;
    bob.subscribe("lobby").await;
    assert_eq!(call("in").await, json!({"data": 2}));
    for client in [&mut ann, &mut bob] {
        assert_eq!(client.push().await, json!({"channel": "night", "subscribe": {}}));
    }
    ann.command(json!({"unsubscribe": {"channel": "night"}})).await;
    assert_eq!(call("for the day").await, json!({"data": 0}));
    assert_eq!(ann.publication("lobby").await, "for the day");
    assert_eq!(call("out").await, json!({"data": 1}));
    assert_eq!(bob.push().await["unsubscribe"]["code"], 2000, "and nothing before");
    assert_eq!(call("nowhere").await, json!({"error": "unknown channel"}));
}
