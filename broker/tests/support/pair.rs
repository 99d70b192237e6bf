//! Key pairs of an application's backend, made for a test.

use aws_lc_rs::{
    encoding::AsDer,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

/// A pair for ES256 that may have a name.
pub(crate) struct Pair {
    pair: EcdsaKeyPair,
    id: Option<&'static str>,
}

impl Pair {
    /// A new pair, whose tokens and public keys have this name.
    pub(crate) fn named(id: impl Into<Option<&'static str>>) -> Self {
        Self { pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(), id: id.into() }
    }

    /// A token with these claims.
    pub(crate) fn token(&self, claims: &Value) -> String {
        let header = Header { kid: self.id.map(str::to_owned), ..Header::new(Algorithm::ES256) };
        let private = self.pair.to_pkcs8v1().unwrap();
        encode(&header, claims, &EncodingKey::from_ec_der(private.as_ref())).unwrap()
    }

    /// The public key in PEM.
    pub(crate) fn pem(&self) -> String {
        let der = self.pair.public_key().as_der().unwrap();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der.as_ref()))
    }

    /// The public key as a JWK.
    pub(crate) fn jwk(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": self.id, "use": "sig"})
    }
}

/// A JWKS document of these public keys.
pub(crate) fn jwks(pairs: &[&Pair]) -> String {
    json!({"keys": pairs.iter().map(|pair| pair.jwk()).collect::<Vec<_>>()}).to_string()
}
