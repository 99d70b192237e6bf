//! One reconcile: observe → validate → build → apply → status.

pub mod apply;
pub mod build;
pub mod drift;
mod error;
pub mod events;
pub mod health;
pub mod observe;
pub mod resources;
pub mod scale;
pub mod secrets;
pub mod status;
pub mod stores;
pub mod validate;
pub mod webhooks;

pub use error::Error;

use crate::{crd::BrokerCluster, metrics::Metrics};
use apply::Changes;
use build::{Images, Inputs};
use events::Events;
use health::Health;
use k8s_openapi::jiff::Timestamp;
use kube::{
    Client, Resource, ResourceExt,
    runtime::{controller::Action, reflector::ObjectRef},
};
use observe::Observed;
use parking_lot::Mutex;
use rand::Rng;
use status::Outcome;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use stores::Stores;
use validate::Valid;

/// How long one reconcile may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How often a steady cluster is looked at again, for what no watch tells: the brokers' own health.
const RESYNC: Duration = Duration::from_secs(10);
/// How often one that is on its way is.
const SETTLING: Duration = Duration::from_secs(3);
/// The longest pause between two attempts of a failing reconcile.
const MAX_BACKOFF: Duration = Duration::from_secs(120);

/// What all reconciles share.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// What the watches have seen.
    pub stores: Stores,
    /// The images of this release.
    pub images: Images,
    /// Asks the brokers.
    pub health: Health,
    /// What was applied.
    pub memory: drift::Memory,
    /// Tells users.
    pub events: Events,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Whether this operator is the leader; others keep their caches warm and do nothing.
    pub leading: Arc<AtomicBool>,
    /// Failures in a row, by cluster.
    pub failures: Mutex<HashMap<ObjectRef<BrokerCluster>, u32>>,
}

/// Brings one cluster a step nearer to its spec.
pub async fn reconcile(cluster: Arc<BrokerCluster>, context: Arc<Context>) -> Result<Action, Error> {
    // A deleted cluster's objects go by their owner references; making one again would only be in the way.
    if !context.leading.load(Ordering::Relaxed) || cluster.meta().deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let started = Instant::now();
    let outcome = tokio::time::timeout(TIMEOUT, run(&cluster, &context)).await;
    let outcome = outcome.unwrap_or(Err(Error::Timeout(TIMEOUT)));
    context.metrics.reconciled(outcome.as_ref().map_or_else(Error::reason, |_| "success"), started.elapsed());
    if outcome.is_ok() {
        context.failures.lock().remove(&ObjectRef::from_obj(&*cluster));
    }
    outcome
}

async fn run(cluster: &BrokerCluster, context: &Context) -> Result<Action, Error> {
    let observed = observe::observe(cluster, context).await?;
    let valid = match validate::validate(cluster, &observed.references) {
        Ok(valid) => valid,
        Err(rejection) => {
            report(cluster, &observed, &Outcome::Rejected(&rejection), context).await?;
            // A changed spec or Secret starts it again; until then its instances run on, and are only looked at.
            return Ok(Action::requeue(jittered(RESYNC)));
        }
    };
    let replicas = scale::next_replicas(valid.spec.replicas, observed.scale());
    let applied = carry_out(&valid, &observed, replicas, context).await;
    match applied {
        Ok(changes) => {
            let scaled = observed.scale().current.filter(|current| *current != replicas);
            context.events.applied(cluster, &changes, scaled.map(|current| (current, replicas))).await;
            let outcome = Outcome::Applied { valid: &valid, replicas, pods_change: changes.pods };
            let settled = report(cluster, &observed, &outcome, context).await?;
            Ok(Action::requeue(if settled { jittered(RESYNC) } else { SETTLING }))
        }
        Err(error) => {
            report(cluster, &observed, &Outcome::Failed(&valid, &error), context).await?;
            Err(error)
        }
    }
}

async fn carry_out(
    valid: &Valid,
    observed: &Observed,
    replicas: i32,
    context: &Context,
) -> Result<Changes, Error> {
    let inputs = Inputs {
        images: &context.images,
        replicas,
        references: &observed.references,
        generated: &observed.generated,
    };
    let prepared = build::build(valid, &inputs);
    let (applied, changes) = apply::apply(valid, prepared, &observed.live, context).await?;
    tracing::debug!(cluster = valid.name, objects = applied.objects().len(), ?changes, "applied");
    Ok(changes)
}

/// Writes the status; tells whether the cluster has settled. One that has just changed is looked at once more soon: what
/// the brokers said may be older than what the watches told, and nothing tells when a broker changes its mind.
async fn report(
    cluster: &BrokerCluster,
    observed: &Observed,
    outcome: &Outcome<'_>,
    context: &Context,
) -> Result<bool, Error> {
    let status = status::status(cluster, observed, outcome, Timestamp::now());
    let is =
        |type_: &str, value: &str| status.conditions.iter().any(|c| c.type_ == type_ && c.status == value);
    let settled = is("Progressing", "False") && is("Degraded", "False");
    let changed = status::write(cluster, status, context).await?;
    context.events.conditions(cluster, &changed).await;
    Ok(settled && changed.is_empty())
}

/// What to do after a failure: try again, each time after a pause twice as long.
pub fn error_policy(cluster: Arc<BrokerCluster>, error: &Error, context: Arc<Context>) -> Action {
    let failures = {
        let mut failures = context.failures.lock();
        let count = failures.entry(ObjectRef::from_obj(&*cluster)).or_default();
        *count = count.saturating_add(1);
        *count
    };
    let pause = jittered(backoff(failures));
    let (name, namespace) = (cluster.name_any(), cluster.namespace().unwrap_or_default());
    tracing::warn!(
        namespace,
        cluster = name,
        failures,
        pause_ms = pause.as_millis() as u64,
        "reconcile failed: {error}"
    );
    Action::requeue(pause)
}

fn backoff(failures: u32) -> Duration {
    let doubled =
        Duration::from_millis(500).saturating_mul(2u32.saturating_pow(failures.saturating_sub(1).min(20)));
    doubled.min(MAX_BACKOFF)
}

/// Up to a fifth more, so that many clusters do not come back together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(1.0 + rand::rng().random_range(0.0..0.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound() {
        let pauses: Vec<u64> = (1..=10).map(|failures| backoff(failures).as_millis() as u64).collect();
        assert_eq!(pauses[..4], [500, 1000, 2000, 4000]);
        assert_eq!(backoff(1_000_000), MAX_BACKOFF);
    }
}
