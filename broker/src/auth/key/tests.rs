use jsonwebtoken::{EncodingKey, Header};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::auth::testing::{SECRET, Signer, pem};
use crate::auth::{AuthError, KeySet, signed};

/// By one RSA key's certificate, and a token that the key has signed; nobody has the key any more.
const CERTIFICATE: &str = include_str!("tests/test_certificate.pem");
const CERTIFICATES_TOKEN: &str = include_str!("tests/test_certificate.token");
/// The public key of that certificate, as PKCS #1.
const PKCS1: &str = include_str!("tests/test_pkcs1.pem");
const RSA_1024: &str = include_str!("tests/test_rsa_1024.pem");
const SECP256K1: &str = include_str!("tests/test_secp256k1.pem");

fn of_pem(algorithm: Option<Algorithm>, pem: &str) -> Result<Key, String> {
    Key::of_pem(None, algorithm, pem)
}

fn verify(key: Key, token: &str) -> Result<String, AuthError> {
    let payload = signed::payload(token, &KeySet::new(vec![key]))?;
    Ok(String::from_utf8(payload).unwrap())
}

/// A signer for each algorithm.
fn signers() -> Vec<(Algorithm, Signer)> {
    use Algorithm::*;
    let mut signers = vec![
        (Es256, Signer::p256()),
        (Es384, Signer::p384()),
        (Es512, Signer::p521()),
        (EdDsa, Signer::ed25519()),
    ];
    signers.extend([Hs256, Hs384, Hs512].map(|one| (one, Signer::secret(SECRET.as_bytes()))));
    signers
}

const RSA: [Algorithm; 6] = [
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
];

fn key_of(algorithm: Option<Algorithm>, signer: &Signer) -> Key {
    match signer {
        Signer::Secret(secret) => Key::of_secret(None, algorithm, secret).unwrap(),
        _ => of_pem(algorithm, &signer.pem()).unwrap(),
    }
}

#[test]
fn each_algorithm_verifies_what_was_signed_by_it() {
    let claims = json!({"sub": "ann"});
    let mut verified = 0;
    let rsa = RSA.map(|algorithm| (algorithm, Signer::rsa()));
    let others = signers();
    for (algorithm, signer) in rsa.into_iter().chain(others.iter().map(|(one, signer)| (*one, signer))) {
        let token = signer.token(algorithm, &claims);
        assert_eq!(verify(key_of(Some(algorithm), signer), &token), Ok(claims.to_string()), "{algorithm}");
        // One more letter, or one less, is another signature.
        for bad in [format!("{token}A"), token[..token.len() - 1].to_owned()] {
            assert!(verify(key_of(Some(algorithm), signer), &bad).is_err(), "{algorithm}");
        }
        verified += 1;
    }
    assert_eq!(verified, Algorithm::ALL.len());
}

#[test]
fn tokens_of_another_implementation_are_read() {
    use jsonwebtoken::Algorithm as Theirs;
    // Which reads RSA keys as PKCS #1: what is in the PKCS #8 behind its 26 bytes.
    let rsa = EncodingKey::from_rsa_der(&Signer::rsa().pkcs8()[26..]);
    let (p256, p384, ed25519) = (Signer::p256(), Signer::p384(), Signer::ed25519());
    let secret = Signer::secret(SECRET.as_bytes());
    let hmac = EncodingKey::from_secret(SECRET.as_bytes());
    for (theirs, ours, encoding, signer) in [
        (Theirs::HS256, Algorithm::Hs256, &hmac, &secret),
        (Theirs::HS384, Algorithm::Hs384, &hmac, &secret),
        (Theirs::HS512, Algorithm::Hs512, &hmac, &secret),
        (Theirs::RS256, Algorithm::Rs256, &rsa, Signer::rsa()),
        (Theirs::RS384, Algorithm::Rs384, &rsa, Signer::rsa()),
        (Theirs::RS512, Algorithm::Rs512, &rsa, Signer::rsa()),
        (Theirs::PS256, Algorithm::Ps256, &rsa, Signer::rsa()),
        (Theirs::PS384, Algorithm::Ps384, &rsa, Signer::rsa()),
        (Theirs::PS512, Algorithm::Ps512, &rsa, Signer::rsa()),
        (Theirs::ES256, Algorithm::Es256, &EncodingKey::from_ec_der(&p256.pkcs8()), &p256),
        (Theirs::ES384, Algorithm::Es384, &EncodingKey::from_ec_der(&p384.pkcs8()), &p384),
        (Theirs::EdDSA, Algorithm::EdDsa, &EncodingKey::from_ed_der(&ed25519.pkcs8()), &ed25519),
    ] {
        let claims = json!({"sub": "ann", "info": {"name": "Ann"}});
        let token = jsonwebtoken::encode(&Header::new(theirs), &claims, encoding).unwrap();
        assert_eq!(verify(key_of(Some(ours), signer), &token), Ok(claims.to_string()), "{ours}");
    }
}

#[test]
fn a_key_has_the_usual_algorithm_of_its_kind() {
    for (signer, algorithm) in [
        (&Signer::secret(SECRET.as_bytes()), Algorithm::Hs256),
        (Signer::rsa(), Algorithm::Rs256),
        (&Signer::p256(), Algorithm::Es256),
        (&Signer::p384(), Algorithm::Es384),
        (&Signer::p521(), Algorithm::Es512),
        (&Signer::ed25519(), Algorithm::EdDsa),
    ] {
        assert_eq!(key_of(None, signer).algorithm(), algorithm);
    }
}

#[test]
fn an_algorithm_that_does_not_fit_the_key_is_refused() {
    let rsa = Signer::rsa().pem();
    assert_eq!(
        of_pem(Some(Algorithm::Es256), &rsa).unwrap_err(),
        "ES256 does not fit an RSA key; leave the algorithm out for RS256, or write one of RS256, RS384, RS512, PS256, PS384, PS512"
    );
    let p256 = Signer::p256().pem();
    for algorithm in Algorithm::ALL.into_iter().filter(|one| *one != Algorithm::Es256) {
        assert!(of_pem(Some(algorithm), &p256).is_err(), "{algorithm}");
    }
    assert_eq!(
        Key::of_secret(None, Some(Algorithm::Rs256), b"x").unwrap_err(),
        "RS256 is for public keys; a secret is for HS256, HS384 or HS512"
    );
    assert_eq!(Key::of_secret(None, None, b"").unwrap_err(), "the secret is empty");
}

#[test]
fn a_public_key_may_be_in_a_certificate_or_in_pkcs_1() {
    let token = CERTIFICATES_TOKEN.trim();
    for text in [CERTIFICATE, PKCS1] {
        let key = of_pem(None, text).unwrap();
        assert_eq!(verify(key, token), Ok(r#"{"sub":"ann"}"#.into()));
    }
    // Text around the block, and lines that end otherwise, do no harm.
    let around = format!("subject=/CN=x\n\n{}\nend\n", CERTIFICATE.replace('\n', "\r\n"));
    assert!(of_pem(None, &around).is_ok());
}

#[test]
fn a_private_key_is_refused_whatever_it_is_written_as() {
    for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"] {
        let error = of_pem(None, &pem(label, b"whatever")).unwrap_err();
        assert_eq!(error, "this is a private key; give the broker the public one");
    }
    let (private, public) = (pem("PRIVATE KEY", &Signer::p256().pkcs8()), Signer::p256().pem());
    assert!(of_pem(None, &format!("{public}{private}")).unwrap_err().contains("private key"));
    assert!(of_pem(None, &private.replace('\n', " ")).unwrap_err().contains("private key"));
}

#[test]
fn a_text_that_is_no_public_key_is_refused_with_what_is_wrong() {
    let public = Signer::p256().pem();
    for (text, says) in [
        (String::new(), "holds no PEM"),
        ("ssh-ed25519 AAAAC3Nz".into(), "holds no PEM"),
        (pem("CERTIFICATE REQUEST", b"x"), "holds no PEM of a PUBLIC KEY"),
        (public.replace('\n', " "), "keep its lines"),
        (public.replace("-----END", "-----AND"), "keep its lines"),
        (pem("PUBLIC KEY", b"not DER"), "no public key that tokens are signed with"),
        (pem("PUBLIC KEY", &[0x30; 32]), "no public key that tokens are signed with"),
        (pem("CERTIFICATE", b"not DER"), "the certificate cannot be read"),
        (format!("{public}{public}"), "2 PEM blocks"),
        (RSA_1024.into(), "not safe; use one of 2048 to 8192 bits"),
        (SECP256K1.into(), "no public key that tokens are signed with"),
    ] {
        let error = of_pem(None, &text).unwrap_err();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn a_secret_is_to_be_as_long_as_the_hash() {
    for (algorithm, safe) in [(Algorithm::Hs256, 32), (Algorithm::Hs384, 48), (Algorithm::Hs512, 64)] {
        let weakness =
            |length| Key::of_secret(None, Some(algorithm), &vec![b'x'; length]).unwrap().weakness();
        assert_eq!(weakness(safe), None);
        let expected = format!("has {} bytes and can be guessed from a token; use {safe} or more", safe - 1);
        assert_eq!(weakness(safe - 1), Some(expected));
    }
    assert_eq!(key_of(None, &Signer::p256()).weakness(), None);
}

#[test]
fn a_key_is_never_shown() {
    let secret = Key::of_secret(Some("a".into()), None, b"hunter2").unwrap();
    let expected = r#"Key { id: Some("a"), algorithm: Hs256, .. }"#;
    assert_eq!(format!("{secret:?}"), expected);
}

proptest! {
    #[test]
    fn no_bytes_panic(text: String, der in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = of_pem(None, &text);
        let _ = of_pem(None, &format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n"));
        for label in ["PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE"] {
            prop_assert!(of_pem(None, &pem(label, &der)).is_err());
        }
    }
}
