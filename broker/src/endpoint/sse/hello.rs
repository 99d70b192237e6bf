//! What a client asks for when it opens the stream.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use axum::{
    body::{Body, to_bytes},
    extract::Query,
    http::{Method, Request, StatusCode, Uri},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::Refusal;
use crate::{channel::Since, metrics::Rejection};

/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// Who the client is and what it wants to hear. Has no `Debug`: tokens are secrets.
pub(super) struct Hello {
    /// Its token; empty when it has none.
    pub(super) token: String,
    /// What it calls itself, for the hook that is asked about it.
    pub(super) name: Option<Box<RawValue>>,
    /// What it says beside, for the same.
    pub(super) data: Option<Box<RawValue>>,
    /// The channels, each once.
    pub(super) channels: Vec<Wanted>,
}

/// One channel of them.
pub(super) struct Wanted {
    pub(super) channel: String,
    /// The token of the subscription; empty when there is none.
    pub(super) token: String,
    /// Where the client stood in the channel's stream, if it wants what came after.
    pub(super) since: Option<Since>,
}

/// The connect request of the protocol, as far as it matters here.
#[derive(Deserialize)]
struct ConnectRequest {
    #[serde(default)]
    token: String,
    name: Option<Box<RawValue>>,
    data: Option<Box<RawValue>>,
    #[serde(default)]
    subs: Option<BTreeMap<String, SubscribeRequest>>,
}

#[derive(Deserialize)]
struct SubscribeRequest {
    #[serde(default)]
    token: String,
    #[serde(default)]
    recover: bool,
    #[serde(default)]
    offset: u64,
    #[serde(default)]
    epoch: String,
}

/// Reads the request: the query of a GET, or the body of a POST, which has `limit` bytes at most.
pub(super) async fn read(request: Request<Body>, limit: usize) -> Result<Hello, (Rejection, Refusal)> {
    let malformed = |message: String| (Rejection::Malformed, (StatusCode::BAD_REQUEST, message));
    if request.method() != Method::POST {
        return of_query(request.uri()).map_err(malformed);
    }
    match timeout(BODY_WITHIN, to_bytes(request.into_body(), limit)).await {
        Ok(Ok(body)) if body.is_empty() => of_json(b"{}").map_err(malformed),
        Ok(Ok(body)) => of_json(&body).map_err(malformed),
        Ok(Err(_)) => {
            let message =
                format!("the body is cut off, or larger than {limit} bytes (limits.message_size)\n");
            Err((Rejection::TooLarge, (StatusCode::PAYLOAD_TOO_LARGE, message)))
        }
        Err(_) => Err(malformed(format!("the body did not come within {} s\n", BODY_WITHIN.as_secs()))),
    }
}

/// What a query asks for: `cf_connect=` with the protocol's request in JSON, or `channel=` for each channel and
/// `token=`. Other names are passed over.
fn of_query(uri: &Uri) -> Result<Hello, String> {
    let Query(fields) = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|_| "the query cannot be read: encode its values\n".to_owned())?;
    let all = |name: &'static str| {
        fields.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    };
    let token = all("token").next();
    let is_plain = token.is_some() || all("channel").next().is_some();
    match (all("cf_connect").next(), is_plain) {
        (Some(_), true) => {
            Err("give either cf_connect, or channel and token: the one has what the others say\n".to_owned())
        }
        (Some(json), false) => of_json(json.as_bytes()),
        (None, _) => {
            let mut seen = BTreeSet::new();
            let channels = all("channel").filter(|&channel| seen.insert(channel));
            let channels = channels.map(|channel| Wanted {
                channel: channel.to_owned(),
                token: String::new(),
                since: None,
            });
            let token = token.unwrap_or_default().to_owned();
            Ok(Hello { token, name: None, data: None, channels: channels.collect() })
        }
    }
}

fn of_json(json: &[u8]) -> Result<Hello, String> {
    let request: ConnectRequest = serde_json::from_slice(json).map_err(|error| {
        format!(
            "the connect request cannot be read; write it like \
             {{\"token\":\"…\",\"subs\":{{\"news\":{{}}}}}} (line {}, column {})\n",
            error.line(),
            error.column()
        )
    })?;
    let ConnectRequest { token, name, data, subs } = request;
    let subs = subs.unwrap_or_default().into_iter();
    let channels = subs.map(|(channel, SubscribeRequest { token, recover, offset, epoch })| {
        let since = recover.then(|| Since::new(offset, &epoch));
        Wanted { channel, token, since }
    });
    Ok(Hello { token, name, data, channels: channels.collect() })
}

/// The input as a query, and as a request in JSON.
#[cfg(any(test, switchboard_fuzz))]
pub(crate) fn fuzz(bytes: &[u8]) {
    let query = [b"/connection/uni_sse?", bytes].concat();
    let of_query = Uri::try_from(query).ok().map(|uri| of_query(&uri));
    for hello in of_query.into_iter().chain([of_json(bytes)]) {
        match hello {
            Ok(hello) => {
                let channels: BTreeSet<_> = hello.channels.iter().map(|wanted| &wanted.channel).collect();
                assert_eq!(channels.len(), hello.channels.len(), "each channel once");
                assert!(hello.token.len() <= bytes.len(), "nothing is invented");
            }
            Err(message) => assert!(message.ends_with('\n') && message.len() < 200),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked(query: &str) -> Result<(String, Vec<(String, String)>), String> {
        let uri = format!("/connection/uni_sse?{query}").parse().unwrap();
        of_query(&uri).map(|hello| {
            (hello.token, hello.channels.into_iter().map(|wanted| (wanted.channel, wanted.token)).collect())
        })
    }

    fn wanted(token: &str, channels: &[(&str, &str)]) -> Result<(String, Vec<(String, String)>), String> {
        let channels = channels.iter().map(|(channel, token)| (channel.to_string(), token.to_string()));
        Ok((token.to_owned(), channels.collect()))
    }

    #[test]
    fn channels_and_token_may_stand_in_the_query() {
        assert_eq!(asked(""), wanted("", &[]));
        assert_eq!(
            asked("channel=b&channel=a%3A1&token=t&channel=b&other=1"),
            wanted("t", &[("b", ""), ("a:1", "")])
        );
    }

    #[test]
    fn the_protocols_request_may_stand_in_the_query() {
        // {"token":"t","subs":{"a":{},"b":{"token":"s","recover":true}},"name":"js"}
        let query = "cf_connect=%7B%22token%22%3A%22t%22%2C%22subs%22%3A%7B%22a%22%3A%7B%7D%2C%22b%22%3A%7B%22token\
                     %22%3A%22s%22%2C%22recover%22%3Atrue%7D%7D%2C%22name%22%3A%22js%22%7D";
        assert_eq!(asked(query), wanted("t", &[("a", ""), ("b", "s")]));
        assert_eq!(asked("cf_connect=%7B%7D"), wanted("", &[]));
        assert_eq!(asked("cf_connect=%7B%22subs%22%3Anull%7D"), wanted("", &[]));
    }

    #[test]
    fn what_cannot_be_read_is_told_what_to_write_and_not_repeated() {
        for query in
            ["cf_connect=", "cf_connect=secret", "cf_connect=%7B%22token%22%3A%22secret", "cf_connect=[1]"]
        {
            let error = asked(query).unwrap_err();
            assert!(error.contains("write it like {\"token\"") && !error.contains("secret"), "{error}");
        }
        assert!(asked("cf_connect=%7B%7D&channel=a").unwrap_err().contains("either cf_connect, or channel"));
    }

    proptest! {
        #[test]
        fn no_query_and_no_body_panics(query in "[ -~]{0,60}", body: Vec<u8>) {
            if let Ok(uri) = format!("/a?{query}").parse() {
                let _ = of_query(&uri);
            }
            let _ = of_json(&body);
        }
    }
}
