//! Keys of the server API.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::config::Secret;

/// The keys that are accepted, as hashes: the keys themselves are not kept.
#[derive(Clone)]
pub struct ApiKeys {
    hashes: Vec<[u8; 32]>,
}

impl ApiKeys {
    /// Accepts these keys.
    pub fn new(keys: &[Secret]) -> Self {
        Self { hashes: keys.iter().map(|key| Sha256::digest(key.expose()).into()).collect() }
    }

    /// Whether this is one of the keys. How long the answer takes tells nothing about any of them: what is
    /// compared are hashes of one length, each to its end, and all of them.
    pub fn accept(&self, presented: &[u8]) -> bool {
        let hash: [u8; 32] = Sha256::digest(presented).into();
        let mut found = Choice::from(0);
        for key in &self.hashes {
            found |= key.ct_eq(&hash);
        }
        found.into()
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeys({})", self.hashes.len())
    }
}

/// The key in a request: the header `X-API-Key`, or `Authorization: apikey …`.
pub fn presented_key<'a>(x_api_key: Option<&'a [u8]>, authorization: Option<&'a [u8]>) -> Option<&'a [u8]> {
    let key = x_api_key.or_else(|| {
        let value = authorization?.trim_ascii();
        let end = value.iter().position(u8::is_ascii_whitespace)?;
        let (scheme, key) = value.split_at(end);
        scheme.eq_ignore_ascii_case(b"apikey").then_some(key)
    })?;
    let key = key.trim_ascii();
    (!key.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn accepts_each_of_its_keys_and_no_other() {
        let keys = ApiKeys::new(&["one".into(), "two".into()]);
        assert!(keys.accept(b"one") && keys.accept(b"two"));
        for other in ["", "on", "one ", "One", "onetwo"] {
            assert!(!keys.accept(other.as_bytes()), "{other:?}");
        }
        assert!(!ApiKeys::new(&[]).accept(b""));
        assert_eq!(format!("{keys:?}"), "ApiKeys(2)");
    }

    #[test]
    fn finds_the_key_in_either_header() {
        let key = |x: Option<&'static str>, authorization: Option<&'static str>| {
            presented_key(x.map(str::as_bytes), authorization.map(str::as_bytes))
        };
        assert_eq!(key(Some("k"), None), Some(b"k".as_slice()));
        assert_eq!(key(Some(" k "), Some("apikey other")), Some(b"k".as_slice()));
        assert_eq!(key(None, Some("apikey k")), Some(b"k".as_slice()));
        assert_eq!(key(None, Some("ApiKey   k ")), Some(b"k".as_slice()));
        for (x, authorization) in [
            (None, None),
            (Some(""), None),
            (Some(""), Some("apikey k")),
            (None, Some("Bearer k")),
            (None, Some("apikey")),
            (None, Some("apikey ")),
            (None, Some("apikeyk")),
            (None, Some("")),
        ] {
            assert_eq!(key(x, authorization), None, "{x:?} {authorization:?}");
        }
    }

    proptest! {
        #[test]
        fn no_header_panics(x: Option<Vec<u8>>, authorization: Option<Vec<u8>>) {
            let _ = presented_key(x.as_deref(), authorization.as_deref());
        }
    }
}
