//! `auth`: who may connect, and who may use the server API.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::place::Problem;
use super::secret::Secret;

mod jwt;
mod jwt_key;
mod key_files;

pub use jwt::Jwt;
pub use jwt_key::JwtKey;
pub use key_files::{JwtKeys, KeyFiles};

/// HS256 wants a key as long as its hash; a shorter one can be guessed from a single token.
pub(super) const SAFE_SECRET: usize = 32;

/// Who may connect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// Whether clients may connect without a token.
    pub anonymous: bool,
    /// How tokens are verified; without a key no token is accepted.
    pub jwt: Jwt,
    /// Keys of the server API.
    pub api_keys: Vec<Secret>,
    /// Files that hold one key of the server API each.
    pub api_key_files: Vec<PathBuf>,
}

impl Auth {
    /// Whether the server API has a key, so that it can be used at all.
    pub fn has_api_key(&self) -> bool {
        !self.api_keys.is_empty() || !self.api_key_files.is_empty()
    }

    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        self.jwt.check(problems);
        for (i, key) in self.api_keys.iter().enumerate() {
            if key.expose().is_empty() || key.expose().chars().any(char::is_whitespace) {
                problems.push(Problem::of(
                    format!("auth.api_keys[{i}]"),
                    "a key must not be empty or hold white space, or no HTTP header can carry it",
                ));
            }
        }
        for (i, file) in self.api_key_files.iter().enumerate() {
            check_file(&format!("auth.api_key_files[{i}]"), Some(file), problems);
        }
    }

    /// Replaces the files by what they hold. Errors name the setting and the file, never the content.
    pub(super) fn resolve(&mut self, problems: &mut Vec<Problem>) {
        self.jwt.resolve(problems);
        let files = std::mem::take(&mut self.api_key_files);
        for (i, path) in files.iter().enumerate() {
            let key = format!("auth.api_key_files[{i}]");
            match Secret::read(path) {
                Ok(secret) if secret.expose().chars().any(char::is_whitespace) => {
                    problems.push(unreadable(&key, path, "it holds white space; one file holds one key"));
                }
                Ok(secret) => self.api_keys.push(secret),
                Err(why) => problems.push(unreadable(&key, path, &why)),
            }
        }
    }
}

/// The file of a secret must be named, if it is given at all.
pub(super) fn check_file(key: &str, path: Option<&PathBuf>, problems: &mut Vec<Problem>) {
    if path.is_some_and(|path| path.as_os_str().is_empty()) {
        problems.push(Problem::of(key, "is empty; write the path of a file"));
    }
}

/// A secret's file that cannot be used.
pub(super) fn unreadable(key: &str, path: &std::path::Path, why: &str) -> Problem {
    Problem::of(key, format!("cannot read {}: {why}", path.display()))
}
