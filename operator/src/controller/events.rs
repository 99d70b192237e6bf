//! What `kubectl describe bc` tells: one event per change, none per reconcile.

use super::{apply::Changes, build::FIELD_MANAGER};
use crate::crd::BrokerCluster;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Client, Resource, ResourceExt,
    runtime::events::{Event, EventType, Recorder, Reporter},
};

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
        let Changes { created, updated, repaired, removed } = changes;
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

    /// Tells of conditions that changed.
    pub async fn conditions(&self, cluster: &BrokerCluster, changed: &[Condition]) {
        for condition in changed {
            let is_bad = match condition.type_.as_str() {
                "Degraded" => condition.status == "True",
                "RedisReady" | "DataPathReady" => condition.status == "False",
                _ => false,
            };
            let is_worth_telling = is_bad
                || condition.status == "True"
                    && matches!(condition.type_.as_str(), "Ready" | "RedisReady" | "DataPathReady")
                || condition.type_ == "Progressing" && condition.reason == "RollingOut";
            if !is_worth_telling {
                continue;
            }
            let reason =
                if is_bad || condition.type_ == "Progressing" { &condition.reason } else { &condition.type_ };
            let type_ = if is_bad { EventType::Warning } else { EventType::Normal };
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
            note: Some(note),
            action: "Reconcile".into(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &cluster.object_ref(&())).await {
            tracing::warn!(cluster = cluster.name_any(), reason, %error, "an event could not be published");
        }
    }
}
