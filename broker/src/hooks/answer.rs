//! What a hook's receiver answers: read and checked.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    codec::centrifuge::single_line,
    endpoint::{ErrorCode, Farewell},
    metrics::HookOutcome,
};

/// The codes that an error may have: those of the protocol, and those that it leaves to servers
/// (<https://centrifugal.dev/docs/server/codes>).
const ERRORS: std::ops::RangeInclusive<u32> = 100..=1999;

/// The codes that a closing frame may have: those of the protocol and those of applications (RFC 6455, section 7.4.2).
const ENDS: std::ops::RangeInclusive<u16> = 3000..=4999;

/// The most bytes of an error's message, and of the words of an end: a closing frame has room for no more.
const WORDS: usize = 120;

/// What may be said about something that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may be done, with what is given along.
    Allowed(Granted),
    /// It is refused; the client stays.
    Refused(Refusal),
    /// The client's connection ends.
    Ended(Farewell),
    /// There is no answer, so that it is refused for now.
    Failed(ErrorCode),
}

/// What an answer gives along.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Granted {
    /// Who connects.
    pub user: Option<String>,
    /// What others may know of the client, or of the client in the channel, as one line of JSON.
    pub info: Option<Bytes>,
    /// When the connection ends, in seconds since 1970.
    pub expire_at: Option<u64>,
    /// What is published instead, as one line of JSON.
    pub data: Option<Bytes>,
}

/// An error in the receiver's own words.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// The number.
    pub code: u32,
    /// The words.
    #[serde(default)]
    pub message: String,
    /// Whether the client may try again.
    #[serde(default)]
    pub temporary: bool,
}

impl From<ErrorCode> for Refusal {
    fn from(error: ErrorCode) -> Self {
        let (code, message) = (error.code(), error.message().to_owned());
        Self { code, message, temporary: error.is_temporary() }
    }
}

/// What the answers to a hook may give along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    Connect,
    Subscribe,
    Publish,
    Nothing,
}

/// The whole answer. A key that is not known could be a refusal, so that it is an error.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<Refusal>,
    disconnect: Option<Ending>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ending {
    code: u16,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfConnect<'a> {
    user: Option<String>,
    #[serde(borrow)]
    info: Option<&'a RawValue>,
    expire_at: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfSubscribe<'a> {
    #[serde(borrow)]
    info: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfPublish<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl Verdict {
    pub(super) fn outcome(&self) -> HookOutcome {
        match self {
            Self::Allowed(_) => HookOutcome::Allowed,
            Self::Refused(_) => HookOutcome::Refused,
            Self::Ended(_) => HookOutcome::Disconnected,
            Self::Failed(_) => HookOutcome::Failed,
        }
    }
}

/// Reads an answer about a client that is known to be `user`, if it is known.
///
/// # Errors
/// Says why it is none.
pub(super) fn read(body: &[u8], expected: Expected, user: Option<&str>) -> Result<Verdict, String> {
    // Read as an object first: serde would take a list for one too.
    let whole: &RawValue =
        serde_json::from_slice(body).map_err(|error| format!("it is not JSON: {error}"))?;
    let written: Written<'_> = object("the answer", whole)?;
    if let Some(Ending { code, reason }) = written.disconnect {
        if !ENDS.contains(&code) {
            return Err(format!("disconnect.code is {code}; write a number from 3000 to 4999"));
        }
        check_words("disconnect.reason", &reason)?;
        return Ok(Verdict::Ended(Farewell { code, reason: reason.into() }));
    }
    if let Some(refusal) = written.error {
        if !ERRORS.contains(&refusal.code) {
            return Err(format!("error.code is {}; write a number from 100 to 1999", refusal.code));
        }
        check_words("error.message", &refusal.message)?;
        return Ok(Verdict::Refused(refusal));
    }
    let Some(result) = written.result else { return Ok(Verdict::Allowed(Granted::default())) };
    let granted = match expected {
        Expected::Connect => {
            let OfConnect { user: named, info, expire_at } = object("result", result)?;
            let known = user.filter(|user| !user.is_empty());
            if known.is_some_and(|known| named.as_ref().is_some_and(|named| named != known)) {
                return Err("result.user is another one than the token's; leave it out".into());
            }
            let expire_at = expire_at.filter(|end| *end != 0);
            Granted { user: named, info: info.map(payload), expire_at, data: None }
        }
        Expected::Subscribe => {
            let OfSubscribe { info } = object("result", result)?;
            Granted { info: info.map(payload), ..Granted::default() }
        }
        Expected::Publish => {
            let OfPublish { data } = object("result", result)?;
            Granted { data: data.map(payload), ..Granted::default() }
        }
        Expected::Nothing => Granted::default(),
    };
    Ok(Verdict::Allowed(granted))
}

fn object<'a, T: Deserialize<'a>>(what: &str, json: &'a RawValue) -> Result<T, String> {
    if !json.get().starts_with('{') {
        return Err(format!("{what} is no object"));
    }
    serde_json::from_str(json.get()).map_err(|error| format!("{what} cannot be read: {error}"))
}

fn check_words(key: &str, words: &str) -> Result<(), String> {
    match words.len() > WORDS {
        true => Err(format!("{key} has {} bytes; write at most {WORDS}", words.len())),
        false => Ok(()),
    }
}

fn payload(json: &RawValue) -> Bytes {
    Bytes::from(single_line(json).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(expected: Expected, json: &str) -> Result<Verdict, String> {
        read(json.as_bytes(), expected, Some("ann"))
    }

    #[test]
    fn nothing_and_a_result_allow() {
        for expected in [Expected::Connect, Expected::Subscribe, Expected::Publish] {
            for json in ["{}", " {\"result\": {}}\n", "{\"result\": null}"] {
                assert_eq!(answer(expected, json), Ok(Verdict::Allowed(Granted::default())), "{json}");
            }
        }
    }

    #[test]
    fn each_hook_has_its_own_result() {
        let json = r#"{"result": {"user": "ann", "info": {"a":
 1}, "expire_at": 7}}"#;
        let info = Some(Bytes::from_static(br#"{"a":  1}"#));
        let connect =
            Granted { user: Some("ann".into()), info: info.clone(), expire_at: Some(7), data: None };
        assert_eq!(answer(Expected::Connect, json), Ok(Verdict::Allowed(connect)));
        assert!(answer(Expected::Publish, json).unwrap_err().contains("user"));
        let json = "{\"result\": {\"info\": {\"a\":\n 1}}}";
        let subscribe = Granted { info, ..Granted::default() };
        assert_eq!(answer(Expected::Subscribe, json), Ok(Verdict::Allowed(subscribe)));
        let publish = Granted { data: Some(Bytes::from_static(b"1.50")), ..Granted::default() };
        let json = r#"{"result": {"data": 1.50}}"#;
        assert_eq!(answer(Expected::Publish, json), Ok(Verdict::Allowed(publish)));
        let never = r#"{"result": {"expire_at": 0}}"#;
        assert_eq!(answer(Expected::Connect, never), Ok(Verdict::Allowed(Granted::default())));
    }

    #[test]
    fn an_end_goes_before_an_error_and_that_before_a_result() {
        let json = r#"{"result": {}, "error": {"code": 4001}, "disconnect": {"code": 4501, "reason": "no"}}"#;
        let farewell = Farewell { code: 4501, reason: "no".into() };
        assert_eq!(answer(Expected::Publish, json), Ok(Verdict::Ended(farewell)));
        let json = r#"{"result": {}, "error": {"code": 1001, "message": "not \"you\"", "temporary": true}}"#;
        let refusal = Refusal { code: 1001, message: "not \"you\"".into(), temporary: true };
        assert_eq!(answer(Expected::Publish, json), Ok(Verdict::Refused(refusal)));
    }

    #[test]
    fn another_user_than_the_tokens_is_no_answer() {
        let json = br#"{"result": {"user": "bob"}}"#;
        assert!(read(json, Expected::Connect, Some("ann")).unwrap_err().contains("another one"));
        assert!(read(json, Expected::Connect, Some("")).is_ok());
        assert!(read(json, Expected::Connect, None).is_ok());
    }

    #[test]
    fn what_is_no_answer_says_why() {
        let long = format!(r#"{{"disconnect": {{"code": 4000, "reason": "{}"}}}}"#, "x".repeat(121));
        for (json, why) in [
            ("", "not JSON"),
            ("<html>", "not JSON"),
            ("{} {}", "not JSON"),
            ("[]", "no object"),
            ("null", "no object"),
            (r#"{"allowed": false}"#, "allowed"),
            (r#"{"result": [1]}"#, "result is no object"),
            (r#"{"result": {"expire_at": -1}}"#, "result cannot be read"),
            (r#"{"error": {"code": 99}}"#, "error.code is 99"),
            (r#"{"error": {"message": "a"}}"#, "code"),
            (r#"{"disconnect": {"code": 1000}}"#, "disconnect.code is 1000"),
            (&long, "disconnect.reason has 121 bytes"),
        ] {
            let error = answer(Expected::Connect, json).unwrap_err();
            assert!(error.contains(why), "{json}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, json in "[{}\\[\\]\":,a-z0-9 ]{0,60}") {
            let _ = read(&bytes, Expected::Connect, None);
            let _ = read(json.as_bytes(), Expected::Publish, None);
        }
    }
}
