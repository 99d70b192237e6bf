//! `broker.yaml` as the broker reads it. The field names are the broker's; its tests load what the golden files hold.

mod auth;
mod endpoints;
mod hooks;
mod logic;
mod webhook;

use super::{
    Names,
    broker_pod::{ADMIN_PORT, CLIENT_PORT, settings_file},
    redis_stateful_set::REDIS_PORT,
};
use crate::{
    controller::{
        secrets::{REDIS_PASSWORD_FILE, TLS_CERT_FILE, TLS_KEY_FILE},
        validate::{Valid, ValidRedis},
    },
    crd::{self, LogFormat, LogLevel, PresenceRule, PublishRule, SubscribeRule},
};
use serde::Serialize;

/// The whole file. The instance ID is not in it: each pod has its own from its name.
#[derive(Serialize)]
pub(super) struct BrokerConfig<'a> {
    client: Client<'a>,
    admin: Admin,
    endpoints: endpoints::Endpoints<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pages: Option<&'a crd::Pages>,
    auth: auth::Auth<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hooks: Option<hooks::Hooks<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channels: Option<Channels<'a>>,
    limits: Limits<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    middleware: Option<&'a crd::Middleware>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logic: Option<logic::Logic<'a>>,
    redis: Redis<'a>,
    drain: Drain,
    log: Log,
}

#[derive(Serialize)]
struct Client<'a> {
    address: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    allowed_origins: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<Tls>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy_protocol: Option<&'a crd::ProxyProtocol>,
}

#[derive(Serialize)]
struct Tls {
    cert_file: String,
    key_file: String,
    min_version: crd::TlsVersion,
}

#[derive(Serialize)]
struct Admin {
    address: String,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<&'a crd::History>,
}

#[derive(Serialize)]
struct Limits<'a> {
    message_size: u64,
    outbox_size: u64,
    connections: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    connections_per_address: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handshakes: Option<u32>,
    channels_per_client: u32,
    channel_length: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_grace: Option<&'a str>,
}

#[derive(Serialize)]
struct Rate {
    per_second: u32,
    burst: u32,
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
    BrokerConfig {
        client: Client {
            address: format!("0.0.0.0:{CLIENT_PORT}"),
            allowed_origins: &spec.endpoints.allowed_origins,
            tls: spec.endpoints.tls.as_ref().map(|tls| Tls {
                cert_file: settings_file(TLS_CERT_FILE),
                key_file: settings_file(TLS_KEY_FILE),
                min_version: tls.min_version,
            }),
            proxy_protocol: Some(&spec.endpoints.proxy_protocol).filter(|proxies| proxies.enabled),
        },
        admin: Admin { address: format!("0.0.0.0:{ADMIN_PORT}") },
        endpoints: endpoints::endpoints(cluster),
        // The broker has the same words.
        pages: Some(&spec.pages).filter(|pages| pages.any()),
        auth: auth::auth(cluster),
        hooks: hooks::hooks(cluster),
        channels: channels(cluster),
        limits: Limits {
            message_size: cluster.message_size,
            outbox_size: cluster.outbox_size,
            connections: spec.limits.connections,
            connections_per_address: Some(spec.limits.connections_per_address).filter(|limit| *limit > 0),
            handshakes: Some(spec.limits.handshakes).filter(|limit| *limit != crd::HANDSHAKES),
            channels_per_client: spec.limits.channels_per_client,
            channel_length: spec.limits.channel_length,
            rate: rate(spec.limits.rate),
            token_grace: Some(spec.limits.token_grace.as_str()).filter(|grace| *grace != crd::TOKEN_GRACE),
        },
        // The broker has the same words.
        middleware: Some(&spec.middleware).filter(|rules| !rules.is_empty()),
        logic: logic::logic(cluster),
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
        history: namespace.history.as_ref(),
    });
    let namespaces: Vec<_> = namespaces.collect();
    (!namespaces.is_empty()).then_some(Channels { namespaces })
}

/// Nothing where there is no limit: what a cluster does not use does not stand in its file, so that a new release of the
/// operator leaves its pods alone.
fn rate(rate: crd::Rate) -> Option<Rate> {
    (rate.per_second > 0).then_some(Rate { per_second: rate.per_second, burst: rate.burst })
}

fn redis(cluster: &Valid) -> Redis<'_> {
    match &cluster.redis {
        ValidRedis::Managed { .. } => Redis {
            url: format!("redis://{}:{REDIS_PORT}/0", Names(&cluster.name).redis()),
            username: None,
            password_file: Some(settings_file(REDIS_PASSWORD_FILE)),
            required: false,
            prefix: "switchboard".into(),
        },
        ValidRedis::External(redis) => Redis {
            url: redis.url.clone(),
            username: redis.username.as_deref(),
            password_file: redis.password_secret_ref.as_ref().map(|_| settings_file(REDIS_PASSWORD_FILE)),
            required: false,
            prefix: redis
                .prefix
                .clone()
                .unwrap_or_else(|| format!("switchboard.{}.{}", cluster.namespace, cluster.name)),
        },
    }
}
