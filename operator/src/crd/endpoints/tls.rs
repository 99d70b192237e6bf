//! `spec.endpoints.tls`.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// TLS on the port of clients.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// Name of a Secret of the type `kubernetes.io/tls`, as cert-manager makes it: `tls.crt` holds the server's
    /// certificate and behind it those that lead to one that clients know, `tls.key` its private key. When it changes,
    /// new connections are shown the new certificate within about a minute; no pod is restarted.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,

    /// The oldest version of TLS that is spoken: `"1.2"` or `"1.3"`, in quotes.
    #[serde(default)]
    pub min_version: TlsVersion,
}

/// A version of TLS.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum TlsVersion {
    /// Of 2008.
    #[default]
    #[serde(rename = "1.2")]
    V1_2,
    /// Of 2018.
    #[serde(rename = "1.3")]
    V1_3,
}
