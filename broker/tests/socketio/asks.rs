//! Events that clients answer to the backend and to logic, on whatever instance they are.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use serde_json::{Value, json};
use switchboard::{
    backplane::memory::{Memory, MemoryBackplane},
    cluster::{AskError, Asked},
    logic::{Context, Kind, Logic, LogicError, Outcome, Settings},
    message::{Channel, Message},
};

use super::{ON, Poller, elsewhere::pair};
use crate::support::{Broker, config, within};

const NOBODY: &str = "0190163d-8694-739b-aea5-966c26f8ad91";

/// A client in `room`, and its id.
async fn in_room(broker: &Broker) -> (Poller, String) {
    let poller = Poller::open(broker).await;
    poller.posts("40").await;
    let heard = poller.hears().await;
    let sid: Value = serde_json::from_str(heard.strip_prefix("40").unwrap()).unwrap();
    poller.posts(r#"420["join","room"]"#).await;
    assert_eq!(poller.hears().await, r#"430[{"status":"ok"}]"#);
    (poller, sid["sid"].as_str().unwrap().to_owned())
}

/// Answers the next event, which is this, with that.
async fn answers(poller: &Poller, event: &str, answer: &str) {
    let heard = poller.hears().await;
    let (number, asked) = heard.strip_prefix("42").and_then(|rest| rest.split_at_checked(1)).unwrap();
    assert_eq!(asked, event, "{heard}");
    poller.posts(&format!("43{number}{answer}")).await;
}

/// The answers, by client.
fn told(answer: &Value) -> Vec<(String, Value)> {
    let answers = answer["result"]["answers"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let pair = |one: &Value| (one["client"].as_str().unwrap().to_owned(), one["data"].clone());
    let mut told: Vec<_> = answers.iter().map(pair).collect();
    told.sort_by(|one, other| one.0.cmp(&other.0));
    told
}

#[tokio::test]
async fn clients_of_all_instances_answer_the_backend() {
    let brokers = pair().await;
    let (ann, ann_id) = in_room(&brokers[0]).await;
    let (bob, bob_id) = in_room(&brokers[1]).await;
    // Who speaks another protocol is not asked, and not missing in the room.
    let mut other = brokers[1].connect().await;
    other.subscribe("room").await;
    let mut expected = vec![(ann_id.clone(), json!({"a": [1.5]})), (bob_id.clone(), Value::Null)];
    expected.sort_by(|one, other| one.0.cmp(&other.0));
    let event = json!(["ready?", 1]);
    for broker in &brokers {
        for (whom, missing) in [
            (json!({"channel": "room"}), 0),
            (json!({"clients": [ann_id, bob_id, ann_id]}), 0),
            (json!({"clients": [bob_id, NOBODY, ann_id]}), 1),
        ] {
            let mut body = whom;
            body["data"] = event.clone();
            let (answer, ..) = tokio::join!(
                broker.api("ask", &body),
                answers(&ann, r#"["ready?",1]"#, r#"[{"a":[1.5]},2]"#),
                answers(&bob, r#"["ready?",1]"#, "[]"),
            );
            assert_eq!(told(&answer), expected, "{body}");
            assert_eq!(answer["result"]["missing"], missing, "{answer}");
            assert!(answer["result"]["cut"].is_null() && answer["result"]["silent"].is_null(), "{answer}");
        }
        // All but some.
        let body = json!({"channel": "room", "except": {"clients": [bob_id]}, "data": event});
        let (answer, ()) = tokio::join!(broker.api("ask", &body), answers(&ann, r#"["ready?",1]"#, "[1]"));
        assert_eq!(told(&answer), [(ann_id.clone(), json!(1))]);
    }
    assert!(other.unasked().await.is_empty());
    let nobody = brokers[0].api("ask", &json!({"channel": "nobody-is-here", "data": ["e"]})).await;
    assert_eq!(nobody, json!({"result": {"answers": [], "missing": 0}}));
    assert_eq!(brokers[0].metric("received_total", &[("endpoint", "http"), ("command", "ask")]).await, 5);
}

#[tokio::test]
async fn who_does_not_answer_in_time_is_missing_and_what_is_too_much_is_cut() {
    let broker = Broker::start(&format!("{ON}limits: {{outbox_size: 64KiB}}\n")).await;
    let ((ann, ann_id), (bob, _)) = (in_room(&broker).await, in_room(&broker).await);
    let body = json!({"channel": "room", "data": ["e"], "timeout": 200});
    let (answer, (), heard) =
        tokio::join!(broker.api("ask", &body), answers(&ann, r#"["e"]"#, "[1]"), bob.hears());
    assert_eq!(heard, r#"420["e"]"#);
    assert_eq!((told(&answer), &answer["result"]["missing"]), (vec![(ann_id, json!(1))], &json!(1)));
    // One that comes too late answers nothing.
    bob.posts("430[1]").await;
    assert_eq!(broker.rejected("unknown_command").await, 1);

    let long = format!("[{:?}]", "x".repeat(40_000));
    let body = json!({"channel": "room", "data": ["e"]});
    let (answer, ..) = within("answers", async {
        tokio::join!(
            broker.api("ask", &body),
            answers(&ann, r#"["e"]"#, &long),
            answers(&bob, r#"["e"]"#, &long),
        )
    })
    .await;
    let result = &answer["result"];
    let counted = [&result["missing"], &result["cut"], &json!(result["answers"].as_array().unwrap().len())];
    assert_eq!(counted, [&json!(0), &json!(1), &json!(1)]);
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused() {
    let broker = Broker::start(ON).await;
    let (poller, id) = in_room(&broker).await;
    let many = vec![NOBODY; 1001];
    for (bad, code) in [
        (json!({"data": ["e"]}), 107),
        (json!({"channel": "room"}), 107),
        (json!({"channel": "room", "clients": [id], "data": ["e"]}), 107),
        (json!({"channel": "", "data": ["e"]}), 107),
        (json!({"channel": "no:such", "data": ["e"]}), 102),
        (json!({"clients": [], "data": ["e"]}), 107),
        (json!({"clients": ["x"], "data": ["e"]}), 107),
        (json!({"clients": many, "data": ["e"]}), 107),
        (json!({"clients": [id], "except": {"clients": [id]}, "data": ["e"]}), 107),
        (json!({"channel": "room", "data": "e"}), 107),
        (json!({"channel": "room", "data": {"e": 1}}), 107),
        (json!({"channel": "room", "data": []}), 107),
        (json!({"channel": "room", "data": [1]}), 107),
        (json!({"channel": "room", "data": ["disconnect"]}), 107),
        (json!({"channel": "room", "data": ["e"], "timeout": 0}), 107),
        (json!({"channel": "room", "data": ["e"], "timeout": 60_001}), 107),
        (json!({"channel": "room", "data": ["e"], "timeout": "1s"}), 107),
        (json!({"channel": "room", "data": ["e"], "dance": 1}), 107),
    ] {
        assert_eq!(broker.api("ask", &bad).await["error"]["code"], code, "{bad}");
    }
    // Nothing of it has reached anybody.
    broker.api("publish", &json!({"channel": "room", "data": ["after"]})).await;
    assert_eq!(poller.hears().await, r#"42["after"]"#);
    let off = Broker::start("auth: {anonymous: true, api_keys: [key-of-the-tests]}\n").await;
    let answer = off.api("ask", &json!({"channel": "room", "data": ["e"]})).await;
    assert_eq!(answer["error"]["code"], 108, "{answer}");
}

/// Asks `room` what it is called with.
struct Curious;

impl Logic for Curious {
    fn receive<'a>(&'a self, message: Message, context: &'a Context) -> BoxFuture<'a, Outcome> {
        async move {
            let room = Asked::Channel(Channel::parse("room", 10).expect("it is short"), None);
            match context.ask(room, message.payload, None).await {
                Ok(answered) => Ok(Some(serde_json::to_vec(&answered).expect("it is JSON").into())),
                Err(AskError::NoEvent(why)) => Err(LogicError::Refused(why.into())),
                Err(error) => Err(LogicError::Failed(error.to_string())),
            }
        }
        .boxed()
    }
}

#[tokio::test]
async fn clients_of_all_instances_answer_logic() {
    let memory = Arc::new(Memory::default());
    let built = async |id| {
        let builder = switchboard::Broker::builder()
            .settings(config(&format!("{ON}instance: {{id: {id}}}\n")))
            .backplane(Arc::new(MemoryBackplane::joining(memory.clone())))
            .logic("curious", Settings::new(Kind::Dispatched(4)), Arc::new(Curious));
        Broker::built(builder).await
    };
    let brokers = [built("chat-0").await, built("chat-1").await];
    let ((ann, ann_id), (bob, bob_id)) = (in_room(&brokers[0]).await, in_room(&brokers[1]).await);
    let asked = json!({"logic": ["curious"], "data": ["ready?"]});
    let (answer, ..) = tokio::join!(
        brokers[0].api("send", &asked),
        answers(&ann, r#"["ready?"]"#, r#"["yes"]"#),
        answers(&bob, r#"["ready?"]"#, r#"["no"]"#),
    );
    let told = told(&json!({"result": answer["result"]["logic"]["curious"]["data"]}));
    let mut expected = vec![(ann_id, json!("yes")), (bob_id, json!("no"))];
    expected.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(told, expected);
    let refused = brokers[1].api("send", &json!({"logic": ["curious"], "data": {"no": "event"}})).await;
    assert_eq!(refused["result"]["logic"]["curious"]["error"], "an event is a JSON array", "{refused}");
}
