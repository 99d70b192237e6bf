use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::auth::key::{Key, jwks};
use crate::auth::key_set::TRIES;
use crate::auth::testing::{SECRET, Signer, encode};

fn public(id: Option<&str>, signer: &Signer) -> Key {
    Key::of_pem(id.map(str::to_owned), None, &signer.pem()).unwrap()
}

fn secret(id: Option<&str>, algorithm: Algorithm, secret: &[u8]) -> Key {
    Key::of_secret(id.map(str::to_owned), Some(algorithm), secret).unwrap()
}

fn accepts(keys: &KeySet, token: &str) -> Result<(), &'static str> {
    match payload(token, keys) {
        Ok(_) => Ok(()),
        Err(AuthError::Invalid(why)) => Err(why),
        Err(other) => panic!("{other}"),
    }
}

const NOT_OURS: Result<(), &str> = Err("its signature is not ours");
const OTHER_ALGORITHM: Result<(), &str> = Err("no key here is used with its algorithm");
const NAMED_FOR_ANOTHER: Result<(), &str> = Err("the key that it names is used with another algorithm");
const UNREAD: Result<(), &str> = Err("it cannot be read");

#[test]
fn a_public_key_is_never_a_secret() {
    // Whoever knows the public key signs with it as if it were a secret, in each form that it can have.
    let claims = json!({"sub": "admin"});
    for signer in [Signer::rsa(), &Signer::p256(), &Signer::ed25519()] {
        let keys = KeySet::new(vec![public(Some("a"), signer)]);
        let pem = signer.pem();
        let jwk = signer.jwk(json!({})).to_string();
        for guess in [pem.as_str(), pem.trim(), &jwk, ""] {
            let forger = Signer::secret(guess.as_bytes());
            for algorithm in [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512] {
                assert_eq!(accepts(&keys, &forger.token(algorithm, &claims)), OTHER_ALGORITHM);
                assert_eq!(accepts(&keys, &forger.token_of("a", algorithm, &claims)), NAMED_FOR_ANOTHER);
            }
        }
    }
}

#[test]
fn a_token_that_is_not_signed_is_never_accepted() {
    let keys = KeySet::new(vec![
        secret(None, Algorithm::Hs256, SECRET.as_bytes()),
        public(Some("a"), &Signer::p256()),
    ]);
    let claims = encode(json!({"sub": "admin"}).to_string());
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        for header in [json!({"alg": alg}), json!({"alg": alg, "kid": "a"})] {
            let message = format!("{}.{claims}", encode(header.to_string()));
            for signature in ["", "AA"] {
                let token = format!("{message}.{signature}");
                assert_eq!(accepts(&keys, &token), OTHER_ALGORITHM, "{header}");
            }
            assert_eq!(accepts(&keys, &message), UNREAD, "{header}");
        }
    }
    for alg in ["HS256", "ES256"] {
        let message = format!("{}.{claims}", encode(json!({"alg": alg}).to_string()));
        assert_eq!(accepts(&keys, &format!("{message}.")), NOT_OURS, "{alg}");
    }
}

#[test]
fn a_key_is_used_with_its_own_algorithm_only() {
    let rsa = KeySet::new(vec![public(None, Signer::rsa())]);
    let hmac = KeySet::new(vec![secret(None, Algorithm::Hs256, SECRET.as_bytes())]);
    let token = |algorithm| Signer::rsa().token(algorithm, &json!({}));
    assert_eq!(accepts(&rsa, &token(Algorithm::Rs256)), Ok(()));
    for algorithm in [Algorithm::Rs384, Algorithm::Rs512, Algorithm::Ps256, Algorithm::Ps512] {
        assert_eq!(accepts(&rsa, &token(algorithm)), OTHER_ALGORITHM, "{algorithm}");
    }
    let signer = Signer::secret(SECRET.as_bytes());
    assert_eq!(accepts(&hmac, &signer.token(Algorithm::Hs512, &json!({}))), OTHER_ALGORITHM);
    // The header says what the key is for, and the signature is another one.
    let header = json!({"alg": "RS256"});
    let token = Signer::rsa().token_with(Algorithm::Ps256, &header, &json!({}));
    assert_eq!(accepts(&rsa, &token), NOT_OURS);
}

#[test]
fn a_key_in_the_token_itself_is_not_looked_at() {
    let (ours, theirs) = (Signer::p256(), Signer::p256());
    let keys = KeySet::new(vec![public(None, &ours)]);
    let header = json!({
        "alg": "ES256", "jwk": theirs.jwk(json!({})), "jku": "https://evil.example/jwks", "x5u": "…", "x5c": ["…"],
    });
    let token = |signer: &Signer| signer.token_with(Algorithm::Es256, &header, &json!({}));
    assert_eq!(accepts(&keys, &token(&theirs)), NOT_OURS);
    assert_eq!(accepts(&keys, &token(&ours)), Ok(()));
}

#[test]
fn a_token_chooses_its_key_by_name() {
    let (a, b, unnamed) = (Signer::p256(), Signer::p256(), Signer::p256());
    let keys = KeySet::new(vec![public(Some("a"), &a), public(Some("b"), &b), public(None, &unnamed)]);
    let check =
        |signer: &Signer, id: &str| accepts(&keys, &signer.token_of(id, Algorithm::Es256, &json!({})));
    assert_eq!(check(&a, "a"), Ok(()));
    assert_eq!(check(&b, "b"), Ok(()));
    assert_eq!(check(&a, "b"), NOT_OURS, "the name decides, also against the signature");
    assert_eq!(check(&unnamed, "a"), NOT_OURS);
    // A name that no key has says nothing: the signer may have names where this broker has none.
    for signer in [&a, &b, &unnamed] {
        assert_eq!(check(signer, "c"), Ok(()));
        assert_eq!(check(signer, ""), Ok(()));
        assert_eq!(accepts(&keys, &signer.token(Algorithm::Es256, &json!({}))), Ok(()), "no name at all");
    }
    assert_eq!(check(&Signer::p256(), "c"), NOT_OURS);
    assert_eq!(
        accepts(&keys, &Signer::p384().token_of("a", Algorithm::Es384, &json!({}))),
        NAMED_FOR_ANOTHER
    );
    let header = json!({"alg": "ES256", "kid": 7});
    assert_eq!(accepts(&keys, &a.token_with(Algorithm::Es256, &header, &json!({}))), UNREAD);
}

#[test]
fn one_name_may_be_that_of_keys_of_different_kinds() {
    let (p256, ed25519) = (Signer::p256(), Signer::ed25519());
    let document = json!({"keys": [p256.jwk(json!({"kid": "a"})), ed25519.jwk(json!({"kid": "a"}))]});
    let keys = KeySet::new(jwks::read(&document.to_string()).unwrap().keys);
    assert_eq!(accepts(&keys, &p256.token_of("a", Algorithm::Es256, &json!({}))), Ok(()));
    assert_eq!(accepts(&keys, &ed25519.token_of("a", Algorithm::EdDsa, &json!({}))), Ok(()));
}

#[test]
fn a_token_without_a_name_is_tried_with_so_many_keys_and_no_more() {
    let secrets: Vec<Signer> = (0..TRIES + 2).map(|i| Signer::secret(&[i as u8 + 1; 32])).collect();
    let mut keys: Vec<Key> = (0..TRIES + 2)
        .map(|i| secret(Some(&format!("key-{i}")), Algorithm::Hs256, &[i as u8 + 1; 32]))
        .collect();
    // Those of another algorithm do not count.
    keys.insert(0, public(None, &Signer::p256()));
    let keys = KeySet::new(keys);
    for (i, signer) in secrets.iter().enumerate() {
        let unnamed = accepts(&keys, &signer.token(Algorithm::Hs256, &json!({})));
        assert_eq!(unnamed.is_ok(), i < TRIES, "{i}");
        let named = signer.token_of(&format!("key-{i}"), Algorithm::Hs256, &json!({}));
        assert_eq!(accepts(&keys, &named), Ok(()), "{i}");
    }
}

#[test]
fn what_a_token_wants_understood_and_is_not_refuses_it() {
    let signer = Signer::secret(SECRET.as_bytes());
    let keys = KeySet::new(vec![secret(None, Algorithm::Hs256, SECRET.as_bytes())]);
    let header = json!({"alg": "HS256", "crit": ["b64"], "b64": false});
    let token = signer.token_with(Algorithm::Hs256, &header, &json!({}));
    assert_eq!(accepts(&keys, &token), Err("it wants an extension that this broker does not know"));
}

#[test]
fn what_is_no_token_cannot_be_read() {
    let signer = Signer::secret(SECRET.as_bytes());
    let keys = KeySet::new(vec![secret(None, Algorithm::Hs256, SECRET.as_bytes())]);
    let good = signer.token(Algorithm::Hs256, &json!({}));
    assert_eq!(accepts(&keys, &good), Ok(()));
    let (message, signature) = good.rsplit_once('.').unwrap();
    for bad in [
        "",
        ".",
        "..",
        "a.b.c",
        &format!("{message}.{signature}="),
        &format!("{message}.{signature}\n"),
        &format!(" {good}"),
        &format!("{}..", encode("{}")),
        &format!("{}..", encode("[\"HS256\"]")),
        &format!("{}..", encode(r#"{"alg":"HS256","alg":"HS256"}"#)),
        &format!("{}..", encode("{\"alg\":7}")),
        &format!("{}..", encode([0xff, 0xfe])),
    ] {
        assert_eq!(accepts(&keys, bad), UNREAD, "{bad:?}");
    }
    // Signed by the right key, and a list where an object is wanted: whose values could be taken for its members.
    let list = json!(["HS256", null, null]);
    assert_eq!(accepts(&keys, &signer.token_with(Algorithm::Hs256, &list, &json!({}))), UNREAD);
    assert_eq!(accepts(&keys, &signer.token(Algorithm::Hs256, &json!(["admin"]))), UNREAD);
    // Five parts: it is encrypted.
    assert_eq!(
        accepts(&keys, &format!("{}.a.b.c.d", encode(r#"{"alg":"dir","enc":"A128GCM"}"#))),
        OTHER_ALGORITHM
    );
}

#[test]
fn a_set_shows_how_many_keys_it_has_and_of_which_algorithms() {
    assert_eq!(KeySet::default().to_string(), "no key");
    let hmac = |id| secret(id, Algorithm::Hs256, SECRET.as_bytes());
    assert_eq!(KeySet::new(vec![hmac(None)]).to_string(), "1 key: HS256");
    let keys = KeySet::new(vec![public(None, &Signer::p256()), hmac(None), hmac(Some("b"))]);
    assert_eq!(keys.to_string(), "3 keys: HS256, ES256");
    assert!(!format!("{keys:?}").contains("a secret of the tests"));
}

fn any_set() -> KeySet {
    KeySet::new(vec![
        secret(None, Algorithm::Hs256, SECRET.as_bytes()),
        secret(Some("a"), Algorithm::Hs512, SECRET.as_bytes()),
        public(Some("b"), Signer::rsa()),
        public(None, &Signer::p256()),
        public(None, &Signer::p384()),
        public(None, &Signer::p521()),
        public(None, &Signer::ed25519()),
    ])
}

proptest! {
    #[test]
    fn no_text_is_a_token(text: String, header: String, parts in "[A-Za-z0-9_.-]{0,120}") {
        let keys = any_set();
        prop_assert!(accepts(&keys, &text).is_err());
        prop_assert!(accepts(&keys, &parts).is_err());
        let token = format!("{}.{parts}", encode(&header));
        prop_assert!(accepts(&keys, &token).is_err());
    }

    #[test]
    fn no_bytes_are_a_signature(
        algorithm in prop::sample::select(&Algorithm::ALL[..]),
        claims in proptest::collection::vec(any::<u8>(), 0..40),
        signature in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let header = json!({"alg": algorithm.name()}).to_string();
        let token = format!("{}.{}.{}", encode(header), encode(claims), encode(signature));
        prop_assert!(accepts(&any_set(), &token).is_err());
    }

    #[test]
    fn a_changed_token_is_not_ours(at: prop::sample::Index, bits in 1u8..128) {
        let keys = KeySet::new(vec![secret(None, Algorithm::Hs256, SECRET.as_bytes())]);
        let claims: Value = json!({"sub": "ann", "exp": 1_700_000_000});
        let mut token = Signer::secret(SECRET.as_bytes()).token(Algorithm::Hs256, &claims).into_bytes();
        let at = at.index(token.len());
        token[at] ^= bits;
        prop_assert!(accepts(&keys, &String::from_utf8_lossy(&token)).is_err());
    }
}
