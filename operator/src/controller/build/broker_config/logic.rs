//! The section `logic`.

use super::super::broker_pod::settings_file;
use crate::{
    controller::{
        secrets::{webhook_ca_file, webhook_secret_file},
        validate::Valid,
    },
    crd,
};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Logic<'a> {
    modules: Vec<Module<'a>>,
}

#[derive(Serialize)]
struct Module<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    broadcaster: Option<&'a crd::Broadcaster>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inactivity: Option<&'a crd::Inactivity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook: Option<Webhook<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    receives: &'a [crd::Receives],
    mode: crd::Mode,
    concurrency: u32,
    queue: u32,
    when_full: crd::WhenFull,
    time_limit: &'a str,
    placement: crd::Placement,
}

#[derive(Serialize)]
struct Webhook<'a> {
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

/// Nothing without modules.
pub(super) fn logic(cluster: &Valid) -> Option<Logic<'_>> {
    let modules = cluster.spec.logic.modules.iter().zip(&cluster.response_sizes).enumerate();
    let modules = modules.map(|(i, (module, response_size))| Module {
        name: &module.name,
        broadcaster: module.broadcaster.as_ref(),
        inactivity: module.inactivity.as_ref(),
        webhook: module.webhook.as_ref().map(|written| webhook(i, written, *response_size)),
        receives: &module.receives,
        mode: module.mode,
        concurrency: module.concurrency,
        queue: module.queue,
        when_full: module.when_full,
        time_limit: &module.time_limit,
        placement: module.placement,
    });
    let modules: Vec<_> = modules.collect();
    (!modules.is_empty()).then_some(Logic { modules })
}

fn webhook(module: usize, webhook: &crd::Webhook, response_size: u64) -> Webhook<'_> {
    Webhook {
        url: &webhook.url,
        secret_file: webhook.secret_ref.as_ref().map(|_| settings_file(&webhook_secret_file(module))),
        ca_file: webhook.ca_ref.as_ref().map(|_| settings_file(&webhook_ca_file(module))),
        batch: webhook.batch,
        batch_wait: webhook.batch_wait.as_deref(),
        attempt_limit: webhook.attempt_limit.as_deref(),
        retries: webhook.retries,
        retry_delay: &webhook.retry_delay,
        breaker: &webhook.breaker,
        response_size,
    }
}
