//! The key `webhook` of logic modules and of hooks.

use super::super::broker_pod::settings_file;
use crate::{
    controller::{
        secrets::{webhook_ca_file, webhook_secret_file},
        validate::Valid,
        webhooks::Place,
    },
    crd,
};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Webhook<'a> {
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<String>,
    batch: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_wait: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt_limit: Option<&'a str>,
    retries: u32,
    retry_delay: &'a str,
    breaker: &'a crd::Breaker,
    response_size: u64,
}

pub(super) fn webhook<'a>(cluster: &Valid, place: Place, webhook: &'a crd::Webhook) -> Webhook<'a> {
    Webhook {
        url: &webhook.url,
        secret_file: webhook.secret_ref.as_ref().map(|_| settings_file(&webhook_secret_file(&place))),
        ca_file: webhook.ca_ref.as_ref().map(|_| settings_file(&webhook_ca_file(&place))),
        batch: webhook.batch,
        batch_wait: webhook.batch_wait.as_deref(),
        attempt_limit: webhook.attempt_limit.as_deref(),
        retries: webhook.retries,
        retry_delay: &webhook.retry_delay,
        breaker: &webhook.breaker,
        response_size: cluster.response_sizes[&place],
    }
}
