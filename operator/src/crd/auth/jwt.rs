//! `spec.auth.jwt`.

use super::SecretKeyRef;
use crate::crd::rules::auth as rules;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How tokens are checked. With several keys, a token is good when one of them has signed it.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::jwt_has_a_key())]
pub struct Jwt {
    /// The secret that signs the tokens (HS256). A changed Secret rolls the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmac_secret_ref: Option<SecretKeyRef>,

    /// Secrets and public keys. When a Secret changes, the running brokers take up the new key within about a minute; no
    /// pod is restarted. Another entry in this list rolls the pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = rules::jwt_key_ids())]
    pub keys: Vec<JwtKey>,

    /// A set of keys in JSON (JWKS, RFC 7517), as identity providers publish it. When the Secret changes, the running
    /// brokers take up the new keys within about a minute; no pod is restarted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_ref: Option<SecretKeyRef>,

    /// The `aud` that a token must carry. Absent: not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub audience: Option<String>,

    /// The `iss` that a token must carry. Absent: not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub issuer: Option<String>,
}

/// A key that tokens may be signed with: exactly one of `secretRef` and `publicKeyRef`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::one_jwt_key(), validation = rules::jwt_key_algorithm())]
pub struct JwtKey {
    /// The name by which tokens choose it: `kid` in their header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub id: Option<String>,

    /// The one algorithm that it is used with. Absent: `HS256` for a secret, `RS256` for an RSA key, that of its curve for
    /// others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,

    /// A secret that is shared with whoever signs, as long as the algorithm's hash or longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeyRef>,

    /// A public key in PEM, or a certificate with one. The private key stays with whoever signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key_ref: Option<SecretKeyRef>,
}

/// How a token is signed.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    #[serde(rename = "HS256")]
    Hs256,
    /// HMAC with SHA-384.
    #[serde(rename = "HS384")]
    Hs384,
    /// HMAC with SHA-512.
    #[serde(rename = "HS512")]
    Hs512,
    /// RSA with PKCS #1 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSA with PKCS #1 with SHA-384.
    #[serde(rename = "RS384")]
    Rs384,
    /// RSA with PKCS #1 with SHA-512.
    #[serde(rename = "RS512")]
    Rs512,
    /// RSA with PSS with SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// RSA with PSS with SHA-384.
    #[serde(rename = "PS384")]
    Ps384,
    /// RSA with PSS with SHA-512.
    #[serde(rename = "PS512")]
    Ps512,
    /// ECDSA with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA with SHA-384.
    #[serde(rename = "ES384")]
    Es384,
    /// ECDSA with SHA-512.
    #[serde(rename = "ES512")]
    Es512,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}
