//! Channels with history: brokers on one backplane in memory. The same cases run on a real Redis in `redis/history.rs`.

pub(crate) mod cases;
mod commands;

use std::sync::Arc;

use switchboard::backplane::memory::Memory;

use crate::support::{Broker, OPEN};
use cases::HISTORY;

/// Brokers that are called `chat-0`, `chat-1`, …
async fn cluster(size: usize, yaml: &str) -> Vec<Broker> {
    let memory = Arc::new(Memory::default());
    let mut brokers = Vec::new();
    for number in 0..size {
        let yaml = format!("{OPEN}instance: {{id: chat-{number}}}\n{yaml}");
        brokers.push(Broker::joining(&memory, &yaml).await);
    }
    brokers
}

#[tokio::test]
async fn what_was_missed_comes_with_the_subscription_wherever_that_is() {
    cases::missed_messages_are_recovered_anywhere(&cluster(2, HISTORY).await).await;
}

#[tokio::test]
async fn what_is_not_kept_any_more_is_said_to_be_lost() {
    cases::what_is_gone_is_lost(&cluster(2, HISTORY).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_and_goes_while_others_publish_gets_everything_once() {
    cases::comers_and_goers_miss_nothing(&cluster(3, HISTORY).await, 1_500).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_subscribers_get_everything_in_one_order() {
    cases::there_is_one_order(&cluster(3, HISTORY).await, 300).await;
}

#[tokio::test]
async fn the_server_api_reads_publishes_and_forgets() {
    cases::the_server_api_has_history(&cluster(2, HISTORY).await).await;
}
