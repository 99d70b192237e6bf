//! The server API over HTTP, in the shape of Centrifugo's: for the application's backend, with an API key.
//!
//! An answer has the status 200 and either `result` or `error` with the protocol's code; without a valid key
//! it is 401.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, FromRequest, Request, State},
    http::StatusCode,
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{ErrorCode, Gateway};
use crate::{
    auth::{ApiKeys, presented_key},
    backplane::Unavailable,
    message::Rejection,
    metrics::{self, ApiMethod, Counters},
};

mod ask;
mod batch;
mod channels;
mod clients;
mod except;
mod history;
mod openapi;
mod publish;
mod subscriptions;

use ask::Ask;
use batch::Batch;
use channels::{Channels, Info, Presence, PresenceStats};
use clients::{Clients, Disconnect, Note};
use history::{History, HistoryRemove};
use publish::{Broadcast, Publish, Send};
use subscriptions::{Subscribe, Unsubscribe};

/// What the API is called among the endpoints.
const LABEL: &str = "http";

/// One method: what it is asked with, and what it does.
trait Method: DeserializeOwned + std::marker::Send {
    /// How it is counted.
    const LABEL: ApiMethod;

    /// Does it, and gives back the result.
    fn run(self, api: &Api) -> impl Future<Output = Result<Value, Failed>> + std::marker::Send;
}

async fn handle<M: Method>(
    State(api): State<Arc<Api>>,
    Body(request): Body<M>,
) -> Result<Json<Value>, Failed> {
    api.received.inc(M::LABEL);
    request.run(&api).await.map(|value| Json(json!({"result": value})))
}

/// What the API answers from.
struct Api {
    gateway: Arc<Gateway>,
    keys: ApiKeys,
    received: Counters<ApiMethod>,
}

/// The routes of the API under `path`. A body may be a payload's size and as much again for the rest of it.
pub fn router(path: &str, gateway: Arc<Gateway>, keys: ApiKeys) -> Router {
    let body_limit = gateway.limits.message_size.bytes() * 2;
    let received = gateway.hub.metrics.received(LABEL);
    let api = Arc::new(Api { gateway, keys, received });
    let routes = Router::new()
        .route("/publish", post(handle::<Publish>))
        .route("/broadcast", post(handle::<Broadcast>))
        .route("/send", post(handle::<Send>))
        .route("/ask", post(handle::<Ask>))
        .route("/channels", post(handle::<Channels>))
        .route("/info", post(handle::<Info>))
        .route("/presence", post(handle::<Presence>))
        .route("/presence_stats", post(handle::<PresenceStats>))
        .route("/history", post(handle::<History>))
        .route("/history_remove", post(handle::<HistoryRemove>))
        .route("/clients", post(handle::<Clients>))
        .route("/subscribe", post(handle::<Subscribe>))
        .route("/unsubscribe", post(handle::<Unsubscribe>))
        .route("/disconnect", post(handle::<Disconnect>))
        .route("/note", post(handle::<Note>))
        .route("/batch", post(handle::<Batch>))
        .with_state(api.clone())
        .layer(DefaultBodyLimit::max(body_limit))
        .layer(from_fn_with_state(api, authenticate));
    Router::new().nest(path, routes).merge(openapi::router(path))
}

async fn authenticate(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let accepted = {
        let header = |name: &str| request.headers().get(name).map(|value| value.as_bytes());
        presented_key(header("x-api-key"), header("authorization")).is_some_and(|key| api.keys.accept(key))
    };
    let rejected = &api.gateway.hub.metrics.rejected;
    if accepted {
        let response = next.run(request).await;
        if let Some(Refused(rejection)) = response.extensions().get() {
            rejected.inc(*rejection);
        }
        return response;
    }
    rejected.inc(metrics::Rejection::ApiKey);
    let message = "send one of auth.api_keys in the header X-API-Key\n";
    (StatusCode::UNAUTHORIZED, message).into_response()
}

impl Api {
    /// Counts a failure that becomes a part of an answer, not the whole of it.
    fn counted(&self, failed: Failed) -> Failed {
        if let Some(rejection) = failed.rejection {
            self.gateway.hub.metrics.rejected.inc(rejection);
        }
        failed
    }
}

/// A JSON body; what is wrong with a bad one is said in the protocol's way.
struct Body<T>(T);

impl<T: DeserializeOwned, S: std::marker::Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failed;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failed> {
        let bytes = Bytes::from_request(request, state).await.map_err(|error| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Failed::too_large(error.body_text()),
            _ => Failed::bad(error.body_text()),
        })?;
        Self::read(&bytes)
    }
}

impl<T: DeserializeOwned> Body<T> {
    fn read(bytes: &[u8]) -> Result<Self, Failed> {
        let bytes = if bytes.is_empty() { b"{}" } else { bytes };
        // A list would be read as the fields in their order, which nobody means.
        if bytes.trim_ascii_start().first() == Some(&b'[') {
            return Err(Failed::bad("the body is a list; send an object of the method's fields".to_owned()));
        }
        serde_json::from_slice(bytes).map(Self).map_err(|error| Failed::bad(error.to_string()))
    }
}

/// The input as the body of every method, and as the headers with a key.
#[cfg(any(test, switchboard_fuzz))]
pub(crate) fn fuzz(bytes: &[u8]) {
    fn body<M: Method>(bytes: &[u8]) {
        match Body::<M>::read(bytes) {
            Ok(_) => assert!(!bytes.trim_ascii_start().starts_with(b"[")),
            Err(failed) => assert_eq!(json!(failed)["error"]["code"], ErrorCode::BadRequest.code()),
        }
    }
    body::<Publish>(bytes);
    body::<Broadcast>(bytes);
    body::<Send>(bytes);
    body::<Ask>(bytes);
    body::<Channels>(bytes);
    body::<Info>(bytes);
    body::<Presence>(bytes);
    body::<PresenceStats>(bytes);
    body::<History>(bytes);
    body::<HistoryRemove>(bytes);
    body::<Clients>(bytes);
    body::<Subscribe>(bytes);
    body::<Unsubscribe>(bytes);
    body::<Disconnect>(bytes);
    body::<Note>(bytes);
    body::<Batch>(bytes);
    for key in [presented_key(Some(bytes), None), presented_key(None, Some(bytes))].into_iter().flatten() {
        assert!(!key.is_empty() && key.trim_ascii() == key);
    }
}

/// An error of the protocol as an answer.
struct Failed {
    code: ErrorCode,
    message: String,
    /// How it is counted where it becomes an answer, unless that was done before.
    rejection: Option<metrics::Rejection>,
}

/// In a response: what is to be counted.
#[derive(Clone, Copy)]
struct Refused(metrics::Rejection);

impl Failed {
    fn of(code: ErrorCode, message: &str) -> Self {
        let rejection = code.rejection();
        Self { code, message: format!("{}: {message}", code.message()), rejection }
    }

    fn bad(message: String) -> Self {
        Self::of(ErrorCode::BadRequest, &message)
    }

    fn too_large(message: String) -> Self {
        Self { rejection: Some(metrics::Rejection::TooLarge), ..Self::bad(message) }
    }
}

impl From<ErrorCode> for Failed {
    fn from(code: ErrorCode) -> Self {
        Self { code, message: code.message().to_owned(), rejection: code.rejection() }
    }
}

impl From<Rejection> for Failed {
    fn from(rejection: Rejection) -> Self {
        Self::of(ErrorCode::from(&rejection), &rejection.message)
    }
}

impl From<Unavailable> for Failed {
    fn from(error: Unavailable) -> Self {
        Self { message: error.to_string(), ..ErrorCode::Internal.into() }
    }
}

impl Serialize for Failed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        json!({"error": {"code": self.code.code(), "message": self.message}}).serialize(serializer)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let mut response = Json(&self).into_response();
        if let Some(rejection) = self.rejection {
            response.extensions_mut().insert(Refused(rejection));
        }
        response
    }
}
