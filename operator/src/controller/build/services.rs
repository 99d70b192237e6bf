//! The Services: one for clients, one that names each broker, one for Redis.

use super::{
    Names,
    broker_pod::{ADMIN_PORT, client_ports},
    meta::{Component, metadata, selector},
    ports::Port,
    redis_stateful_set::REDIS_PORT,
};
use crate::{
    controller::validate::Valid,
    crd::{self, ExternalTrafficPolicy, ServiceType},
};
use k8s_openapi::api::core::v1::{ClientIPConfig, Service, ServiceSpec, SessionAffinityConfig};

/// What Kubernetes takes by itself.
const AFFINITY_SECONDS: u32 = 3 * 60 * 60;

/// The Service that clients connect to.
pub(super) fn client(cluster: &Valid) -> Service {
    let type_ = match cluster.spec.service.type_ {
        ServiceType::ClusterIp => "ClusterIP",
        ServiceType::NodePort => "NodePort",
        ServiceType::LoadBalancer => "LoadBalancer",
    };
    let mut service = service(
        cluster,
        Names(&cluster.name).broker(),
        Component::Broker,
        &client_ports(&cluster.spec.endpoints),
    );
    let annotations = cluster.spec.service.annotations.clone();
    service.metadata.annotations = Some(annotations).filter(|annotations| !annotations.is_empty());
    let spec = service.spec.get_or_insert_default();
    spec.type_ = Some(type_.into());
    // `Cluster` is what Kubernetes does by itself, where it has a meaning.
    if cluster.spec.service.external_traffic_policy == ExternalTrafficPolicy::Local {
        spec.external_traffic_policy = Some("Local".into());
    }
    // Always with its time, so that the two go together when affinity is taken away: one without the other is refused.
    if cluster.spec.service.session_affinity == crd::SessionAffinity::ClientIp {
        let seconds = cluster.spec.service.session_affinity_seconds.unwrap_or(AFFINITY_SECONDS);
        spec.session_affinity = Some("ClientIP".into());
        spec.session_affinity_config = Some(SessionAffinityConfig {
            client_ip: Some(ClientIPConfig { timeout_seconds: Some(seconds.cast_signed()) }),
        });
    }
    service
}

/// The Service that gives each broker's pod a name, ready or not, so that it can be reached while it starts and drains.
pub(super) fn headless(cluster: &Valid) -> Service {
    let mut ports = client_ports(&cluster.spec.endpoints);
    ports.insert(1, Port::tcp("admin", ADMIN_PORT));
    let mut service = service(cluster, Names(&cluster.name).headless(), Component::Broker, &ports);
    let spec = service.spec.get_or_insert_default();
    spec.cluster_ip = Some("None".into());
    spec.publish_not_ready_addresses = Some(true);
    service
}

/// The Service that brokers find a managed Redis by.
pub(super) fn redis(cluster: &Valid) -> Service {
    service(cluster, Names(&cluster.name).redis(), Component::Redis, &[Port::tcp("redis", REDIS_PORT)])
}

fn service(cluster: &Valid, name: String, component: Component, ports: &[Port]) -> Service {
    Service {
        metadata: metadata(cluster, name, component),
        spec: Some(ServiceSpec {
            selector: Some(selector(&cluster.name, component)),
            ports: Some(ports.iter().map(Port::of_service).collect()),
            type_: Some("ClusterIP".into()),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}
