//! What became of a namespace's pods and BrokerClusters, each change said when it happens and kept for later questions.

use std::{
    collections::BTreeMap,
    fmt::{self, Debug, Display},
    pin::pin,
    sync::Arc,
    time::Instant,
};

use futures_util::TryStreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::DynamicObject,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;

use crate::{brokers, report::Report, status::Status};

/// A pod at some moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodView {
    /// Which pod of this name.
    pub uid: String,
    /// Whether it takes clients.
    pub ready: bool,
    /// Whether it is on its way out.
    pub leaving: bool,
    /// How often its containers were started again.
    pub restarts: i32,
}

/// All pods of the namespace at some moment, by name.
pub type Pods = BTreeMap<String, PodView>;

#[derive(Default)]
struct Seen {
    pods: Vec<(Instant, Pods)>,
    statuses: Vec<(Instant, String, Status)>,
}

/// The history of one namespace, from its making on.
pub struct History {
    seen: Arc<Mutex<Seen>>,
    watches: [JoinHandle<()>; 2],
}

impl History {
    /// Begins to watch a namespace.
    pub fn watch(client: &Client, namespace: &str, report: Report) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let pods = {
            let seen = seen.clone();
            let api = Api::<Pod>::namespaced(client.clone(), namespace);
            tokio::spawn(watch(api, move |name, pod| seen.lock().pod(name, pod, report)))
        };
        let statuses = {
            let seen = seen.clone();
            let api = brokers::api(client, namespace);
            tokio::spawn(watch(api, move |name, cluster| seen.lock().cluster(name, cluster, report)))
        };
        Self { seen, watches: [pods, statuses] }
    }

    /// The pods at every moment since then, and as they were at it.
    pub fn pods_since(&self, since: Instant) -> Vec<Pods> {
        let seen = self.seen.lock();
        let after = seen.pods.partition_point(|(at, _)| *at <= since);
        seen.pods[after.saturating_sub(1)..].iter().map(|(_, pods)| pods.clone()).collect()
    }

    /// The statuses that a BrokerCluster got since then.
    pub fn statuses_since(&self, cluster: &str, since: Instant) -> Vec<Status> {
        let seen = self.seen.lock();
        let of = seen.statuses.iter().filter(|(at, name, _)| *at > since && name == cluster);
        of.map(|(_, _, status)| status.clone()).collect()
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.watches.iter().for_each(JoinHandle::abort);
    }
}

/// Tells of each object that is there or changes, and of each that goes.
async fn watch<K>(api: Api<K>, mut tell: impl FnMut(String, Option<K>))
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut events = pin!(watcher(api, watcher::Config::default()).default_backoff());
    loop {
        match events.try_next().await {
            Ok(Some(Event::Apply(object) | Event::InitApply(object))) => {
                tell(object.name_any(), Some(object))
            }
            Ok(Some(Event::Delete(object))) => tell(object.name_any(), None),
            Ok(Some(Event::Init | Event::InitDone)) => {}
            Ok(None) => return,
            // It is tried again after a pause.
            Err(_) => {}
        }
    }
}

impl Seen {
    fn pod(&mut self, name: String, pod: Option<Pod>, report: Report) {
        let mut pods = self.pods.last().map(|(_, pods)| pods.clone()).unwrap_or_default();
        let view = pod.as_ref().map(view);
        if pods.get(&name) == view.as_ref() {
            return;
        }
        match view {
            Some(view) => {
                report.say(&name, &view);
                pods.insert(name, view);
            }
            None => {
                report.say(&name, "gone");
                pods.remove(&name);
            }
        }
        self.pods.push((Instant::now(), pods));
    }

    fn cluster(&mut self, name: String, cluster: Option<DynamicObject>, report: Report) {
        let Some(cluster) = cluster else {
            report.say("status", format!("{name} is gone"));
            return;
        };
        let status = brokers::status(&cluster);
        let last = self.statuses.iter().rev().find(|(_, of, _)| *of == name);
        let last = last.map(|(_, _, status)| status.to_string()).unwrap_or_default();
        if last != status.to_string() && !status.conditions.is_empty() {
            report.say("status", format!("{name}: {status}"));
        }
        self.statuses.push((Instant::now(), name, status));
    }
}

fn view(pod: &Pod) -> PodView {
    let status = pod.status.as_ref();
    let mut conditions = status.into_iter().flat_map(|status| &status.conditions).flatten();
    let containers = status.into_iter().flat_map(|status| &status.container_statuses).flatten();
    PodView {
        uid: pod.uid().unwrap_or_default(),
        ready: conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True"),
        leaving: pod.metadata.deletion_timestamp.is_some(),
        restarts: containers.map(|container| container.restart_count).sum(),
    }
}

impl Display for PodView {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match (self.leaving, self.ready) {
            (true, _) => "is leaving",
            (false, true) => "is ready",
            (false, false) => "is not ready",
        })?;
        match self.restarts {
            0 => Ok(()),
            count => write!(out, ", started again {count}×"),
        }
    }
}
