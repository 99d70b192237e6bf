//! A key that tokens are verified with. It is read once, and then ready: verifying copies and parses nothing of it.

use std::fmt;

use aws_lc_rs::{hmac, signature::ParsedPublicKey};

mod algorithm;
pub(crate) mod jwks;
mod pem;
mod public;
#[cfg(test)]
mod tests;

pub use algorithm::Algorithm;
use public::Public;

/// A key and the one algorithm that it is used with, as
/// [RFC 8725, section 3.1](https://www.rfc-editor.org/rfc/rfc8725#section-3.1) wants it. What a token says about its
/// algorithm chooses among keys, and never how a key is used.
pub struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    method: Method,
    /// The length of a secret that is shorter than its algorithm's hash.
    short: Option<usize>,
}

enum Method {
    /// A state that is half hashed already, of more than a kilobyte.
    Secret(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

impl Key {
    /// A secret that is shared with whoever signs; for HS256 if nothing is said.
    ///
    /// # Errors
    /// When it is empty, or the algorithm is for public keys.
    pub fn of_secret(
        id: Option<String>,
        algorithm: Option<Algorithm>,
        secret: &[u8],
    ) -> Result<Self, String> {
        let algorithm = algorithm.unwrap_or(Algorithm::Hs256);
        let Some(method) = algorithm.hmac() else {
            return Err(format!("{algorithm} is for public keys; a secret is for HS256, HS384 or HS512"));
        };
        if secret.is_empty() {
            return Err("the secret is empty".into());
        }
        let short = (secret.len() < safe_length(method)).then_some(secret.len());
        let method = Method::Secret(Box::new(hmac::Key::new(method, secret)));
        Ok(Self { id, algorithm, method, short })
    }

    /// A public key or certificate in PEM; for the usual algorithm of its kind if nothing is said.
    ///
    /// # Errors
    /// Says what is wrong with it, without any of the text.
    pub fn of_pem(id: Option<String>, algorithm: Option<Algorithm>, pem: &str) -> Result<Self, String> {
        Self::of_public(id, algorithm, Public::of_der(&pem::public_key(pem)?))
    }

    fn of_public(
        id: Option<String>,
        algorithm: Option<Algorithm>,
        key: Result<Public, String>,
    ) -> Result<Self, String> {
        let (algorithm, key) = key?.ready(algorithm)?;
        Ok(Self { id, algorithm, method: Method::Public(key), short: None })
    }

    /// The name by which tokens choose it (`kid`).
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// What it is used with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// What is wrong with a secret that works and is not safe.
    pub fn weakness(&self) -> Option<String> {
        let (Some(length), Some(method)) = (self.short, self.algorithm.hmac()) else { return None };
        let safe = safe_length(method);
        Some(format!("has {length} bytes and can be guessed from a token; use {safe} or more"))
    }

    /// Whether this key has signed the message.
    pub(super) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.method {
            Method::Secret(key) => hmac::verify(key, message, signature).is_ok(),
            Method::Public(key) => key.verify_sig(message, signature).is_ok(),
        }
    }
}

/// A secret is to be as long as the hash ([RFC 7518, section 3.2](https://www.rfc-editor.org/rfc/rfc7518#section-3.2)).
fn safe_length(method: hmac::Algorithm) -> usize {
    method.digest_algorithm().output_len()
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the key.
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}
