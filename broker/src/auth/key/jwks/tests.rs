use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::auth::testing::{SECRET, Signer, encode};
use crate::auth::{AuthError, KeySet, signed};

fn document(keys: &[Value]) -> Document {
    read(&json!({"keys": keys}).to_string()).unwrap()
}

/// The only key of a document, and that nothing was passed over.
fn only(jwk: Value) -> Key {
    let mut document = document(std::slice::from_ref(&jwk));
    assert_eq!(document.passed_over, Vec::<String>::new(), "{jwk}");
    assert_eq!(document.keys.len(), 1, "{jwk}");
    document.keys.remove(0)
}

/// What is said about a key that is passed over.
fn passed_over(jwk: &Value) -> String {
    let document = document(std::slice::from_ref(jwk));
    assert!(document.keys.is_empty(), "{jwk}");
    document.passed_over.join("\n")
}

fn accepts(keys: Vec<Key>, token: &str) -> Result<(), AuthError> {
    signed::payload(token, &KeySet::new(keys)).map(|_| ())
}

#[test]
fn keys_of_every_kind_verify() {
    let secret = Signer::secret(SECRET.as_bytes());
    let (p256, p384, p521) = (Signer::p256(), Signer::p384(), Signer::p521());
    let ed25519 = Signer::ed25519();
    for (signer, algorithm, usual) in [
        (&secret, Algorithm::Hs256, true),
        (&secret, Algorithm::Hs512, false),
        (Signer::rsa(), Algorithm::Rs256, true),
        (Signer::rsa(), Algorithm::Rs512, false),
        (Signer::rsa(), Algorithm::Ps256, false),
        (&p256, Algorithm::Es256, true),
        (&p384, Algorithm::Es384, true),
        (&p521, Algorithm::Es512, true),
        (&ed25519, Algorithm::EdDsa, true),
    ] {
        let token = signer.token_of("a", algorithm, &json!({}));
        let named = only(signer.jwk(json!({"kid": "a", "alg": algorithm.name(), "use": "sig", "x5t": "…"})));
        assert_eq!((named.id(), named.algorithm()), (Some("a"), algorithm));
        assert_eq!(accepts(vec![named], &token), Ok(()), "{algorithm}");
        let unnamed = only(signer.jwk(json!({})));
        assert_eq!(unnamed.id(), None);
        assert_eq!(accepts(vec![unnamed], &token).is_ok(), usual, "{algorithm}");
    }
}

#[test]
fn the_example_of_the_standard_is_read() {
    // RFC 7517, appendix A.1: the second key is for signatures, the first one is not.
    let text = r#"{"keys":
       [
         {"kty":"EC",
          "crv":"P-256",
          "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
          "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
          "use":"enc",
          "kid":"1"},

         {"kty":"RSA",
          "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
          "e":"AQAB",
          "alg":"RS256",
          "kid":"2011-04-29"}
       ]
     }"#;
    let document = read(text).unwrap();
    assert_eq!(document.passed_over, Vec::<String>::new());
    let keys: Vec<_> = document.keys.iter().map(|key| (key.id(), key.algorithm())).collect();
    assert_eq!(keys, [(Some("2011-04-29"), Algorithm::Rs256)]);
}

#[test]
fn keys_for_something_else_are_passed_over_in_silence() {
    let signer = Signer::p256();
    for more in [
        json!({"use": "enc"}),
        json!({"use": "enc", "alg": "ECDH-ES"}),
        json!({"key_ops": ["deriveKey"]}),
        json!({"use": "sig", "key_ops": []}),
    ] {
        assert_eq!(passed_over(&signer.jwk(more.clone())), "", "{more}");
    }
    only(signer.jwk(json!({"key_ops": ["sign", "verify"]})));
}

#[test]
fn keys_that_cannot_be_used_are_passed_over_with_a_word() {
    let (p256, ed25519) = (Signer::p256(), Signer::ed25519());
    let rsa = |n: &str| json!({"kty": "RSA", "kid": "a", "n": n, "e": "AQAB"});
    let point = |x: &str| p256.jwk(json!({"x": x}));
    for (jwk, says) in [
        (json!({}), "it has no kty"),
        (json!({"kty": 7}), "kty is not text"),
        (json!({"kty": "AKP"}), "the kind \"AKP\" (kty) is not known"),
        (json!({"kty": "EC", "crv": "secp256k1"}), "the curve \"secp256k1\" (crv)"),
        (json!({"kty": "OKP", "crv": "X25519", "x": "AA"}), "the curve \"X25519\" (crv)"),
        (p256.jwk(json!({"alg": "ES256K"})), "the algorithm \"ES256K\" is not one"),
        (p256.jwk(json!({"alg": "none"})), "the algorithm \"none\" is not one"),
        (p256.jwk(json!({"alg": "HS256"})), "HS256 does not fit a P-256 key"),
        (p256.jwk(json!({"kid": 1})), "kid is not text"),
        (json!({"kty": "EC", "crv": "P-256", "x": "AA"}), "it has no y"),
        (point("AA=="), "x is not base64url without padding"),
        (point("AA"), "x and y of a P-256 key have 32 bytes each"),
        (point(&encode([7; 32])), "its numbers make no point of a P-256 key"),
        (ed25519.jwk(json!({"x": "AA"})), "x of an Ed25519 key has 32 bytes"),
        (json!({"kty": "RSA", "e": "AQAB"}), "it has no n"),
        (rsa(&encode([0xff; 128])), "not safe; use one of 2048 to 8192 bits"),
        (rsa(&encode([0; 256])), "n and e make no RSA key"),
        (rsa(""), "n and e make no RSA key"),
        (json!({"kty": "oct"}), "it has no k"),
        (json!({"kty": "oct", "k": ""}), "the secret is empty"),
        (json!({"kty": "oct", "k": "AAAA", "alg": "RS256"}), "RS256 is for public keys"),
    ] {
        let line = passed_over(&jwk);
        assert!(line.starts_with("keys[0]") && line.contains(says), "{jwk}: {line}");
    }
    assert!(passed_over(&rsa("")).starts_with("keys[0] (\"a\") is passed over: "));

    // And the others count.
    let document = document(&[json!({"kty": "AKP"}), p256.jwk(json!({}))]);
    assert_eq!((document.keys.len(), document.passed_over.len()), (1, 1));
}

#[test]
fn a_zero_in_front_of_the_modulus_does_no_harm() {
    let jwk = Signer::rsa().jwk(json!({}));
    let modulus = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    let padded = Signer::rsa().jwk(json!({"n": encode([vec![0], modulus].concat())}));
    let token = Signer::rsa().token(Algorithm::Rs256, &json!({}));
    assert_eq!(accepts(vec![only(padded)], &token), Ok(()));
}

#[test]
fn a_private_key_refuses_the_document() {
    let keys = [Signer::p256().jwk(json!({})), Signer::p384().jwk(json!({"kid": "b", "d": "AA"}))];
    let error = read(&json!({"keys": keys}).to_string()).unwrap_err();
    assert_eq!(error, "keys[1] (\"b\"): this is a private key; give the broker the public one");
}

#[test]
fn a_text_that_is_no_document_is_refused_at_its_place() {
    for (text, says) in [
        ("", "not valid JSON: EOF while parsing a value at line 1 column 0"),
        ("{\"keys\": [\n{\"kty\"}]}", "not valid JSON: expected `:` at line 2 column 7"),
        ("[]", "not a JWKS: it has no member \"keys\""),
        ("{\"kty\": \"EC\"}", "not a JWKS: it has no member \"keys\""),
        ("{\"keys\": {}}", "not a JWKS: \"keys\" is not a list"),
        ("{\"keys\": [7]}", "not a JWKS: keys[0] is not an object"),
        ("-----BEGIN PUBLIC KEY-----", "not valid JSON"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.starts_with(says), "{text}: {error}");
    }
    assert_eq!(read("{\"keys\": []}").unwrap().keys.len(), 0);
}

#[test]
fn a_value_is_in_no_error_and_no_warning() {
    for jwk in [
        json!({"kty": "oct", "k": 48151623}),
        json!({"kty": "oct", "k": "48151623=="}),
        json!({"kty": "oct", "k": ["48151623"]}),
        json!({"kty": "oct", "k": "48151623", "alg": "RS256"}),
        json!({"kty": "RSA", "n": "48151623", "e": "48151623", "d": "48151623"}),
    ] {
        let told = match read(&json!({"keys": [jwk]}).to_string()) {
            Ok(document) => document.passed_over.join("\n"),
            Err(error) => error,
        };
        assert!(!told.is_empty() && !told.contains("4815"), "{told}");
    }
    for text in ["{\"keys\": [{\"k\": \"4815162342\" 4815162342}]}", "\"4815162342", "4815162342"] {
        let error = read(text).unwrap_err();
        assert!(!error.contains("4815"), "{error}");
    }
}

proptest! {
    #[test]
    fn no_document_panics(text: String, kty in "(oct|RSA|EC|OKP)", crv in "(P-256|P-384|P-521|Ed25519)", one in "[A-Za-z0-9_-]{0,90}", two in "[A-Za-z0-9_-]{0,90}") {
        let _ = read(&text);
        let jwk = json!({"kty": kty, "crv": crv, "k": one, "n": one, "e": two, "x": one, "y": two, "kid": text});
        let _ = document(&[jwk]);
    }

    #[test]
    fn a_changed_key_verifies_nothing(at: prop::sample::Index, bits in 1u8..) {
        let signer = Signer::p256();
        let token = signer.token(Algorithm::Es256, &json!({}));
        let mut text = json!({"keys": [signer.jwk(json!({}))]}).to_string().into_bytes();
        let at = at.index(text.len());
        text[at] ^= bits;
        if let Ok(document) = read(&String::from_utf8_lossy(&text)) {
            prop_assert!(accepts(document.keys, &token).is_err());
        }
    }
}
