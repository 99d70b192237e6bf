//! Methods about channels and instances: `channels`, `info`, `presence`, `presence_stats`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Failed, Method};
use crate::{
    backplane::{InstanceRecord, Member, count},
    endpoint::ErrorCode,
    metrics::ApiMethod,
};

#[derive(Deserialize)]
pub(super) struct Channels {
    #[serde(default = "every_channel")]
    pattern: String,
}

fn every_channel() -> String {
    "*".to_owned()
}

#[derive(Deserialize)]
pub(super) struct Info {}

#[derive(Deserialize)]
pub(super) struct Presence {
    channel: String,
}

#[derive(Deserialize)]
pub(super) struct PresenceStats {
    channel: String,
}

impl Method for Channels {
    const LABEL: ApiMethod = ApiMethod::Channels;

    async fn run(self, api: &Api) -> Result<Value, Failed> {
        let channels = api.gateway.pipeline.cluster.channels(&self.pattern).await?;
        let counted = |(name, clients)| (name, json!({"num_clients": clients}));
        Ok(json!({"channels": channels.into_iter().map(counted).collect::<BTreeMap<_, _>>()}))
    }
}

impl Method for Info {
    const LABEL: ApiMethod = ApiMethod::Info;

    async fn run(self, api: &Api) -> Result<Value, Failed> {
        let instances = api.gateway.backplane.instances().await?;
        let describe = |instance: &InstanceRecord| {
            let mut node = json!({
                "uid": format!("{}/{}", instance.id, instance.epoch),
                "name": instance.id,
                "version": instance.version,
                "num_clients": instance.clients,
                "num_users": instance.users,
                "num_channels": instance.channels,
                "num_subs": instance.subscriptions,
                "uptime": instance.uptime,
                "uptime_ms": instance.uptime_ms,
                "num_published": instance.published,
                "num_delivered": instance.delivered,
                "num_failed": instance.failed,
            });
            if let Some(redis) = instance.redis {
                node["redis"] = json!(redis);
            }
            node
        };
        Ok(json!({"nodes": instances.iter().map(describe).collect::<Vec<_>>()}))
    }
}

impl Method for Presence {
    const LABEL: ApiMethod = ApiMethod::Presence;

    async fn run(self, api: &Api) -> Result<Value, Failed> {
        let members = members(api, &self.channel).await?;
        let described = |member: &Member| {
            (member.client.to_string(), serde_json::from_slice::<Value>(&member.info).unwrap_or_default())
        };
        Ok(json!({"presence": members.iter().map(described).collect::<BTreeMap<_, _>>()}))
    }
}

impl Method for PresenceStats {
    const LABEL: ApiMethod = ApiMethod::PresenceStats;

    async fn run(self, api: &Api) -> Result<Value, Failed> {
        let (clients, users) = count(&members(api, &self.channel).await?);
        Ok(json!({"num_clients": clients, "num_users": users}))
    }
}

/// Who is in a channel, where that is kept.
async fn members(api: &Api, channel: &str) -> Result<Vec<Member>, Failed> {
    let channel = api.gateway.channel(channel)?;
    let namespace = api.gateway.namespaces.of(channel.as_str()).ok_or(ErrorCode::UnknownChannel)?;
    if !namespace.tracks_presence() {
        return Err(Failed::of(
            ErrorCode::NotAvailable,
            "the namespace does not keep who is there: see presence and join_leave of channels.namespaces",
        ));
    }
    Ok(api.gateway.backplane.presence(&channel).await?)
}
