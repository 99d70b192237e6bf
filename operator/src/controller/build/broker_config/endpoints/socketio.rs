//! The section `endpoints.socketio`.

use crate::crd;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Socketio<'a> {
    enabled: bool,
    path: &'a str,
    transports: &'a [crd::Transport],
    upgrades: bool,
    ping_interval: &'a str,
    ping_timeout: &'a str,
    max_payload: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cookie: Option<&'a str>,
    namespaces: &'a [String],
    message_event: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    volatile: &'a [String],
    ack_timeout: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<EventRule<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<crd::Profile>,
    /// Only where it means something.
    #[serde(skip_serializing_if = "Option::is_none")]
    offline_after: Option<&'a str>,
    /// Only where it is heard: what brokers do without it is the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    emitter: Option<&'a crd::Emitter>,
}

#[derive(Serialize)]
struct EventRule<'a> {
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(rename = "do")]
    act: crd::Act,
    room: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    prefix: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    emit: Option<&'a str>,
    to_sender: bool,
    stamp: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    logic: Option<&'a str>,
}

pub(super) fn socketio(endpoint: &crd::SocketioEndpoint, max_payload: u64) -> Socketio<'_> {
    Socketio {
        enabled: true,
        path: &endpoint.path,
        transports: &endpoint.transports,
        upgrades: endpoint.upgrades,
        ping_interval: &endpoint.ping_interval,
        ping_timeout: &endpoint.ping_timeout,
        max_payload,
        cookie: endpoint.cookie.as_deref(),
        namespaces: &endpoint.namespaces,
        message_event: &endpoint.message_event,
        volatile: &endpoint.volatile,
        ack_timeout: &endpoint.ack_timeout,
        events: endpoint.events.iter().map(event).collect(),
        profile: endpoint.profile,
        offline_after: endpoint.profile.map(|_| &*endpoint.offline_after),
        emitter: Some(&endpoint.emitter).filter(|emitter| emitter.enabled),
    }
}

fn event(rule: &crd::EventRule) -> EventRule<'_> {
    EventRule {
        event: &rule.event,
        namespace: rule.namespace.as_deref(),
        act: rule.act,
        room: &rule.room,
        prefix: &rule.prefix,
        emit: rule.emit.as_deref(),
        to_sender: rule.to_sender,
        stamp: rule.stamp,
        logic: rule.logic.as_deref(),
    }
}
