//! What is there: from the caches, from the Secrets themselves, and from the brokers. No writes.

mod pods;

pub use pods::ObservedPod;

use super::{
    Context, Error,
    build::Names,
    health::Report,
    resources::Kind,
    scale::{Scale, ordinal},
    secrets::{
        Generated, Holds, Lookup, References, Secret, SecretUse, digest, secret_uses, without_line_end,
    },
    stores::Live,
};
use crate::crd::BrokerCluster;
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Secret as KubernetesSecret};
use k8s_openapi::jiff::Timestamp;
use kube::{Api, ResourceExt};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Everything that the later steps need to know.
pub struct Observed {
    /// The Secrets that the spec refers to.
    pub references: References,
    /// The generated secrets: as they are, or new ones.
    pub generated: Generated,
    /// The cluster's objects as they are.
    pub live: Live,
    /// The brokers' StatefulSet.
    pub brokers: Option<Arc<StatefulSet>>,
    /// Redis' StatefulSet.
    pub redis: Option<Arc<StatefulSet>>,
    /// The brokers' pods by ordinal, also those that are leaving.
    pub pods: BTreeMap<i32, ObservedPod>,
    /// Redis' pod.
    pub redis_pod: Option<ObservedPod>,
    /// What the brokers say, by instance ID.
    pub health: BTreeMap<String, Report>,
}

impl Observed {
    /// What a scaling step goes by.
    pub fn scale(&self) -> Scale {
        let current = self.brokers.as_ref().and_then(|set| set.spec.as_ref()).and_then(|spec| spec.replicas);
        Scale { current, highest_ordinal: self.pods.keys().last().copied() }
    }
}

/// Looks at everything that belongs to a cluster.
pub async fn observe(cluster: &BrokerCluster, context: &Context) -> Result<Observed, Error> {
    let namespace = cluster.namespace().unwrap_or_default();
    let name = cluster.name_any();
    let names = Names(&name);
    let secrets = Secrets::new(context, &namespace);
    let references = secrets.references(cluster).await?;
    let mut live = context.stores.live(&namespace, &name);
    let redis_password = secrets.generated(&names.redis_auth(), "password", &mut live).await?;
    let api_key = secrets.generated(&names.api_key(), "key", &mut live).await?;
    let (found, now) = (context.stores.pods(&namespace, &name), Timestamp::now());
    let of = |set: String| {
        let pods = found
            .iter()
            .filter_map(move |pod| Some((ordinal(&set, &pod.name_any())?, pods::observe(pod, now))));
        pods.collect::<BTreeMap<i32, ObservedPod>>()
    };
    let pods = of(names.broker());
    let reachable = pods.values().filter(|pod| pod.ready).filter_map(|pod| Some((pod.id.clone(), pod.ip?)));
    let health = context.health.ask(reachable.collect()).await;
    Ok(Observed {
        references,
        generated: Generated { redis_password, api_key },
        live,
        brokers: context.stores.stateful_set(&namespace, &names.broker()),
        redis: context.stores.stateful_set(&namespace, &names.redis()),
        pods,
        redis_pod: of(names.redis()).into_values().next(),
        health,
    })
}

fn look_up(secret: Option<&KubernetesSecret>, key: &str, holds: Holds) -> Lookup {
    let Some(secret) = secret else { return Lookup::NoSecret };
    let data = secret.data.as_ref();
    let Some(value) = data.and_then(|data| data.get(key)) else {
        return Lookup::NoKey(data.into_iter().flat_map(|data| data.keys().cloned()).collect());
    };
    match holds.problem(&value.0) {
        Some(why) => Lookup::Unusable(why),
        None => {
            let uid = secret.metadata.uid.as_deref().unwrap_or_default();
            Lookup::Found(digest([uid.as_bytes(), value.0.as_slice()]))
        }
    }
}

/// Reads Secrets of one namespace, each once per reconcile.
struct Secrets {
    api: Api<KubernetesSecret>,
}

impl Secrets {
    fn new(context: &Context, namespace: &str) -> Self {
        Self { api: Api::namespaced(context.client.clone(), namespace) }
    }

    async fn read(&self, name: &str) -> Result<Option<KubernetesSecret>, Error> {
        self.api.get_opt(name).await.map_err(Error::api(format!("read Secret {name}")))
    }

    async fn references(&self, cluster: &BrokerCluster) -> Result<References, Error> {
        let mut seen: HashMap<String, Option<KubernetesSecret>> = HashMap::new();
        let mut references = References::default();
        for used in secret_uses(&cluster.spec) {
            let SecretUse { reference, holds, .. } = &used;
            if !seen.contains_key(&reference.name) {
                seen.insert(reference.name.clone(), self.read(&reference.name).await?);
            }
            let secret = seen.get(&reference.name).and_then(Option::as_ref);
            references.insert(&used, look_up(secret, &reference.key, *holds));
        }
        Ok(references)
    }

    /// A secret that the operator makes once: as it is, or a new one if it is absent or empty.
    async fn generated(&self, name: &str, key: &str, live: &mut Live) -> Result<Secret, Error> {
        let Some(secret) = self.read(name).await? else { return Ok(Secret::generate()) };
        let value = secret.data.as_ref().and_then(|data| data.get(key));
        let value = value
            .and_then(|value| String::from_utf8(without_line_end(&value.0).to_vec()).ok())
            .filter(|value| !value.is_empty());
        let body = serde_json::to_value(&secret).expect("an object is JSON");
        live.insert((Kind::Secret, name.to_owned()), body);
        // The object is there already, so a new value is applied over the empty one.
        Ok(value.map_or_else(|| Secret { is_new: false, ..Secret::generate() }, Secret::kept))
    }
}
