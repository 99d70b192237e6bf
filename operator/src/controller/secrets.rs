//! What the operator knows of the Secrets that a cluster uses: enough to notice a change or a gap, not their content.

mod uses;

pub use uses::{
    Holds, JWKS_FILE, JWT_FILE, REDIS_PASSWORD_FILE, SecretUse, TLS_CERT_FILE, TLS_KEY_FILE, api_key_file,
    further_uses, jwt_key_file, secret_uses, webhook_ca_file, webhook_secret_file,
};

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// One key of one Secret, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It is there; a digest of its content.
    Found(String),
    /// It is there, and no broker could use it; why.
    Unusable(&'static str),
    /// The Secret has no such key; those that it has.
    NoKey(Vec<String>),
    /// There is no such Secret.
    NoSecret,
}

/// What was found for each key of a Secret that a field names, by the file that brokers find it in.
#[derive(Clone, Debug, Default)]
pub struct References(BTreeMap<String, Lookup>);

impl References {
    /// Notes what was found.
    pub fn insert(&mut self, used: &SecretUse, lookup: Lookup) {
        self.0.insert(used.file.clone(), lookup);
    }

    /// What was found; one that nobody looked up counts as absent.
    pub fn get(&self, used: &SecretUse) -> &Lookup {
        self.0.get(&used.file).unwrap_or(&Lookup::NoSecret)
    }
}

/// The secrets that the operator makes: those found in the cluster, or new ones.
#[derive(Clone)]
pub struct Generated {
    /// The managed Redis' password.
    pub redis_password: Secret,
    /// The key of the server API.
    pub api_key: Secret,
}

/// A secret value and where it comes from. It has no `Debug`, so that it cannot be logged by accident.
#[derive(Clone)]
pub struct Secret {
    /// The value.
    pub value: String,
    /// Whether it was made just now, and the object that holds it must be created.
    pub is_new: bool,
}

impl Secret {
    /// One that exists already.
    pub fn kept(value: impl Into<String>) -> Self {
        Self { value: value.into(), is_new: false }
    }

    /// A new one of 256 random bits, in characters that need no quoting anywhere.
    pub fn generate() -> Self {
        let bytes: [u8; 32] = rand::random();
        Self { value: hex(&bytes), is_new: true }
    }
}

/// A value as brokers read it from a file: without one line end.
pub fn without_line_end(value: &[u8]) -> &[u8] {
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    value.strip_suffix(b"\r").unwrap_or(value)
}

/// A short digest that tells whether something changed. Whoever may read annotations could test guesses of a weak secret
/// against it, so with a secret goes something that they cannot read: its object's UID, or a generated secret.
pub fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex(&hash.finalize()[..8])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_tell_the_parts_apart() {
        let of = |parts: &[&str]| digest(parts.iter().map(|part| part.as_bytes()));
        assert_eq!(of(&["a", "bc"]), of(&["a", "bc"]));
        assert_ne!(of(&["a", "bc"]), of(&["ab", "c"]));
        assert_eq!(of(&[]).len(), 16);
    }

    #[test]
    fn generated_secrets_are_long_and_differ() {
        let (one, two) = (Secret::generate(), Secret::generate());
        assert_eq!(one.value.len(), 64);
        assert_ne!(one.value, two.value);
        assert!(one.is_new);
    }
}
