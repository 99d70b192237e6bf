use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const SECRET: &str = "a secret of at least thirty-two bytes";
const NOW: u64 = 1_700_000_000;

fn sign_with(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
    encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

fn sign(claims: &Value) -> String {
    sign_with(Algorithm::HS256, SECRET, claims)
}

fn verifier_of(jwt: Jwt) -> Verifier {
    let keys = jwt.read_keys().unwrap().set;
    Verifier::new(&jwt, keys)
}

fn verifier() -> Verifier {
    verifier_of(Jwt { hmac_secret: Some(SECRET.into()), ..Jwt::default() })
}

fn connect(claims: Value) -> Result<Identity, AuthError> {
    verifier().connect(&sign(&claims), NOW)
}

fn subscribe(claims: Value) -> Result<Grant, AuthError> {
    verifier().subscribe(&sign(&claims), "news:eu", "client-1", "42", NOW)
}

fn is_invalid<T>(result: &Result<T, AuthError>) -> bool {
    matches!(result, Err(AuthError::Invalid(_)))
}

#[test]
fn a_token_gives_user_info_and_end() {
    let identity =
        connect(json!({"sub": "42", "exp": NOW + 60, "iat": NOW, "info": {"name": "Ann"}})).unwrap();
    assert_eq!(identity.user, "42");
    assert_eq!(identity.info.as_deref(), Some(br#"{"name":"Ann"}"#.as_slice()));
    assert_eq!(identity.expires_at, Some(NOW + 60));
}

#[test]
fn all_claims_may_be_absent() {
    let nobody = Identity { user: String::new(), info: None, expires_at: None };
    assert_eq!(connect(json!({})), Ok(nobody.clone()));
    assert_eq!(connect(json!({"info": null, "exp": null, "aud": null, "unknown": [1]})), Ok(nobody));
}

#[test]
fn a_token_is_good_before_its_end_and_from_its_start() {
    assert_eq!(connect(json!({"exp": NOW})), Err(AuthError::Expired));
    assert_eq!(connect(json!({"exp": NOW - 1})), Err(AuthError::Expired));
    assert_eq!(connect(json!({"exp": -5})), Err(AuthError::Expired));
    assert_eq!(connect(json!({"exp": 0})), Err(AuthError::Expired));
    assert_eq!(connect(json!({"exp": NOW + 1})).unwrap().expires_at, Some(NOW + 1));
    assert_eq!(connect(json!({"exp": 1_700_000_001.5})).unwrap().expires_at, Some(NOW + 1));
    assert_eq!(connect(json!({"nbf": NOW + 1})), Err(AuthError::Expired));
    assert!(connect(json!({"nbf": NOW})).is_ok());
    assert!(is_invalid(&connect(json!({"exp": "tomorrow"}))));
}

#[test]
fn the_connection_may_end_at_another_time_than_the_token() {
    assert_eq!(connect(json!({"exp": NOW + 9, "expire_at": NOW + 99})).unwrap().expires_at, Some(NOW + 99));
    assert_eq!(connect(json!({"exp": NOW + 9, "expire_at": 0})).unwrap().expires_at, None);
    assert_eq!(connect(json!({"exp": NOW - 9, "expire_at": 0})), Err(AuthError::Expired));
    assert_eq!(connect(json!({"expire_at": NOW})), Err(AuthError::Expired));
    assert_eq!(connect(json!({"expire_at": -1})), Err(AuthError::Expired));
    assert_eq!(connect(json!({"expire_at": -0.5})), Err(AuthError::Expired));
}

#[test]
fn a_signature_that_is_not_ours_is_invalid() {
    let claims = json!({"sub": "42"});
    let verifier = verifier();
    let other = sign_with(Algorithm::HS256, "another secret", &claims);
    assert_eq!(verifier.connect(&other, NOW), Err(AuthError::Invalid("its signature is not ours")));
    let algorithm = sign_with(Algorithm::HS512, SECRET, &claims);
    let reason = "no key here is used with its algorithm";
    assert_eq!(verifier.connect(&algorithm, NOW), Err(AuthError::Invalid(reason)));

    let token = sign(&claims);
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", token.split('.').nth(1).unwrap());
    let other_claims = sign(&json!({"sub": "43"}));
    let mixed = [
        token.split('.').next().unwrap(),
        other_claims.split('.').nth(1).unwrap(),
        token.split('.').nth(2).unwrap(),
    ]
    .join(".");
    for bad in ["x", "..", "a.b.c", unsigned.as_str(), mixed.as_str(), &token[..token.len() - 1], &token[1..]]
    {
        assert!(is_invalid(&verifier.connect(bad, NOW)), "{bad}");
    }
}

#[test]
fn claims_of_the_wrong_type_are_invalid() {
    for claims in [json!({"sub": 42}), json!({"sub": null}), json!([]), json!("x"), json!({"iss": 1})] {
        assert!(is_invalid(&connect(claims.clone())), "{claims}");
    }
}

#[test]
fn audience_and_issuer_are_checked_when_they_are_set() {
    let jwt = Jwt {
        hmac_secret: Some(SECRET.into()),
        audience: Some("chat".into()),
        issuer: Some("shop".into()),
        ..Jwt::default()
    };
    let verifier = verifier_of(jwt);
    let connect = |claims: Value| verifier.connect(&sign(&claims), NOW);
    assert!(connect(json!({"aud": "chat", "iss": "shop"})).is_ok());
    assert!(connect(json!({"aud": ["x", "chat"], "iss": "shop"})).is_ok());
    for claims in [
        json!({}),
        json!({"aud": "chat"}),
        json!({"iss": "shop"}),
        json!({"aud": "x", "iss": "shop"}),
        json!({"aud": [], "iss": "shop"}),
        json!({"aud": "chat", "iss": "x"}),
        // Even outside its time, it stays a token for somebody else.
        json!({"aud": "x", "iss": "shop", "exp": 1}),
    ] {
        assert!(is_invalid(&connect(claims.clone())), "{claims}");
    }
    let claims = json!({"sub": "42", "channel": "news:eu"});
    assert!(is_invalid(&verifier.subscribe(&sign(&claims), "news:eu", "c", "42", NOW)));
}

#[test]
fn a_subscription_token_is_for_one_channel_and_user() {
    let grant = subscribe(json!({"sub": "42", "channel": "news:eu", "info": [1], "exp": NOW + 5})).unwrap();
    assert_eq!(grant, Grant { info: Some(Bytes::from_static(b"[1]")), expires_at: Some(NOW + 5) });
    assert!(subscribe(json!({"sub": "42", "channel": "news:eu", "client": "client-1"})).is_ok());
    assert!(subscribe(json!({"sub": "42", "channel": "news:eu", "client": ""})).is_ok());
    for claims in [
        json!({"sub": "42"}),
        json!({"sub": "42", "channel": ""}),
        json!({"sub": "42", "channel": "news:us"}),
        json!({"sub": "43", "channel": "news:eu"}),
        json!({"channel": "news:eu"}),
        json!({"sub": "42", "channel": "news:eu", "client": "client-2"}),
    ] {
        assert!(is_invalid(&subscribe(claims.clone())), "{claims}");
    }
    assert_eq!(subscribe(json!({"sub": "42", "channel": "news:eu", "exp": NOW})), Err(AuthError::Expired));
}

#[test]
fn a_connection_token_opens_no_channel() {
    let token = sign(&json!({"sub": ""}));
    assert!(is_invalid(&verifier().subscribe(&token, "", "c", "", NOW)));
}

#[test]
fn info_is_one_line() {
    let raw = "{\n \"a\": \"x\\ny\",\r\n \"b\": 1.50 }";
    let info = one_line(Some(RawValue::from_string(raw.into()).unwrap())).unwrap();
    assert_eq!(info, r#"{ "a": "x\ny", "b": 1.50 }"#);
}

#[test]
fn the_key_is_never_shown() {
    assert!(!format!("{:?}", verifier()).contains("secret"));
}

#[test]
fn without_a_key_no_token_is_accepted() {
    let verifier = verifier_of(Jwt::default());
    let reason = "this broker has no key to verify tokens with";
    assert_eq!(verifier.connect(&sign(&json!({})), NOW), Err(AuthError::Invalid(reason)));
}

proptest! {
    #[test]
    fn no_text_is_a_token(text in "\\PC{0,80}") {
        prop_assert!(is_invalid(&verifier().connect(&text, NOW)));
    }

    #[test]
    fn no_claims_panic(payload in proptest::collection::vec(any::<u8>(), 0..60)) {
        let text = String::from_utf8_lossy(&payload).into_owned();
        let claims = serde_json::from_str(&text).unwrap_or(Value::String(text));
        let _ = connect(claims);
    }

    #[test]
    fn times_compare_by_second(exp in 0u64..u64::MAX / 2, now in 0u64..u64::MAX / 2) {
        let result = verifier().connect(&sign(&json!({"exp": exp})), now);
        prop_assert_eq!(result.is_ok(), now < exp);
    }
}
