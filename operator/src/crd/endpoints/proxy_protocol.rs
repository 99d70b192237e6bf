//! `spec.endpoints.proxyProtocol`.

use crate::crd::rules::endpoints as rules;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// The PROXY protocol, by which a proxy or load balancer that passes on bytes tells the address of its client.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::trusted_proxies())]
pub struct ProxyProtocol {
    /// Whether connections from the networks below begin with a header of the protocol.
    #[serde(default)]
    pub enabled: bool,

    /// The networks that proxies connect from, such as `10.0.0.0/8`. Who connects from there must send the header, also
    /// your backend; nobody else is believed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 64)))]
    #[x_kube(validation = rules::networks())]
    pub trusted: Vec<String>,
}
