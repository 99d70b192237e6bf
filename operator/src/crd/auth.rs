//! `spec.auth`.

mod jwt;

pub use jwt::{Algorithm, Jwt, JwtKey};

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Who may connect, and with what.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// Whether clients may connect without a token. Anybody who reaches the Service is then a client: meant for trying
    /// out and for public data.
    #[serde(default)]
    pub anonymous: bool,

    /// Clients connect with a JSON Web Token that your backend signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<Jwt>,

    /// Keys for the server API, each in a Secret of this namespace. Without any, one is generated into the key `key` of
    /// the Secret `NAME-api-key`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub api_keys: Vec<SecretKeyRef>,
}

/// One key of a Secret in the same namespace.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Key within the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}
