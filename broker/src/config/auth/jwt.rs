//! `auth.jwt`: how tokens are verified.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{JwtKey, SAFE_SECRET, check_file, unreadable};
use crate::config::place::Problem;
use crate::config::secret::Secret;

/// How tokens are verified. With several keys, a token is good when one of them has signed it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Jwt {
    /// The secret of HS256 tokens.
    pub hmac_secret: Option<Secret>,
    /// A file that holds the secret of HS256 tokens; read once, at the start.
    pub hmac_secret_file: Option<PathBuf>,
    /// Secrets and public keys. Those in files are read again when the files change.
    pub keys: Vec<JwtKey>,
    /// A file with a set of keys in JSON (JWKS), which is read again when it changes.
    pub jwks_file: Option<PathBuf>,
    /// When given, a token's `aud` must name it.
    pub audience: Option<String>,
    /// When given, a token's `iss` must be it.
    pub issuer: Option<String>,
}

impl Jwt {
    /// Whether a key is given, so that tokens can be verified.
    pub fn enabled(&self) -> bool {
        self.hmac_secret.is_some()
            || self.hmac_secret_file.is_some()
            || !self.keys.is_empty()
            || self.jwks_file.is_some()
    }

    /// The files that are read again when they change.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.keys.iter().filter_map(JwtKey::file).chain(self.jwks_file.as_deref())
    }

    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        if self.hmac_secret.is_some() && self.hmac_secret_file.is_some() {
            problems.push(Problem::of(
                "auth.jwt.hmac_secret_file",
                "hmac_secret is given too; keep one of the two",
            ));
        }
        if self.hmac_secret.as_ref().is_some_and(|secret| secret.expose().is_empty()) {
            problems.push(Problem::of(
                "auth.jwt.hmac_secret",
                format!("is empty; write at least {SAFE_SECRET} characters, or null for no tokens"),
            ));
        }
        check_file("auth.jwt.hmac_secret_file", self.hmac_secret_file.as_ref(), problems);
        let mut ids = HashSet::new();
        for (i, key) in self.keys.iter().enumerate() {
            key.check(&format!("auth.jwt.keys[{i}]"), problems);
            if let Some(id) = key.id.as_deref().filter(|id| !ids.insert(*id)) {
                problems.push(Problem::of(
                    format!("auth.jwt.keys[{i}].id"),
                    format!("the id {id:?} is given twice; give each key its own, or none"),
                ));
            }
        }
        check_file("auth.jwt.jwks_file", self.jwks_file.as_ref(), problems);
        for (key, value) in [("audience", &self.audience), ("issuer", &self.issuer)] {
            if value.as_ref().is_some_and(String::is_empty) {
                problems.push(Problem::of(format!("auth.jwt.{key}"), "is empty; write null to accept any"));
            }
        }
    }

    /// Puts what the file of the old secret holds in its place, and looks whether the keys' files can be used. These
    /// stay as they are: the running broker reads them again.
    pub(super) fn resolve(&mut self, problems: &mut Vec<Problem>) {
        if let Some(path) = &self.hmac_secret_file {
            match Secret::read(path) {
                Ok(secret) => {
                    self.hmac_secret = Some(secret);
                    self.hmac_secret_file = None;
                }
                Err(why) => problems.push(unreadable("auth.jwt.hmac_secret_file", path, &why)),
            }
        }
        if let Err(error) = self.read_keys() {
            problems.extend(error.problems);
        }
    }
}
