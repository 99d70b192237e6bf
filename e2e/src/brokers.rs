//! A BrokerCluster of a test's own.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    client::Client as Peer,
    http,
    lab::Lab,
    status::Status,
    wait::{LONG, SHORT, until},
};

/// The name that most tests give theirs.
pub const CHAT: &str = "chat";

const CLIENT_PORT: u16 = 8000;
const ADMIN_PORT: u16 = 9000;

/// The BrokerClusters of a namespace.
pub fn api(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &resource())
}

fn resource() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("switchboard.dev", "v1alpha1", "BrokerCluster"))
}

/// The status in a BrokerCluster, empty when there is none yet.
pub fn status(cluster: &DynamicObject) -> Status {
    serde_json::from_value(cluster.data["status"].clone()).unwrap_or_default()
}

/// The spec of a small cluster where anybody may do anything.
pub fn small(replicas: i32) -> Value {
    json!({
        "replicas": replicas,
        "auth": {"anonymous": true},
        "channels": {"namespaces": [{"name": "", "publish": "any", "presence": "any"}]},
        "drain": {"gracePeriodSeconds": 10},
        "redis": {"managed": {"storage": {"emptyDir": {}}}},
    })
}

/// A BrokerCluster in a test's namespace.
pub struct Brokers<'a> {
    lab: &'a Lab,
    /// Its name.
    pub name: String,
    api: Api<DynamicObject>,
}

impl<'a> Brokers<'a> {
    /// Creates one and waits until it is ready.
    pub async fn create(lab: &'a Lab, name: &str, spec: Value) -> Result<Self> {
        let brokers = Self::named(lab, name);
        let object = DynamicObject::new(name, &resource()).data(json!({"spec": spec}));
        brokers.api.create(&PostParams::default(), &object).await.context("create the BrokerCluster")?;
        brokers.settled(LONG).await?;
        Ok(brokers)
    }

    /// One that the test has applied, or is about to.
    pub fn named(lab: &'a Lab, name: &str) -> Self {
        Self { lab, name: name.to_owned(), api: api(&lab.client, &lab.namespace) }
    }

    /// The status as it is now.
    pub async fn status(&self) -> Result<Status> {
        Ok(status(&self.api.get(&self.name).await?))
    }

    /// Waits until the status speaks of the newest spec and tells this.
    pub async fn until(&self, what: &str, within: Duration, is: impl Fn(&Status) -> bool) -> Result<Status> {
        until(what, within, async || {
            let cluster = self.api.get(&self.name).await?;
            let status = status(&cluster);
            let current = Some(status.observed_generation) == cluster.metadata.generation;
            Ok((current && is(&status)).then_some(status))
        })
        .await
    }

    /// Waits until everything is as it was asked for.
    pub async fn settled(&self, within: Duration) -> Result<Status> {
        let what = format!("{} is Ready and nothing is being changed", self.name);
        let whole = |status: &Status| {
            status.is("Ready")
                && status.is("RedisReady")
                && status.is("DataPathReady")
                && status.condition("Progressing") == "False"
                && status.condition("Degraded") == "False"
                && status.replicas == status.ready_replicas
        };
        self.until(&what, within, whole).await
    }

    /// Asks for another number of instances, as `kubectl scale` does.
    pub async fn scale(&self, replicas: i32) -> Result<()> {
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        self.lab.report.say("test", format!("scales {} to {replicas}", self.name));
        self.api.patch_scale(&self.name, &PatchParams::default(), &patch).await.context("scale")?;
        Ok(())
    }

    /// What the scale subresource says: replicas asked for, replicas there, selector.
    pub async fn scaled(&self) -> Result<(i32, i32, String)> {
        let scale = self.api.get_scale(&self.name).await.context("read the scale subresource")?;
        let asked = scale.spec.and_then(|spec| spec.replicas).unwrap_or_default();
        let status = scale.status.unwrap_or_default();
        Ok((asked, status.replicas, status.selector.unwrap_or_default()))
    }

    /// Changes the BrokerCluster by a merge patch.
    pub async fn patch(&self, patch: Value) -> Result<()> {
        self.lab.report.say("test", format!("patches {} with {patch}", self.name));
        let answer = self.api.patch(&self.name, &PatchParams::default(), &Patch::Merge(patch)).await;
        answer.context("patch the BrokerCluster").map(drop)
    }

    /// Deletes the BrokerCluster.
    pub async fn delete(&self) -> Result<()> {
        self.lab.report.say("test", format!("deletes {}", self.name));
        self.api.delete(&self.name, &DeleteParams::default()).await.context("delete the BrokerCluster")?;
        Ok(())
    }

    /// The name of an instance, which is its pod's.
    pub fn instance(&self, ordinal: usize) -> String {
        format!("{}-{ordinal}", self.name)
    }

    /// The pod of an instance.
    pub async fn pod(&self, ordinal: usize) -> Result<Pod> {
        let name = self.instance(ordinal);
        self.lab.api::<Pod>().get(&name).await.with_context(|| format!("read the pod {name}"))
    }

    async fn ip(&self, ordinal: usize) -> Result<std::net::IpAddr> {
        let pod = self.pod(ordinal).await?;
        let ip = pod.status.and_then(|status| status.pod_ip).context("the pod has no address")?;
        Ok(ip.parse()?)
    }

    /// Where clients connect to one instance.
    pub async fn address(&self, ordinal: usize) -> Result<SocketAddr> {
        Ok((self.ip(ordinal).await?, CLIENT_PORT).into())
    }

    /// Where clients connect to whichever instance.
    pub async fn service(&self) -> Result<SocketAddr> {
        Door::of(self.lab, &self.name).address().await
    }

    /// The Service's address, found anew at each asking.
    pub fn door(&self) -> Door {
        Door::of(self.lab, &self.name)
    }

    /// A client on one instance.
    pub async fn client(&self, ordinal: usize) -> Result<Peer> {
        let client = Peer::connect(self.address(ordinal).await?).await?;
        ensure!(
            client.node == self.instance(ordinal),
            "{} answered as {}",
            self.instance(ordinal),
            client.node
        );
        Ok(client)
    }

    /// What an instance says of itself.
    pub async fn health(&self, ordinal: usize) -> Result<Value> {
        http::get((self.ip(ordinal).await?, ADMIN_PORT).into(), "/healthz").await
    }

    /// What an instance has counted under this name with these labels; 0 while it has counted nothing.
    pub async fn metric(&self, ordinal: usize, name: &str) -> Result<u64> {
        let page = http::text((self.ip(ordinal).await?, ADMIN_PORT).into(), "/metrics").await?;
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(Ok(0), |value| value.parse().with_context(|| format!("{name} is {value}")))
    }

    /// The key of the server API.
    pub async fn api_key(&self) -> Result<String> {
        let secret = self.lab.api::<Secret>().get(&format!("{}-api-key", self.name)).await?;
        let key = secret.data.and_then(|mut data| data.remove("key")).context("the Secret has no key")?;
        Ok(String::from_utf8(key.0)?)
    }

    /// Waits until a message from each instance reaches each other one.
    pub async fn until_messages_cross(&self, replicas: usize) -> Result<()> {
        for from in 0..replicas {
            let to = (from + 1) % replicas;
            until("messages cross", SHORT, async || {
                let mut receiver = self.client(to).await?;
                receiver.subscribe("crossing").await?;
                self.client(from).await?.publish("crossing", json!({"from": from})).await?;
                let arrived = receiver.publication(Duration::from_secs(2)).await;
                Ok(arrived.is_ok().then_some(()))
            })
            .await?;
        }
        Ok(())
    }
}

/// The Service of a BrokerCluster.
#[derive(Clone)]
pub struct Door {
    api: Api<Service>,
    name: String,
}

impl Door {
    fn of(lab: &Lab, name: &str) -> Self {
        Self { api: lab.api(), name: name.to_owned() }
    }

    /// Its address, as a name would resolve to now.
    pub async fn address(&self) -> Result<SocketAddr> {
        let service = self.api.get(&self.name).await.with_context(|| format!("the Service {}", self.name))?;
        let ip = service.spec.and_then(|spec| spec.cluster_ip).context("the Service has no address")?;
        Ok((ip.parse::<std::net::IpAddr>()?, CLIENT_PORT).into())
    }
}
