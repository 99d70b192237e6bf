//! Every key of a Secret that a spec names: by which field, what it has to hold, and where brokers find it.

use super::without_line_end;
use crate::crd::{BrokerClusterSpec, SecretKeyRef};

/// What a key of a Secret has to hold. What a broker would refuse at its start is refused here, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Any text.
    Text,
    /// A key of the server API.
    ApiKey,
    /// Certificates in PEM.
    Certificates,
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
        }
    }
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
}

impl SecretUse {
    fn new(
        field: impl Into<String>,
        reference: &SecretKeyRef,
        file: impl Into<String>,
        holds: Holds,
    ) -> Self {
        Self { field: field.into(), reference: reference.clone(), file: file.into(), holds }
    }
}

/// The file of the secret that signs tokens.
pub const JWT_FILE: &str = "secrets/jwt/hmac";
/// The file of Redis' password.
pub const REDIS_PASSWORD_FILE: &str = "secrets/redis/password";

/// The file of a key of the server API.
pub fn api_key_file(index: usize) -> String {
    format!("secrets/api-keys/{index}")
}

/// The file of the secret that signs the requests of a module's webhook.
pub fn webhook_secret_file(module: usize) -> String {
    format!("secrets/webhooks/{module}/secret")
}

/// The file of the certificates that the receiver's is verified with.
pub fn webhook_ca_file(module: usize) -> String {
    format!("secrets/webhooks/{module}/ca.crt")
}

/// Those of webhooks.
pub fn webhook_uses(spec: &BrokerClusterSpec) -> impl Iterator<Item = SecretUse> {
    let webhooks = spec.logic.modules.iter().enumerate();
    webhooks.filter_map(|(i, module)| Some((i, module.webhook.as_ref()?))).flat_map(|(i, webhook)| {
        let field = |name: &str| format!("spec.logic.modules[{i}].webhook.{name}");
        let secret = webhook.secret_ref.as_ref().map(|reference| {
            SecretUse::new(field("secretRef"), reference, webhook_secret_file(i), Holds::Text)
        });
        let ca = webhook.ca_ref.as_ref().map(|reference| {
            SecretUse::new(field("caRef"), reference, webhook_ca_file(i), Holds::Certificates)
        });
        secret.into_iter().chain(ca)
    })
}

/// All of them.
pub fn secret_uses(spec: &BrokerClusterSpec) -> Vec<SecretUse> {
    let mut uses = Vec::new();
    if let Some(jwt) = &spec.auth.jwt {
        uses.push(SecretUse::new("spec.auth.jwt.hmacSecretRef", &jwt.hmac_secret_ref, JWT_FILE, Holds::Text));
    }
    for (i, key) in spec.auth.api_keys.iter().enumerate() {
        uses.push(SecretUse::new(format!("spec.auth.apiKeys[{i}]"), key, api_key_file(i), Holds::ApiKey));
    }
    if let Some(password) = spec.redis.external.as_ref().and_then(|redis| redis.password_secret_ref.as_ref())
    {
        let field = "spec.redis.external.passwordSecretRef";
        uses.push(SecretUse::new(field, password, REDIS_PASSWORD_FILE, Holds::Text));
    }
    uses.extend(webhook_uses(spec));
    uses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_broker_would_refuse_is_known() {
        assert_eq!(Holds::ApiKey.problem(b"key\n"), None);
        assert_eq!(Holds::Text.problem(b"two words"), None);
        assert_eq!(Holds::Text.problem(b"\r\n"), Some("is empty"));
        assert!(Holds::ApiKey.problem(b"two words").unwrap().contains("white space"));
        assert_eq!(Holds::Certificates.problem(b"-----BEGIN CERTIFICATE-----\nMII="), None);
        assert!(Holds::Certificates.problem(b"MII=").unwrap().contains("PEM"));
        assert!(Holds::Text.problem(b"\xff").unwrap().contains("UTF-8"));
    }
}
