//! What `kubectl describe bc` tells: one event per change, none per reconcile.

use super::{apply::Changes, build::FIELD_MANAGER, secrets::digest, status::Change};
use crate::crd::BrokerCluster;
use kube::{
    Client, Resource, ResourceExt,
    runtime::events::{Event, EventType, Recorder, Reporter},
};

/// What makes events one and the same: the recorder folds those of one action into the first one, and keeps its
/// text. So another text is another action.
fn action(note: &str) -> String {
    format!("Reconcile-{}", digest([note.as_bytes()]))
}

/// Publishes events; an event that cannot be published is logged and forgotten.
pub struct Events {
    recorder: Recorder,
}

impl Events {
    /// One for the whole operator: it is what folds repeated events into one.
    pub fn new(client: Client) -> Self {
        let instance = std::env::var("POD_NAME").ok();
        Self { recorder: Recorder::new(client, Reporter { controller: FIELD_MANAGER.into(), instance }) }
    }

    /// Tells what an application changed.
    pub async fn applied(&self, cluster: &BrokerCluster, changes: &Changes, scaled: Option<(i32, i32)>) {
        let Changes { created, updated, repaired, removed, .. } = changes;
        self.listed(cluster, "Created", "created", created).await;
        if let Some((from, to)) = scaled {
            self.normal(cluster, "Scaled", format!("from {from} to {to} instances")).await;
        }
        let only_scaled = scaled.is_some() && updated.len() == 1;
        if !only_scaled {
            self.listed(cluster, "Updated", "brought up to date:", updated).await;
        }
        self.listed(cluster, "Repaired", "restored after somebody else changed or deleted it:", repaired)
            .await;
        self.listed(cluster, "Removed", "removed what is no longer wanted:", removed).await;
    }

    /// Tells of conditions that changed, as far as somebody would want to know.
    pub async fn conditions(&self, cluster: &BrokerCluster, changes: &[Change]) {
        for Change { condition, before } in changes {
            let was = |status: &str| before.as_deref() == Some(status);
            let (type_, reason) = match (condition.type_.as_str(), condition.status.as_str()) {
                ("Degraded", "True") => (EventType::Warning, condition.reason.as_str()),
                // What has not been there yet is not lost.
                ("RedisReady" | "DataPathReady", "False") if was("True") => {
                    (EventType::Warning, &*condition.reason)
                }
                ("Ready" | "RedisReady" | "DataPathReady", "True") if !was("True") => {
                    (EventType::Normal, condition.type_.as_str())
                }
                ("Progressing", "True") if condition.reason == "RollingOut" => {
                    (EventType::Normal, "RollingOut")
                }
                _ => continue,
            };
            self.publish(cluster, type_, reason, condition.message.clone()).await;
        }
    }

    async fn listed(&self, cluster: &BrokerCluster, reason: &str, what: &str, objects: &[String]) {
        if !objects.is_empty() {
            self.normal(cluster, reason, format!("{what} {}", objects.join(", "))).await;
        }
    }

    async fn normal(&self, cluster: &BrokerCluster, reason: &str, note: String) {
        self.publish(cluster, EventType::Normal, reason, note).await;
    }

    async fn publish(&self, cluster: &BrokerCluster, type_: EventType, reason: &str, mut note: String) {
        // The API server takes 1024 bytes.
        if note.len() > 1000 {
            let end = (0..=1000).rev().find(|index| note.is_char_boundary(*index)).unwrap_or_default();
            note.truncate(end);
            note.push('…');
        }
        let event = Event {
            type_,
            reason: reason.to_owned(),
            action: action(&note),
            note: Some(note),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &cluster.object_ref(&())).await {
            tracing::warn!(cluster = cluster.name_any(), reason, %error, "an event could not be published");
        }
    }
}
