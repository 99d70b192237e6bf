//! Sets of keys in JSON: [RFC 7517](https://www.rfc-editor.org/rfc/rfc7517), with the members of
//! [RFC 7518, section 6](https://www.rfc-editor.org/rfc/rfc7518#section-6) and
//! [RFC 8037](https://www.rfc-editor.org/rfc/rfc8037).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::pem::PRIVATE;
use super::public::{Kind, Public};
use super::{Algorithm, Key};

/// What a document holds.
#[derive(Debug, Default)]
pub(crate) struct Document {
    /// The keys that tokens can be verified with, in their order.
    pub(crate) keys: Vec<Key>,
    /// A line for each key that should perhaps have been one of them.
    pub(crate) passed_over: Vec<String>,
}

/// Why a key is not one of those that tokens are verified with.
enum Other {
    /// It is there for something else.
    Purpose,
    /// It is of a kind that is not known here, or broken: it is passed over, as section 5 of RFC 7517 wants it.
    Unusable(String),
    /// It should not be here at all.
    Private,
}

/// Reads a document.
///
/// # Errors
/// When it is not one, or has a private key: where, and what is wrong. Values are never told, they may be secrets.
pub(crate) fn read(text: &str) -> Result<Document, String> {
    let document: Value = serde_json::from_str(text).map_err(|error| format!("not valid JSON: {error}"))?;
    let Some(keys) = document.get("keys") else {
        return Err("not a JWKS: it has no member \"keys\"; write {\"keys\": [ … ]}".into());
    };
    let Some(keys) = keys.as_array() else {
        return Err("not a JWKS: \"keys\" is not a list".into());
    };
    let mut document = Document::default();
    for (i, jwk) in keys.iter().enumerate() {
        let Some(jwk) = jwk.as_object() else {
            return Err(format!("not a JWKS: keys[{i}] is not an object"));
        };
        let place = match jwk.get("kid").and_then(Value::as_str) {
            Some(id) => format!("keys[{i}] ({id:?})"),
            None => format!("keys[{i}]"),
        };
        match read_key(jwk) {
            Ok(key) => document.keys.push(key),
            Err(Other::Purpose) => {}
            Err(Other::Unusable(why)) => document.passed_over.push(format!("{place} is passed over: {why}")),
            Err(Other::Private) => return Err(format!("{place}: {PRIVATE}")),
        }
    }
    Ok(document)
}

fn read_key(jwk: &Map<String, Value>) -> Result<Key, Other> {
    // In all kinds but `oct`, where `k` is the whole key, `d` is the private part.
    if jwk.contains_key("d") {
        return Err(Other::Private);
    }
    if !is_for_verifying(jwk)? {
        return Err(Other::Purpose);
    }
    let id = text(jwk, "kid")?.map(str::to_owned);
    let algorithm = match text(jwk, "alg")? {
        None => None,
        Some(name) => Some(Algorithm::named(name).ok_or_else(|| {
            Other::Unusable(format!("the algorithm {name:?} is not one that tokens are signed with here"))
        })?),
    };
    let key = match needed(jwk, "kty")? {
        "oct" => Key::of_secret(id, algorithm, &bytes(jwk, "k")?),
        "RSA" => Key::of_public(id, algorithm, Public::of_rsa(&bytes(jwk, "n")?, &bytes(jwk, "e")?)),
        "EC" => {
            let kind = match needed(jwk, "crv")? {
                "P-256" => Kind::P256,
                "P-384" => Kind::P384,
                "P-521" => Kind::P521,
                other => return Err(unknown_curve(other)),
            };
            let point = Public::of_point(kind, &bytes(jwk, "x")?, &bytes(jwk, "y")?);
            Key::of_public(id, algorithm, point)
        }
        "OKP" => match needed(jwk, "crv")? {
            "Ed25519" => Key::of_public(id, algorithm, Public::of_ed25519(&bytes(jwk, "x")?)),
            other => return Err(unknown_curve(other)),
        },
        other => return Err(Other::Unusable(format!("the kind {other:?} (kty) is not known"))),
    };
    key.map_err(Other::Unusable)
}

/// Whether a key is there to verify signatures, as far as it says (RFC 7517, sections 4.2 and 4.3).
fn is_for_verifying(jwk: &Map<String, Value>) -> Result<bool, Other> {
    let for_signatures = text(jwk, "use")?.is_none_or(|purpose| purpose == "sig");
    let operations = jwk.get("key_ops").and_then(Value::as_array);
    let for_verifying = operations.is_none_or(|operations| operations.iter().any(|one| one == "verify"));
    Ok(for_signatures && for_verifying)
}

fn unknown_curve(name: &str) -> Other {
    Other::Unusable(format!("the curve {name:?} (crv) is not one that tokens are signed with here"))
}

/// A member that is text, if it is there.
fn text<'a>(jwk: &'a Map<String, Value>, member: &str) -> Result<Option<&'a str>, Other> {
    match jwk.get(member) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Other::Unusable(format!("{member} is not text"))),
    }
}

fn needed<'a>(jwk: &'a Map<String, Value>, member: &str) -> Result<&'a str, Other> {
    text(jwk, member)?.ok_or_else(|| Other::Unusable(format!("it has no {member}")))
}

fn bytes(jwk: &Map<String, Value>, member: &str) -> Result<Vec<u8>, Other> {
    let text = needed(jwk, member)?;
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| Other::Unusable(format!("{member} is not base64url without padding")))
}

#[cfg(test)]
mod tests;
