//! What clients show to say who they are, and the documents that it is checked with.

use std::sync::LazyLock;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::value::RawValue;

use super::{Authenticator, Key, KeySet, key::jwks};
use crate::config::Auth;

const SECRET: &[u8] = b"of nobody, and long enough that it could be somebody's";

/// Seconds since 1970; any will do.
const NOW: u64 = 1_800_000_000;

static AUTHENTICATOR: LazyLock<Authenticator> = LazyLock::new(|| {
    let key = Key::of_secret(None, None, SECRET).expect("a secret is a key");
    Authenticator::new(&Auth::default(), KeySet::new(vec![key]))
});

/// Tokens: the input as one, as the claims of one that is signed, and, if it has two lines, as header and claims.
pub(crate) fn tokens(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(AUTHENTICATOR.connect(text, NOW).is_err(), "nobody has signed it");
        assert!(AUTHENTICATOR.subscribe(text, "room", "client", "ann", NOW).is_err());
    }
    signed(br#"{"alg":"HS256"}"#, bytes);
    if let Some(at) = memchr::memchr(b'\n', bytes) {
        signed(&bytes[..at], &bytes[at + 1..]);
    }
}

fn signed(header: &[u8], claims: &[u8]) {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), message.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(tag);
    let connected = AUTHENTICATOR.connect(&format!("{message}.{signature}"), NOW);
    let subscribed = AUTHENTICATOR.subscribe(&format!("{message}.{signature}"), "room", "client", "ann", NOW);
    let connected = connected.map(|identity| (identity.info, identity.expires_at));
    let subscribed = subscribed.map(|grant| (grant.info, grant.expires_at));
    for (info, expires_at) in [connected, subscribed].into_iter().flatten() {
        assert!(expires_at.is_none_or(|end| end > NOW), "who is let in is in time");
        let Some(info) = info else { continue };
        assert!(!info.contains(&b'\n') && !info.contains(&b'\r'), "it stands in a line");
        assert!(serde_json::from_slice::<&RawValue>(&info).is_ok());
    }
    // With one bit of the signature changed it is nobody's.
    let mut tag = tag.as_ref().to_vec();
    tag[0] ^= 1;
    let forged = format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag));
    assert!(AUTHENTICATOR.connect(&forged, NOW).is_err());
}

/// Sets of keys in JSON, and keys in PEM.
pub(crate) fn keys(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match jwks::read(text) {
        Ok(document) => assert!(document.keys.len() + document.passed_over.len() <= text.len()),
        Err(why) => assert!(!why.is_empty()),
    }
    if let Err(why) = Key::of_pem(None, None, text) {
        assert!(!why.is_empty());
    }
}
