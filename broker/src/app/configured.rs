//! Parts of a broker that the configuration names.

use std::sync::Arc;

use crate::{
    backplane::redis::RedisBackplane,
    backplane::{Backplane, memory::MemoryBackplane},
    config::{
        self, Config,
        logic::{Mode, Module, Receives},
    },
    logic::{Broadcaster, InactivityMonitor, Kind, Logic, Placement, Settings, WhenFull},
    message::LogicName,
    middleware::{Middleware, rate::ClientRate, size::PayloadSize},
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
    std::iter::once(size).chain(all.into_iter().chain(each).map(|rate| Arc::new(rate) as Arc<dyn Middleware>))
}

/// The logic modules, and how each is run.
pub(super) fn modules(
    logic: &config::Logic,
) -> impl Iterator<Item = (LogicName, Settings, Arc<dyn Logic>)> + use<'_> {
    logic.modules.iter().filter_map(|module| {
        let (logic, is_passive) = built_in(module)?;
        Some((LogicName::new(&module.name), settings(module, is_passive), logic))
    })
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
        time_limit: module.time_limit.get(),
        placement: match module.placement {
            config::logic::Placement::Receiving => Placement::Receiving,
            config::logic::Placement::OneInstance => Placement::OneInstance,
        },
        takes_sends: module.receives.contains(&Receives::Send),
        takes_calls: module.receives.contains(&Receives::Rpc),
    }
}
