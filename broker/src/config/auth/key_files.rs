//! The keys of `auth.jwt`: those that the configuration holds, and those in files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::jwt_key::Source;
use super::{Jwt, unreadable};
use crate::auth::{Key, KeySet, TRIES, key::jwks};
use crate::config::place::{ConfigError, Problem};
use crate::config::secret::Secret;

/// The largest file of keys; a hundred keys with their certificates are smaller.
const LARGEST: u64 = 256 * 1024;

/// What the files held when they were read, or why they could not be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyFiles {
    texts: BTreeMap<PathBuf, Result<Secret, String>>,
}

/// Keys, and what is probably not meant with them.
#[derive(Debug)]
pub struct JwtKeys {
    /// Ready to verify with.
    pub set: KeySet,
    /// A line for each thing.
    pub warnings: Vec<String>,
}

impl KeyFiles {
    /// Whether there is any.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    fn text(&self, path: &Path) -> Result<&Secret, String> {
        match self.texts.get(path) {
            Some(Ok(text)) => Ok(text),
            Some(Err(why)) => Err(why.clone()),
            None => Err("it was not read".into()),
        }
    }
}

impl Jwt {
    /// Reads the files of keys as they are now.
    pub fn read_files(&self) -> KeyFiles {
        KeyFiles { texts: self.files().map(|path| (path.to_owned(), read(path))).collect() }
    }

    /// The keys of the configuration and of these files.
    ///
    /// # Errors
    /// All that cannot be used, each with its setting, its file and the place in it.
    pub fn keys_of(&self, files: &KeyFiles) -> Result<JwtKeys, ConfigError> {
        let mut reading = Reading::default();
        if let Some(secret) = &self.hmac_secret {
            // Its length has a warning of its own.
            match Key::of_secret(None, None, secret.expose().as_bytes()) {
                Ok(key) => reading.set.push(key),
                Err(why) => reading.problems.push(Problem::of("auth.jwt.hmac_secret", why)),
            }
        }
        for (i, entry) in self.keys.iter().enumerate() {
            // An entry that holds none, or several, is told of when the configuration is checked.
            let Some((field, source)) = entry.source() else { continue };
            let setting = format!("auth.jwt.keys[{i}].{field}");
            match source {
                Source::Text(text) => match entry.key(text) {
                    Ok(key) => reading.add(key, &setting),
                    Err(why) => reading.problems.push(Problem::of(setting, why)),
                },
                Source::File(path) => match files.text(path).and_then(|text| entry.key(text)) {
                    Ok(key) => reading.add(key, &setting),
                    Err(why) => reading.problems.push(unreadable(&setting, path, &why)),
                },
            }
        }
        if let Some(path) = &self.jwks_file {
            match files.text(path).and_then(|text| jwks::read(text.expose())) {
                Ok(document) => reading.add_document(document, path),
                Err(why) => reading.problems.push(unreadable(JWKS, path, &why)),
            }
        }
        reading.end()
    }

    /// The keys of the configuration and of the files as they are now.
    ///
    /// # Errors
    /// As [`Jwt::keys_of`].
    pub fn read_keys(&self) -> Result<JwtKeys, ConfigError> {
        self.keys_of(&self.read_files())
    }
}

const JWKS: &str = "auth.jwt.jwks_file";

/// The keys so far.
#[derive(Default)]
struct Reading {
    set: KeySet,
    warnings: Vec<String>,
    problems: Vec<Problem>,
}

impl Reading {
    fn add(&mut self, key: Key, place: &str) {
        self.warnings.extend(key.weakness().map(|what| format!("{place} {what}")));
        self.set.push(key);
    }

    fn add_document(&mut self, document: jwks::Document, path: &Path) {
        let place = format!("{JWKS} {}", path.display());
        self.warnings.extend(document.passed_over.iter().map(|line| format!("{place}: {line}")));
        if document.keys.is_empty() {
            self.warnings.push(format!("{place}: it holds no key that tokens can be verified with"));
        }
        for key in document.keys {
            // One key may have a name in common with another of a different kind (RFC 7517, section 4.5).
            if let Some(id) = key.id()
                && self.set.has(Some(id), key.algorithm())
            {
                let why =
                    format!("the id {id:?} is given twice for {}; give each key its own", key.algorithm());
                self.problems.push(unreadable(JWKS, path, &why));
                continue;
            }
            let place = key.id().map_or_else(|| place.clone(), |id| format!("{place}: the key {id:?}"));
            self.add(key, &place);
        }
    }

    fn end(mut self) -> Result<JwtKeys, ConfigError> {
        ConfigError::unless_empty(self.problems)?;
        for (algorithm, count) in self.set.by_algorithm().into_iter().filter(|(_, count)| *count > TRIES) {
            self.warnings.push(format!(
                "auth.jwt has {count} keys for {algorithm}, and a token that names none of them (kid) is tried with the first {TRIES} only; give keys an id and tokens a kid"
            ));
        }
        Ok(JwtKeys { set: self.set, warnings: self.warnings })
    }
}

fn read(path: &Path) -> Result<Secret, String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if metadata.len() > LARGEST {
        return Err(format!("it is larger than {} KiB", LARGEST / 1024));
    }
    Secret::read(path)
}

#[cfg(test)]
mod tests;
