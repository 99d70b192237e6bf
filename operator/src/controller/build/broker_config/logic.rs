//! The section `logic`.

use super::webhook::{Webhook, webhook};
use crate::{
    controller::{validate::Valid, webhooks::Place},
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

/// Nothing without modules.
pub(super) fn logic(cluster: &Valid) -> Option<Logic<'_>> {
    let modules = cluster.spec.logic.modules.iter().enumerate();
    let modules = modules.map(|(i, module)| Module {
        name: &module.name,
        broadcaster: module.broadcaster.as_ref(),
        inactivity: module.inactivity.as_ref(),
        webhook: module.webhook.as_ref().map(|written| webhook(cluster, Place::module(i), written)),
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
