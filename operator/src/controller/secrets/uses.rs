//! Every key of a Secret that a spec names: by which field, what it has to hold, and where brokers find it.

use super::without_line_end;
use crate::{
    controller::webhooks::{Place, webhooks},
    crd::{BrokerClusterSpec, SecretKeyRef},
};

/// What a key of a Secret has to hold. What a broker would refuse at its start is refused here, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Any text.
    Text,
    /// A key of the server API.
    ApiKey,
    /// Certificates in PEM.
    Certificates,
    /// A private key in PEM.
    PrivateKey,
    /// A secret that tokens are signed with.
    SharedSecret,
    /// A public key in PEM, or a certificate with one.
    PublicKey,
    /// A JWKS document of public keys and secrets.
    KeySet,
}

impl Holds {
    /// Why a broker would refuse the value.
    pub fn problem(self, value: &[u8]) -> Option<&'static str> {
        let Ok(text) = std::str::from_utf8(without_line_end(value)) else { return Some("is not UTF-8 text") };
        if text.is_empty() {
            return Some("is empty");
        }
        match self {
            Holds::Text => None,
            Holds::ApiKey => text
                .chars()
                .any(char::is_whitespace)
                .then_some("holds white space, which no HTTP header can carry"),
            Holds::Certificates => (!text.contains("-----BEGIN CERTIFICATE-----"))
                .then_some("is no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----"),
            Holds::PrivateKey => (!text.contains("PRIVATE KEY-----"))
                .then_some("is no private key in PEM, which begins with -----BEGIN PRIVATE KEY-----"),
            Holds::SharedSecret if text.contains(BEGIN) => {
                Some("is a PEM and no secret: name it in publicKeyRef")
            }
            Holds::SharedSecret => None,
            Holds::PublicKey if text.contains("PRIVATE KEY-----") => {
                Some("is a private key, which is not for brokers: put the public one there")
            }
            Holds::PublicKey if text.contains(BEGIN) => None,
            Holds::PublicKey => Some("is no public key in PEM, which begins with -----BEGIN PUBLIC KEY-----"),
            Holds::KeySet => key_set(text),
        }
    }
}

const BEGIN: &str = "-----BEGIN ";

fn key_set(text: &str) -> Option<&'static str> {
    let Ok(document) = serde_json::from_str::<serde_json::Value>(text) else { return Some("is not JSON") };
    let Some(keys) = document["keys"].as_array() else {
        return Some("is no JWKS document, which is {\"keys\": [...]}");
    };
    // The private part of an RSA, EC or OKP key (RFC 7518, section 6; RFC 8037).
    keys.iter()
        .any(|key| !key["d"].is_null())
        .then_some("has a private key, which is not for brokers: take d out")
}

/// One key of a Secret that a field names.
#[derive(Clone, Debug)]
pub struct SecretUse {
    /// The field, as users write it.
    pub field: String,
    /// What it names.
    pub reference: SecretKeyRef,
    /// Where brokers find it, below the folder of their settings.
    pub file: String,
    /// What has to be in it.
    pub holds: Holds,
    /// Whether running brokers read it again when it changes. Others have to start anew.
    pub read_again: bool,
}

impl SecretUse {
    fn new(
        field: impl Into<String>,
        reference: &SecretKeyRef,
        file: impl Into<String>,
        holds: Holds,
    ) -> Self {
        Self {
            field: field.into(),
            reference: reference.clone(),
            file: file.into(),
            holds,
            read_again: false,
        }
    }

    fn read_again(self) -> Self {
        Self { read_again: true, ..self }
    }

    /// What makes such a Secret.
    pub fn how_to_create(&self, namespace: &str) -> String {
        let SecretKeyRef { name, key } = &self.reference;
        if self.file == TLS_CERT_FILE || self.file == TLS_KEY_FILE {
            return format!("kubectl -n {namespace} create secret tls {name} --cert=FILE --key=FILE");
        }
        format!("kubectl -n {namespace} create secret generic {name} --from-file={key}=FILE")
    }
}

/// The file of the secret that signs tokens.
pub const JWT_FILE: &str = "secrets/jwt/hmac";
/// The file of Redis' password.
pub const REDIS_PASSWORD_FILE: &str = "secrets/redis/password";

/// The file of the JWKS document.
pub const JWKS_FILE: &str = "secrets/jwt/jwks.json";
/// The file of the certificate that clients are shown.
pub const TLS_CERT_FILE: &str = "secrets/tls/tls.crt";
/// The file of its private key.
pub const TLS_KEY_FILE: &str = "secrets/tls/tls.key";

/// The file of a key of the server API.
pub fn api_key_file(index: usize) -> String {
    format!("secrets/api-keys/{index}")
}

/// The file of the secret that signs the requests of a webhook.
pub fn webhook_secret_file(place: &Place) -> String {
    format!("secrets/{}/secret", place.folder)
}

/// The file of the certificates that the receiver's is verified with.
pub fn webhook_ca_file(place: &Place) -> String {
    format!("secrets/{}/ca.crt", place.folder)
}

/// The file of an entry of `auth.jwt.keys`.
pub fn jwt_key_file(index: usize) -> String {
    format!("secrets/jwt/keys/{index}")
}

/// Those of the keys of tokens that running brokers read again.
fn jwt_key_uses(spec: &BrokerClusterSpec) -> Vec<SecretUse> {
    let Some(jwt) = &spec.auth.jwt else { return Vec::new() };
    let mut uses = Vec::new();
    for (i, key) in jwt.keys.iter().enumerate() {
        let kinds = [
            ("secretRef", &key.secret_ref, Holds::SharedSecret),
            ("publicKeyRef", &key.public_key_ref, Holds::PublicKey),
        ];
        for (name, reference, holds) in kinds {
            let field = format!("spec.auth.jwt.keys[{i}].{name}");
            let reference = reference.iter();
            uses.extend(
                reference.map(|reference| SecretUse::new(field.clone(), reference, jwt_key_file(i), holds)),
            );
        }
    }
    let jwks = jwt.jwks_ref.iter();
    uses.extend(
        jwks.map(|reference| SecretUse::new("spec.auth.jwt.jwksRef", reference, JWKS_FILE, Holds::KeySet)),
    );
    uses.into_iter().map(SecretUse::read_again).collect()
}

/// Those of TLS.
fn tls_uses(spec: &BrokerClusterSpec) -> impl Iterator<Item = SecretUse> {
    let files =
        [("tls.crt", TLS_CERT_FILE, Holds::Certificates), ("tls.key", TLS_KEY_FILE, Holds::PrivateKey)];
    spec.endpoints.tls.iter().flat_map(move |tls| {
        files.map(|(key, file, holds)| {
            let reference = SecretKeyRef { name: tls.secret_name.clone(), key: key.into() };
            SecretUse::new("spec.endpoints.tls.secretName", &reference, file, holds).read_again()
        })
    })
}

/// Those of webhooks.
fn webhook_uses(spec: &BrokerClusterSpec) -> impl Iterator<Item = SecretUse> {
    webhooks(spec).flat_map(|(place, webhook)| {
        let secret = webhook.secret_ref.as_ref().map(|reference| {
            SecretUse::new(place.field("secretRef"), reference, webhook_secret_file(&place), Holds::Text)
        });
        let ca = webhook.ca_ref.as_ref().map(|reference| {
            SecretUse::new(place.field("caRef"), reference, webhook_ca_file(&place), Holds::Certificates)
        });
        secret.into_iter().chain(ca)
    })
}

/// Those that stand behind all others in the brokers' pods: a new order would be a new template, and roll the pods of every
/// cluster that has them.
pub fn further_uses(spec: &BrokerClusterSpec) -> impl Iterator<Item = SecretUse> {
    webhook_uses(spec).chain(tls_uses(spec)).chain(jwt_key_uses(spec))
}

/// All of them.
pub fn secret_uses(spec: &BrokerClusterSpec) -> Vec<SecretUse> {
    let mut uses = Vec::new();
    if let Some(secret) = spec.auth.jwt.as_ref().and_then(|jwt| jwt.hmac_secret_ref.as_ref()) {
        uses.push(SecretUse::new("spec.auth.jwt.hmacSecretRef", secret, JWT_FILE, Holds::Text));
    }
    for (i, key) in spec.auth.api_keys.iter().enumerate() {
        uses.push(SecretUse::new(format!("spec.auth.apiKeys[{i}]"), key, api_key_file(i), Holds::ApiKey));
    }
    if let Some(password) = spec.redis.external.as_ref().and_then(|redis| redis.password_secret_ref.as_ref())
    {
        let field = "spec.redis.external.passwordSecretRef";
        uses.push(SecretUse::new(field, password, REDIS_PASSWORD_FILE, Holds::Text));
    }
    uses.extend(further_uses(spec));
    uses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::BrokerCluster;
    use std::collections::BTreeSet;

    /// A cluster that has every field.
    const EVERYTHING: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/everything/cluster.yaml"));

    #[test]
    fn each_has_a_file_of_its_own_and_only_some_are_read_again() {
        let cluster: BrokerCluster = serde_yaml::from_str(EVERYTHING).unwrap();
        let uses = secret_uses(&cluster.spec);
        let files: BTreeSet<_> = uses.iter().map(|used| &used.file).collect();
        assert_eq!(files.len(), uses.len(), "{files:?}");
        let fields = |again: bool| {
            let uses = uses.iter().filter(|used| used.read_again == again);
            uses.map(|used| used.field.trim_start_matches("spec.")).collect::<Vec<_>>()
        };
        let at_the_start = [
            "auth.jwt.hmacSecretRef",
            "auth.apiKeys[0]",
            "auth.apiKeys[1]",
            "logic.modules[2].webhook.secretRef",
            "logic.modules[2].webhook.caRef",
            "hooks.connect.webhook.secretRef",
            "hooks.connect.webhook.caRef",
            "hooks.publish.webhook.secretRef",
            "hooks.disconnect.webhook.secretRef",
        ];
        assert_eq!(fields(false), at_the_start);
        let again = [
            "endpoints.tls.secretName",
            "endpoints.tls.secretName",
            "auth.jwt.keys[0].publicKeyRef",
            "auth.jwt.keys[1].secretRef",
            "auth.jwt.keys[2].publicKeyRef",
            "auth.jwt.jwksRef",
        ];
        assert_eq!(fields(true), again);
    }

    #[test]
    fn what_a_broker_would_refuse_is_known() {
        assert_eq!(Holds::ApiKey.problem(b"key\n"), None);
        assert_eq!(Holds::Text.problem(b"two words"), None);
        assert_eq!(Holds::Text.problem(b"\r\n"), Some("is empty"));
        assert!(Holds::ApiKey.problem(b"two words").unwrap().contains("white space"));
        assert_eq!(Holds::Certificates.problem(b"-----BEGIN CERTIFICATE-----\nMII="), None);
        let secret = Holds::SharedSecret;
        assert_eq!(secret.problem(b"secret"), None);
        assert!(secret.problem(b"-----BEGIN PUBLIC KEY-----").unwrap().contains("publicKeyRef"));
        let public = Holds::PublicKey;
        assert_eq!(public.problem(b"-----BEGIN PUBLIC KEY-----"), None);
        assert!(public.problem(b"-----BEGIN PRIVATE KEY-----").unwrap().contains("put the public one"));
        assert!(public.problem(b"MII=").unwrap().contains("-----BEGIN PUBLIC KEY-----"));
        let set = Holds::KeySet;
        assert_eq!(set.problem(br#"{"keys": [{"kty": "oct", "k": "AA"}]}"#), None);
        assert_eq!(set.problem(b"keys:"), Some("is not JSON"));
        assert!(set.problem(b"[]").unwrap().contains("is no JWKS"));
        assert!(set.problem(br#"{"keys": [{"kty": "EC", "d": "AA"}]}"#).unwrap().contains("private key"));
        assert_eq!(Holds::PrivateKey.problem(b"-----BEGIN EC PRIVATE KEY-----"), None);
        assert!(Holds::PrivateKey.problem(b"-----BEGIN CERTIFICATE-----").unwrap().contains("private"));
        assert!(Holds::Certificates.problem(b"MII=").unwrap().contains("PEM"));
        assert!(Holds::Text.problem(b"\xff").unwrap().contains("UTF-8"));
    }
}
