//! From a valid cluster to its objects. Pure: what it needs to know of the world is in [`Inputs`]. A file per object.

mod broker_config;
mod broker_pod;
mod config_map;
mod disruption_budget;
mod meta;
mod names;
mod ports;
mod redis_config;
mod redis_stateful_set;
mod secrets;
mod service_account;
mod services;
mod stateful_set;

pub use meta::{
    APPLIED_HASH, CLUSTER_LABEL, CONFIG_HASH, FIELD_MANAGER, MANAGED_BY, MANAGED_BY_LABEL, broker_selector,
};
pub use names::Names;

use super::{
    resources::{Kind, Object, Prepared, Resources},
    secrets::{Generated, References},
    validate::{Valid, ValidRedis},
};
use kube::Resource;
use serde::Serialize;

/// The images of this release.
#[derive(Clone, Debug)]
pub struct Images {
    /// The broker's.
    pub broker: String,
    /// Redis'.
    pub redis: String,
}

/// What the objects depend on besides the spec.
pub struct Inputs<'a> {
    /// Images where the spec names none.
    pub images: &'a Images,
    /// The replicas that the StatefulSet may have right now.
    pub replicas: i32,
    /// Digests of the Secrets that the spec refers to.
    pub references: &'a References,
    /// The secrets that the operator makes.
    pub generated: &'a Generated,
}

/// All objects of a cluster, in the order of application.
pub fn build(cluster: &Valid, inputs: &Inputs<'_>) -> Resources<Prepared> {
    let mut objects = vec![object(service_account::build(cluster))];
    if cluster.spec.auth.api_keys.is_empty() {
        objects.push(generated(
            object(secrets::api_key(cluster, inputs.generated)),
            inputs.generated.api_key.is_new,
        ));
    }
    objects.push(object(services::headless(cluster)));
    objects.push(object(services::client(cluster)));
    if cluster.spec.disruption_budget.enabled {
        objects.push(object(disruption_budget::build(cluster)));
    }
    if let ValidRedis::Managed { redis, storage, max_memory } = &cluster.redis {
        let is_new = inputs.generated.redis_password.is_new;
        objects.push(generated(object(secrets::redis_auth(cluster, inputs.generated)), is_new));
        let config = redis_config::build(cluster, storage, *max_memory);
        objects.push(object(services::redis(cluster)));
        objects.push(object(redis_stateful_set::build(cluster, redis, storage, &config, inputs)));
        let before_stateful_set = objects.len() - 1;
        objects.insert(before_stateful_set, object(config));
    }
    let config = config_map::build(cluster);
    let stateful_set = stateful_set::build(cluster, &config, inputs);
    objects.push(object(config));
    objects.push(object(stateful_set));
    Resources::new(objects)
}

fn object<K>(object: K) -> Object
where
    K: Resource<DynamicType = ()> + Serialize,
{
    let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == K::kind(&()));
    Object {
        kind: kind.expect("build makes only the kinds of a cluster"),
        name: object.meta().name.clone().unwrap_or_default(),
        body: serde_json::to_value(&object).expect("an object is JSON"),
        create_only: false,
    }
}

fn generated(object: Object, is_new: bool) -> Object {
    Object { create_only: is_new, ..object }
}
