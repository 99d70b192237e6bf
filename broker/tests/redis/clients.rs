//! What one instance can do with the clients of all, through a real Redis: the cases of [`crate::clients`].

use std::sync::Arc;

use switchboard::backplane::{Backplane, redis::RedisBackplane};

use super::{Server, eventually};
use crate::{clients, logic::placement, support::Broker};

/// Three brokers that know each other; the server lives as long as they are used.
async fn cluster(server: &Server) -> Vec<Broker> {
    let mut brokers = Vec::new();
    for number in 0..3 {
        let backplane = Arc::new(RedisBackplane::new(server.config()));
        brokers.push(Broker::on(backplane.clone(), &clients::settings(number)).await);
        eventually("the instance joins", async || backplane.health().connected).await;
    }
    brokers
}

#[tokio::test]
async fn direct_messages() {
    let server = Server::start().await;
    clients::direct_messages_reach_their_client_and_say_so(&cluster(&server).await).await;
}

#[tokio::test]
async fn messages_for_everyone() {
    let server = Server::start().await;
    clients::everyone_gets_what_is_for_everyone(&cluster(&server).await).await;
}

#[tokio::test]
async fn lists() {
    let server = Server::start().await;
    clients::lists_have_pages_and_filters(&cluster(&server).await).await;
}

#[tokio::test]
async fn left_out() {
    let server = Server::start().await;
    clients::left_out::some_are_left_out_wherever_they_are(&cluster(&server).await).await;
}

#[tokio::test]
async fn lists_of_channels() {
    let server = Server::start().await;
    clients::whole::lists_of_a_channel_are_of_who_is_in_it(&cluster(&server).await).await;
}

#[tokio::test]
async fn notes() {
    let server = Server::start().await;
    clients::notes_are_known_to_all(&cluster(&server).await).await;
}

#[tokio::test]
async fn disconnects() {
    let server = Server::start().await;
    clients::connections_end_anywhere(&cluster(&server).await).await;
}

#[tokio::test]
async fn subscriptions() {
    let server = Server::start().await;
    clients::the_server_subscribes_and_unsubscribes_clients_anywhere(&cluster(&server).await).await;
}

#[tokio::test]
async fn whole_channels() {
    let server = Server::start().await;
    clients::whole::all_in_a_channel_are_put_into_another_and_ended(&cluster(&server).await).await;
}

#[tokio::test]
async fn a_module_on_one_instance() {
    let server = Server::start().await;
    let mut brokers = Vec::new();
    for number in 0..3 {
        let backplane = Arc::new(RedisBackplane::new(server.config()));
        brokers.push(placement::broker(number, backplane.clone()).await);
        eventually("the instance joins", async || backplane.health().connected).await;
    }
    placement::one_instance_runs_it_and_another_takes_over(brokers).await;
}
