//! The section `auth`.

use super::super::broker_pod::{api_key_files, settings_file};
use crate::{
    controller::{
        secrets::{JWKS_FILE, JWT_FILE, jwt_key_file},
        validate::Valid,
    },
    crd,
};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Auth<'a> {
    anonymous: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt: Option<Jwt<'a>>,
    api_key_files: Vec<String>,
}

#[derive(Serialize)]
struct Jwt<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    hmac_secret_file: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keys: Vec<Key<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audience: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'a str>,
}

#[derive(Serialize)]
struct Key<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    algorithm: Option<crd::Algorithm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key_file: Option<String>,
}

pub(super) fn auth(cluster: &Valid) -> Auth<'_> {
    let auth = &cluster.spec.auth;
    Auth { anonymous: auth.anonymous, jwt: auth.jwt.as_ref().map(jwt), api_key_files: api_key_files(cluster) }
}

fn jwt(jwt: &crd::Jwt) -> Jwt<'_> {
    let keys = jwt.keys.iter().enumerate().map(|(i, key)| {
        let file = |_: &crd::SecretKeyRef| settings_file(&jwt_key_file(i));
        Key {
            id: key.id.as_deref(),
            algorithm: key.algorithm,
            secret_file: key.secret_ref.as_ref().map(file),
            public_key_file: key.public_key_ref.as_ref().map(file),
        }
    });
    Jwt {
        hmac_secret_file: jwt.hmac_secret_ref.as_ref().map(|_| settings_file(JWT_FILE)),
        keys: keys.collect(),
        jwks_file: jwt.jwks_ref.as_ref().map(|_| settings_file(JWKS_FILE)),
        audience: jwt.audience.as_deref(),
        issuer: jwt.issuer.as_deref(),
    }
}
