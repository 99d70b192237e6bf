//! Parts of a broker that the configuration names.

use std::{sync::Arc, time::Duration};

use crate::{
    backplane::redis::RedisBackplane,
    backplane::{Backplane, memory::MemoryBackplane},
    config::{
        self, Config,
        logic::{Mode, Module, Receives},
        middleware::Rule,
    },
    logic::{Broadcaster, InactivityMonitor, Kind, Logic, Placement, Settings, Unusable, Webhook, WhenFull},
    message::LogicName,
    metrics::Metrics,
    middleware::{Middleware, Only, rate::ClientRate, rules::Rules, size::PayloadSize},
};

/// What joins this instance to others.
pub(super) fn backplane(config: &Config) -> Arc<dyn Backplane> {
    match &config.redis {
        Some(redis) => Arc::new(RedisBackplane::new(redis.clone())),
        None => {
            tracing::info!("no Redis is configured: a single instance on the memory backplane");
            Arc::new(MemoryBackplane::default())
        }
    }
}

/// The middleware that every message passes first.
pub(super) fn receive(config: &Config) -> impl Iterator<Item = Arc<dyn Middleware>> + use<'_> {
    let size: Arc<dyn Middleware> = Arc::new(PayloadSize(config.limits.message_size.bytes()));
    let all = ClientRate::new(None, config.limits.rate);
    let each = config.channels.namespaces.iter();
    let each = each.filter_map(|namespace| ClientRate::new(Some(&namespace.name), namespace.rate));
    let rates = all.into_iter().chain(each).map(|rate| Arc::new(rate) as Arc<dyn Middleware>);
    std::iter::once(size).chain(rates).chain(rules(&config.middleware.receive))
}

/// The middleware that every message passes before it goes to clients.
pub(super) fn send(config: &Config) -> impl Iterator<Item = Arc<dyn Middleware>> + use<'_> {
    rules(&config.middleware.send)
}

fn rules(rules: &[Rule]) -> impl Iterator<Item = Arc<dyn Middleware>> + use<'_> {
    rules.iter().map(|rule| {
        let all: Arc<dyn Middleware> = Arc::new(Rules(rule.clone()));
        match rule.endpoints.is_empty() {
            true => all,
            false => Arc::new(Only::of(rule.endpoints.clone(), all)),
        }
    })
}

/// A logic module with its name, and how it is run.
type Named = (LogicName, Settings, Arc<dyn Logic>);

/// The logic modules of the configuration.
pub(super) fn modules(config: &Config, metrics: &Metrics) -> Result<Vec<Named>, Unusable> {
    let mut modules = Vec::new();
    for module in &config.logic.modules {
        let logic = match &module.webhook {
            Some(webhook) => {
                let webhook: Arc<dyn Logic> = Arc::new(Webhook::new(config, module, webhook, metrics)?);
                Some((webhook, false))
            }
            None => built_in(module),
        };
        let Some((logic, is_passive)) = logic else { continue };
        modules.push((LogicName::new(&module.name), settings(module, is_passive), logic));
    }
    Ok(modules)
}

/// The code of a module, and whether it works in the background; a checked configuration names one.
fn built_in(module: &Module) -> Option<(Arc<dyn Logic>, bool)> {
    if module.broadcaster.is_some() {
        return Some((Arc::new(Broadcaster), false));
    }
    let inactivity = module.inactivity.as_ref()?;
    let monitor = InactivityMonitor { after: inactivity.after.get(), every: inactivity.every.get() };
    Some((Arc::new(monitor), true))
}

fn settings(module: &Module, is_passive: bool) -> Settings {
    Settings {
        kind: match module.mode {
            _ if is_passive => Kind::Passive,
            Mode::Dispatched => Kind::Dispatched(module.concurrency),
            Mode::Worker => Kind::Worker,
        },
        queue: module.queue,
        when_full: match module.when_full {
            config::logic::WhenFull::Refuse => WhenFull::Refuse,
            config::logic::WhenFull::DropOldest => WhenFull::DropOldest,
        },
        batch: module.webhook.as_ref().map_or(1, |webhook| webhook.batch),
        batch_wait: module.webhook.as_ref().map_or(Duration::ZERO, |webhook| webhook.batch_wait.get()),
        time_limit: module.time_limit.get(),
        placement: match module.placement {
            config::logic::Placement::Receiving => Placement::Receiving,
            config::logic::Placement::OneInstance => Placement::OneInstance,
        },
        takes_sends: module.receives.contains(&Receives::Send),
        takes_calls: module.receives.contains(&Receives::Rpc),
    }
}
