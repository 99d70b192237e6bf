//! The official emitter of Socket.IO, which knows nothing but Redis.

use super::{
    node::Script,
    socketio::{pair, yaml},
};
use crate::redis::server::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_other_programs_emit_reaches_each_client_of_two_instances_once() {
    let server = Server::start().await;
    let brokers =
        pair(&server, &yaml("").replace("enabled: true,", "enabled: true, emitter: {enabled: true},")).await;
    let [a, b] = [0, 1].map(|at: usize| format!("http://{}", brokers[at].client_address));
    let redis = format!("redis://127.0.0.1:{}", server.port);
    let websocket = super::url(brokers[0].client_address);
    Script::start("socketio_emitter.mjs", &[&a, &b, &redis, &websocket]).await.succeeds().await;
    for broker in &brokers {
        let emitted = async |outcome| broker.metric("socketio_emitted_total", &[("outcome", outcome)]).await;
        assert_eq!(
            [emitted("malformed").await, emitted("too_large").await, emitted("ignored").await],
            [2, 1, 1]
        );
        assert_eq!([emitted("busy").await, emitted("refused").await], [0, 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_hears_emitters_where_that_is_off() {
    let server = Server::start().await;
    let brokers = pair(&server, &yaml("")).await;
    assert_eq!(server.ask::<u64>("PUBSUB NUMPAT").await, 0);
    drop(brokers);
}
