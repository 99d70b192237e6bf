//! Signed tokens as they travel: the compact form of [RFC 7515](https://www.rfc-editor.org/rfc/rfc7515#section-7.1).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::AuthError;
use super::key::Algorithm;
use super::key_set::{KeySet, NoKey};

const UNREADABLE: AuthError = AuthError::Invalid("it cannot be read");

/// What a token says about its signature; all else is passed over, above all keys that it brings along.
#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<IgnoredAny>,
}

/// What was signed, a JSON object, of a token that one of the keys has signed.
///
/// # Errors
/// [`AuthError::Invalid`] for every other text.
pub(super) fn payload(token: &str, keys: &KeySet) -> Result<Vec<u8>, AuthError> {
    let (message, signature) = token.rsplit_once('.').ok_or(UNREADABLE)?;
    let (header, payload) = message.split_once('.').ok_or(UNREADABLE)?;
    let header: Header = serde_json::from_slice(&object(header)?).map_err(|_| UNREADABLE)?;
    if header.crit.is_some() {
        // What has to be understood, and is not, must be refused (RFC 7515, section 4.1.11).
        return Err(AuthError::Invalid("it wants an extension that this broker does not know"));
    }
    let algorithm = Algorithm::named(&header.alg).ok_or(NoKey::Algorithm)?;
    let mut candidates = keys.candidates(header.kid.as_deref(), algorithm)?;
    let signature = decode(signature)?;
    if !candidates.any(|key| key.has_signed(message.as_bytes(), &signature)) {
        return Err(AuthError::Invalid("its signature is not ours"));
    }
    object(payload)
}

/// A part that is JSON and no list: serde would read the values of one as those of an object's members.
fn object(part: &str) -> Result<Vec<u8>, AuthError> {
    let text = decode(part)?;
    if text.trim_ascii_start().starts_with(b"{") { Ok(text) } else { Err(UNREADABLE) }
}

fn decode(part: &str) -> Result<Vec<u8>, AuthError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| UNREADABLE)
}

impl From<NoKey> for AuthError {
    fn from(why: NoKey) -> Self {
        Self::Invalid(match why {
            NoKey::Empty => "this broker has no key to verify tokens with",
            NoKey::NamedForAnother => "the key that it names is used with another algorithm",
            NoKey::Algorithm => "no key here is used with its algorithm",
        })
    }
}

#[cfg(test)]
mod tests;
