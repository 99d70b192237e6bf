//! From what was seen and done to the status that users read, written only when it says something new.

mod conditions;

use super::{
    Context, Error,
    build::{FIELD_MANAGER, Names, broker_selector},
    observe::Observed,
    validate::{Rejection, Valid, ValidRedis},
};
use crate::crd::{BrokerCluster, BrokerClusterStatus, InstanceStatus, RedisStatus};
use conditions::Facts;
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Condition, jiff::Timestamp};
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

/// How far a reconcile came.
pub enum Outcome<'a> {
    /// The spec cannot be built.
    Rejected(&'a Rejection),
    /// Some object could not be applied.
    Failed(&'a Valid, &'a Error),
    /// All objects are as they should be.
    Applied {
        /// What was applied.
        valid: &'a Valid,
        /// This many instances are asked for right now.
        replicas: i32,
        /// A StatefulSet was written just now: what was observed of its pods is from before.
        pods_change: bool,
    },
}

impl Outcome<'_> {
    fn valid(&self) -> Option<&Valid> {
        match self {
            Outcome::Rejected(_) => None,
            Outcome::Failed(valid, _) | Outcome::Applied { valid, .. } => Some(valid),
        }
    }
}

/// The status that describes this moment. Pure.
pub fn status(
    cluster: &BrokerCluster,
    observed: &Observed,
    outcome: &Outcome<'_>,
    now: Timestamp,
) -> BrokerClusterStatus {
    let old = cluster.status.clone().unwrap_or_default();
    let name = cluster.name_any();
    let instances: Vec<InstanceStatus> = (observed.pods.values())
        .map(|pod| InstanceStatus {
            id: pod.id.clone(),
            ready: pod.ready,
            connections: match observed.health.get(&pod.id) {
                Some(report) => report.connections,
                None if pod.ready => old_connections(&old, &pod.id),
                None => 0,
            },
        })
        .collect();
    let redis = match outcome.valid() {
        Some(valid) => Some(RedisStatus {
            connected: observed.health.values().filter(|report| report.redis.connected).count() as i32,
            ..redis(valid)
        }),
        None => old.redis.clone(),
    };
    let generation = cluster.metadata.generation.unwrap_or_default();
    let facts = Facts::new(cluster, observed, outcome);
    BrokerClusterStatus {
        observed_generation: generation,
        // Counted as the conditions count: the StatefulSet's own figure comes by another watch, sooner or later than the pods.
        replicas: instances.len() as i32,
        ready_replicas: instances.iter().filter(|instance| instance.ready).count() as i32,
        selector: broker_selector(&name),
        connections: instances.iter().map(|instance| instance.connections).sum(),
        instances,
        redis,
        conditions: facts.conditions(&old.conditions, generation, now),
    }
}

fn old_connections(old: &BrokerClusterStatus, id: &str) -> i64 {
    old.instances.iter().find(|instance| instance.id == id).map_or(0, |instance| instance.connections)
}

fn redis(valid: &Valid) -> RedisStatus {
    match &valid.redis {
        ValidRedis::Managed { redis, .. } => RedisStatus {
            topology: format!("{:?}", redis.topology),
            address: format!("{}.{}.svc:6379", Names(&valid.name).redis(), valid.namespace),
            connected: 0,
        },
        ValidRedis::External(redis) => {
            let host = redis.url.split_once("://").map_or(redis.url.as_str(), |(_, rest)| rest);
            let host = host.split('/').next().unwrap_or(host);
            RedisStatus { topology: "External".into(), address: host.into(), connected: 0 }
        }
    }
}

/// Whether a new status is worth a write. Connections alone are only when they changed by more than a tenth, or from
/// or to none: a steady cluster with clients that come and go costs nothing.
fn is_news(old: &BrokerClusterStatus, new: &BrokerClusterStatus) -> bool {
    let silent = |status: &BrokerClusterStatus| {
        let mut status = status.clone();
        status.connections = 0;
        status.instances.iter_mut().for_each(|instance| instance.connections = 0);
        status
    };
    let (before, after) = (old.connections, new.connections);
    let moved = (after - before).abs() * 10 > before.max(after) || (before == 0) != (after == 0);
    silent(old) != silent(new) || moved
}

/// A condition that changed, and the status that it had before.
#[derive(Debug)]
pub struct Change {
    /// As it is now.
    pub condition: Condition,
    /// `True`, `False` or `Unknown`; absent if the condition is new.
    pub before: Option<String>,
}

/// Writes the status if it says something new; tells which conditions changed.
pub async fn write(
    cluster: &BrokerCluster,
    status: BrokerClusterStatus,
    context: &Context,
) -> Result<Vec<Change>, Error> {
    let old = cluster.status.clone().unwrap_or_default();
    if !is_news(&old, &status) {
        return Ok(Vec::new());
    }
    let name = cluster.name_any();
    let api: Api<BrokerCluster> =
        Api::namespaced(context.client.clone(), &cluster.namespace().unwrap_or_default());
    let body = json!({
        "apiVersion": BrokerCluster::api_version(&()),
        "kind": BrokerCluster::kind(&()),
        "metadata": {"name": name, "uid": cluster.uid()},
        "status": status,
    });
    context.metrics.write("BrokerCluster", "status");
    let params = PatchParams::apply(FIELD_MANAGER).force();
    match api.patch_status(&name, &params, &Patch::Apply(&body)).await {
        // It was deleted in the meantime: there is nobody left to tell.
        Err(kube::Error::Api(answer)) if answer.is_not_found() || answer.is_conflict() => {
            return Ok(Vec::new());
        }
        answer => drop(answer.map_err(Error::api(format!("write the status of {name}")))?),
    }
    Ok(changed(&old.conditions, &status.conditions))
}

fn changed(old: &[Condition], new: &[Condition]) -> Vec<Change> {
    let changes = new.iter().filter_map(|condition| {
        let before = old.iter().find(|old| old.type_ == condition.type_);
        let same =
            before.is_some_and(|old| (&old.status, &old.reason) == (&condition.status, &condition.reason));
        let change = Change { condition: condition.clone(), before: before.map(|old| old.status.clone()) };
        (!same).then_some(change)
    });
    changes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(connections: i64) -> BrokerClusterStatus {
        BrokerClusterStatus {
            connections,
            instances: vec![InstanceStatus { id: "chat-0".into(), ready: true, connections }],
            ..BrokerClusterStatus::default()
        }
    }

    #[test]
    fn connections_are_news_when_they_changed_by_a_tenth() {
        for (before, after, news) in [
            (0, 0, false),
            (0, 1, true),
            (1, 0, true),
            (100, 109, false),
            (100, 112, true),
            (100, 90, false),
            (100, 80, true),
        ] {
            assert_eq!(is_news(&with(before), &with(after)), news, "{before} → {after}");
        }
    }

    #[test]
    fn everything_else_is_news() {
        let mut new = with(100);
        new.instances[0].ready = false;
        assert!(is_news(&with(100), &new));
    }
}
