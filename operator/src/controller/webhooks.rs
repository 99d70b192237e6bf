//! The webhooks of a spec, and where each of them stands. Pure.

use crate::crd::{BrokerClusterSpec, Webhook};

/// Where a webhook stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// As users write it, up to `webhook`.
    parent: String,
    /// Where its files are, below the folder of secrets.
    pub folder: String,
}

impl Place {
    /// That of a logic module.
    pub fn module(index: usize) -> Self {
        Self { parent: format!("spec.logic.modules[{index}]"), folder: format!("webhooks/{index}") }
    }

    /// That of a hook.
    pub fn hook(name: &str) -> Self {
        Self { parent: format!("spec.hooks.{name}"), folder: format!("hooks/{name}") }
    }

    /// A field of the webhook, as users write it.
    pub fn field(&self, name: &str) -> String {
        format!("{}.webhook.{name}", self.parent)
    }
}

/// All of them.
pub fn webhooks(spec: &BrokerClusterSpec) -> impl Iterator<Item = (Place, &Webhook)> {
    let modules = spec.logic.modules.iter().enumerate();
    let modules = modules.filter_map(|(i, module)| Some((Place::module(i), module.webhook.as_ref()?)));
    modules.chain(spec.hooks.all().map(|(name, hook)| (Place::hook(name), &hook.webhook)))
}
