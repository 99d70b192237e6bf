//! The section `hooks`.

use super::webhook::{Webhook, webhook};
use crate::{
    controller::{validate::Valid, webhooks::Place},
    crd,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// By their names.
pub(super) type Hooks<'a> = BTreeMap<&'static str, Hook<'a>>;

#[derive(Serialize)]
pub(super) struct Hook<'a> {
    webhook: Webhook<'a>,
    time_limit: &'a str,
    concurrency: u32,
    pending: u32,
    on_failure: crd::OnFailure,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespaces: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instead_of_token: Option<bool>,
}

/// Nothing without hooks.
pub(super) fn hooks(cluster: &Valid) -> Option<Hooks<'_>> {
    let hooks = cluster.spec.hooks.all().map(|(name, hook)| {
        let hook = Hook {
            webhook: webhook(cluster, Place::hook(name), &hook.webhook),
            time_limit: &hook.time_limit,
            concurrency: hook.concurrency,
            pending: hook.pending,
            on_failure: hook.on_failure,
            namespaces: hook.namespaces.as_deref(),
            instead_of_token: hook.instead_of_token.then_some(true),
        };
        (name, hook)
    });
    let hooks: Hooks<'_> = hooks.collect();
    (!hooks.is_empty()).then_some(hooks)
}
