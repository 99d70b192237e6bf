//! `broker.yaml` as the broker reads it. The field names are the broker's; its tests load what the golden files hold.

use super::{
    Names,
    broker_pod::{ADMIN_PORT, CLIENT_PORT, api_key_files, jwt_file, redis_password_file},
    redis_stateful_set::REDIS_PORT,
};
use crate::{
    controller::validate::{Valid, ValidRedis},
    crd::{self, LogFormat, LogLevel, PresenceRule, PublishRule, SubscribeRule},
};
use serde::Serialize;

/// The whole file. The instance ID is not in it: each pod has its own from its name.
#[derive(Serialize)]
pub(super) struct BrokerConfig<'a> {
    client: Client<'a>,
    admin: Admin,
    endpoints: Endpoints<'a>,
    auth: Auth<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channels: Option<Channels<'a>>,
    limits: Limits,
    #[serde(skip_serializing_if = "Option::is_none")]
    logic: Option<Logic<'a>>,
    redis: Redis<'a>,
    drain: Drain,
    log: Log,
}

#[derive(Serialize)]
struct Client<'a> {
    address: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    allowed_origins: &'a [String],
}

#[derive(Serialize)]
struct Admin {
    address: String,
}

#[derive(Serialize)]
struct Endpoints<'a> {
    websocket: Websocket<'a>,
    http: Http<'a>,
}

#[derive(Serialize)]
struct Websocket<'a> {
    enabled: bool,
    path: &'a str,
    ping_interval: &'a str,
    pong_timeout: &'a str,
}

#[derive(Serialize)]
struct Http<'a> {
    enabled: bool,
    path: &'a str,
}

#[derive(Serialize)]
struct Auth<'a> {
    anonymous: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt: Option<Jwt<'a>>,
    api_key_files: Vec<String>,
}

#[derive(Serialize)]
struct Jwt<'a> {
    hmac_secret_file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    audience: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'a str>,
}

#[derive(Serialize)]
struct Channels<'a> {
    namespaces: Vec<Namespace<'a>>,
}

#[derive(Serialize)]
struct Namespace<'a> {
    name: &'a str,
    subscribe: SubscribeRule,
    publish: PublishRule,
    presence: PresenceRule,
    join_leave: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<Rate>,
}

#[derive(Serialize)]
struct Limits {
    message_size: u64,
    outbox_size: u64,
    connections: u32,
    channels_per_client: u32,
    channel_length: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<Rate>,
}

#[derive(Serialize)]
struct Rate {
    per_second: u32,
    burst: u32,
}

#[derive(Serialize)]
struct Logic<'a> {
    modules: Vec<Module<'a>>,
}

#[derive(Serialize)]
struct Module<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    broadcaster: Option<&'a crd::Broadcaster>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inactivity: Option<&'a crd::Inactivity>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    receives: &'a [crd::Receives],
    mode: crd::Mode,
    concurrency: u32,
    queue: u32,
    when_full: crd::WhenFull,
    time_limit: &'a str,
    placement: crd::Placement,
}

#[derive(Serialize)]
struct Redis<'a> {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password_file: Option<String>,
    /// Never: pods start before a managed Redis does, and must not crash when one is away.
    required: bool,
    prefix: String,
}

#[derive(Serialize)]
struct Drain {
    grace: String,
    pace: u32,
}

#[derive(Serialize)]
struct Log {
    level: LogLevel,
    format: LogFormat,
}

pub(super) fn broker_config(cluster: &Valid) -> BrokerConfig<'_> {
    let spec = &cluster.spec;
    let (websocket, http) = (&spec.endpoints.websocket, &spec.endpoints.http);
    BrokerConfig {
        client: Client {
            address: format!("0.0.0.0:{CLIENT_PORT}"),
            allowed_origins: &spec.endpoints.allowed_origins,
        },
        admin: Admin { address: format!("0.0.0.0:{ADMIN_PORT}") },
        endpoints: Endpoints {
            websocket: Websocket {
                enabled: websocket.enabled,
                path: &websocket.path,
                ping_interval: &websocket.ping_interval,
                pong_timeout: &websocket.pong_timeout,
            },
            http: Http { enabled: http.enabled, path: &http.path },
        },
        auth: Auth {
            anonymous: spec.auth.anonymous,
            jwt: spec.auth.jwt.as_ref().map(|jwt| Jwt {
                hmac_secret_file: jwt_file(),
                audience: jwt.audience.as_deref(),
                issuer: jwt.issuer.as_deref(),
            }),
            api_key_files: api_key_files(cluster),
        },
        channels: channels(cluster),
        limits: Limits {
            message_size: cluster.message_size,
            outbox_size: cluster.outbox_size,
            connections: spec.limits.connections,
            channels_per_client: spec.limits.channels_per_client,
            channel_length: spec.limits.channel_length,
            rate: rate(spec.limits.rate),
        },
        logic: logic(&spec.logic),
        redis: redis(cluster),
        drain: Drain { grace: format!("{}s", spec.drain.grace_period_seconds), pace: spec.drain.pace },
        log: Log { level: spec.log.level, format: spec.log.format },
    }
}

/// Nothing when no namespace is listed, so that the broker's own default stands.
fn channels(cluster: &Valid) -> Option<Channels<'_>> {
    let namespaces = cluster.spec.channels.namespaces.iter().map(|namespace| Namespace {
        name: &namespace.name,
        subscribe: namespace.subscribe,
        publish: namespace.publish,
        presence: namespace.presence,
        join_leave: namespace.join_leave,
        rate: rate(namespace.rate),
    });
    let namespaces: Vec<_> = namespaces.collect();
    (!namespaces.is_empty()).then_some(Channels { namespaces })
}

/// Nothing where there is no limit: what a cluster does not use does not stand in its file, so that a new release of the
/// operator leaves its pods alone.
fn rate(rate: crd::Rate) -> Option<Rate> {
    (rate.per_second > 0).then_some(Rate { per_second: rate.per_second, burst: rate.burst })
}

/// Nothing without modules.
fn logic(logic: &crd::Logic) -> Option<Logic<'_>> {
    let modules = logic.modules.iter().map(|module| Module {
        name: &module.name,
        broadcaster: module.broadcaster.as_ref(),
        inactivity: module.inactivity.as_ref(),
        receives: &module.receives,
        mode: module.mode,
        concurrency: module.concurrency,
        queue: module.queue,
        when_full: module.when_full,
        time_limit: &module.time_limit,
        placement: module.placement,
    });
    let modules: Vec<_> = modules.collect();
    (!modules.is_empty()).then_some(Logic { modules })
}

fn redis(cluster: &Valid) -> Redis<'_> {
    match &cluster.redis {
        ValidRedis::Managed { .. } => Redis {
            url: format!("redis://{}:{REDIS_PORT}/0", Names(&cluster.name).redis()),
            username: None,
            password_file: Some(redis_password_file()),
            required: false,
            prefix: "switchboard".into(),
        },
        ValidRedis::External(redis) => Redis {
            url: redis.url.clone(),
            username: redis.username.as_deref(),
            password_file: redis.password_secret_ref.as_ref().map(|_| redis_password_file()),
            required: false,
            prefix: redis
                .prefix
                .clone()
                .unwrap_or_else(|| format!("switchboard.{}.{}", cluster.namespace, cluster.name)),
        },
    }
}
