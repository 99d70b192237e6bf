//! What a request says of itself in its query, and how it is refused.

use axum::{
    extract::Query as Fields,
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use crate::config::Transport;

/// The query of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    /// How the client speaks.
    pub(super) transport: Transport,
    /// Which connection it belongs to; without it a new one begins.
    pub(super) sid: Option<String>,
}

/// Why a request is refused, as Engine.IO's own server says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A transport that there is not, or not here.
    UnknownTransport,
    /// No such connection.
    UnknownSid,
    /// A connection begins with a GET.
    BadMethod,
    /// Anything else that is wrong with the request.
    BadRequest,
    /// The page's origin is not allowed.
    Forbidden,
    /// Another version of the protocol.
    Version,
    /// The body is larger than allowed.
    TooLarge,
    /// What the body says has ended the connection, and was counted.
    Ended,
    /// There is no place for another connection, which was counted.
    Full,
    /// There is none for another one from this address, which was counted.
    AddressFull,
}

impl Fault {
    /// All that another instance may answer with.
    pub(super) const ALL: [Self; 8] = [
        Self::UnknownTransport,
        Self::UnknownSid,
        Self::BadMethod,
        Self::BadRequest,
        Self::Forbidden,
        Self::Version,
        Self::TooLarge,
        Self::Ended,
    ];

    /// The code and the words; nothing when the protocol has none.
    fn code(self) -> Option<(u8, &'static str)> {
        Some(match self {
            Self::UnknownTransport => (0, "Transport unknown"),
            Self::UnknownSid => (1, "Session ID unknown"),
            Self::BadMethod => (2, "Bad handshake method"),
            Self::BadRequest | Self::TooLarge | Self::Ended => (3, "Bad request"),
            Self::Forbidden => (4, "Forbidden"),
            Self::Version => (5, "Unsupported protocol version"),
            Self::Full | Self::AddressFull => return None,
        })
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Full => StatusCode::SERVICE_UNAVAILABLE,
            Self::AddressFull => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::BAD_REQUEST,
        };
        let Some((code, message)) = self.code() else {
            return (status, "no place for another connection: try another instance, or close others\n")
                .into_response();
        };
        let body = format!(r#"{{"code":{code},"message":"{message}"}}"#);
        (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

impl Query {
    /// Reads the query.
    pub(super) fn read(uri: &Uri) -> Result<Self, Fault> {
        let Fields(fields) =
            Fields::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| Fault::BadRequest)?;
        let mut fields: Vec<_> = fields;
        let mut take = |name: &str| {
            let at = fields.iter().position(|(field, _)| field == name)?;
            Some(fields.swap_remove(at).1)
        };
        let transport = match take("transport").as_deref() {
            Some("polling") => Transport::Polling,
            Some("websocket") => Transport::Websocket,
            _ => return Err(Fault::UnknownTransport),
        };
        if take("EIO").as_deref() != Some("4") {
            return Err(Fault::Version);
        }
        // The answer to a script element, which no client of this version asks for.
        if take("j").is_some() {
            return Err(Fault::BadRequest);
        }
        Ok(Self { transport, sid: take("sid") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<(Transport, Option<String>), Fault> {
        let uri = format!("/socket.io/?{query}").parse().unwrap();
        Query::read(&uri).map(|query| (query.transport, query.sid))
    }

    #[test]
    fn the_query_says_how_and_who() {
        assert_eq!(read("EIO=4&transport=polling&t=abc"), Ok((Transport::Polling, None)));
        let sid = Some("a.b-c".to_owned());
        assert_eq!(read("transport=websocket&EIO=4&sid=a.b-c"), Ok((Transport::Websocket, sid)));
    }

    #[test]
    fn what_is_wrong_is_said_in_the_protocols_words() {
        for (query, code, message) in [
            ("EIO=4", 0, "Transport unknown"),
            ("EIO=4&transport=carrier-pigeon", 0, "Transport unknown"),
            ("EIO=3&transport=polling", 5, "Unsupported protocol version"),
            ("transport=polling", 5, "Unsupported protocol version"),
            ("EIO=4&transport=polling&j=0", 3, "Bad request"),
        ] {
            assert_eq!(read(query).unwrap_err().code(), Some((code, message)), "{query}");
        }
        assert_eq!(Fault::UnknownSid.code(), Some((1, "Session ID unknown")));
        assert_eq!(Fault::BadMethod.code(), Some((2, "Bad handshake method")));
    }
}
