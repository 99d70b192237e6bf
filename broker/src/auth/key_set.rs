//! All keys that tokens are verified with.

use std::collections::BTreeMap;
use std::fmt;

use super::key::{Algorithm, Key};

/// With how many keys a token is tried, so that a bad one costs little. It takes a key by name, and so one try, where
/// tokens and keys have names.
pub(crate) const TRIES: usize = 8;

/// Keys, in the order in which they are tried.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

/// Why no key can have signed a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    /// There is none at all.
    Empty,
    /// The key that the token names is used with another algorithm.
    NamedForAnother,
    /// None is used with its algorithm.
    Algorithm,
}

impl KeySet {
    /// A set of these keys.
    pub fn new(keys: Vec<Key>) -> Self {
        Self { keys }
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none: then no token is accepted.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether a key of this name, or of none, is used with this algorithm.
    pub(crate) fn has(&self, id: Option<&str>, algorithm: Algorithm) -> bool {
        self.keys.iter().any(|key| key.id() == id && key.algorithm() == algorithm)
    }

    /// Adds a key, to be tried after the others.
    pub(crate) fn push(&mut self, key: Key) {
        self.keys.push(key);
    }

    /// How many keys each algorithm has.
    pub(crate) fn by_algorithm(&self) -> BTreeMap<Algorithm, usize> {
        let mut counts = BTreeMap::new();
        for key in &self.keys {
            *counts.entry(key.algorithm()).or_default() += 1;
        }
        counts
    }

    /// The keys that may have signed a token of this header: those that it names, or all when it names none of them,
    /// and of these the ones that are used with its algorithm.
    pub(super) fn candidates(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<impl Iterator<Item = &Key>, NoKey> {
        let named = id.is_some() && self.keys.iter().any(|key| key.id() == id);
        let fits = move |key: &&Key| (!named || key.id() == id) && key.algorithm() == algorithm;
        if !self.keys.iter().any(|key| fits(&key)) {
            return Err(match named {
                _ if self.is_empty() => NoKey::Empty,
                true => NoKey::NamedForAnother,
                false => NoKey::Algorithm,
            });
        }
        Ok(self.keys.iter().filter(fits).take(TRIES))
    }
}

/// How many keys of which algorithms, and nothing else of them.
impl fmt::Display for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.len() {
            0 => return f.write_str("no key"),
            1 => f.write_str("1 key: ")?,
            n => write!(f, "{n} keys: ")?,
        }
        for (i, algorithm) in self.by_algorithm().into_keys().enumerate() {
            write!(f, "{}{algorithm}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
