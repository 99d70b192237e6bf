//! The server API over HTTP, in the shape of Centrifugo's: for the application's backend, with an API key.
//!
//! An answer has the status 200 and either `result` or `error` with the protocol's code; without a valid key
//! it is 401.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, FromRequest, Request, State},
    http::StatusCode,
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{json, value::RawValue};

use super::{ErrorCode, Gateway};
use crate::{
    auth::{ApiKeys, presented_key},
    backplane::Ack,
    codec::centrifuge::single_line,
    message::{Message, Source, Target},
    metrics::{ApiMethod, Counters, Rejection},
};

/// What the API answers from.
struct Api {
    gateway: Arc<Gateway>,
    keys: ApiKeys,
    received: Counters<ApiMethod>,
}

/// The routes of the API under `path`. A body may be a payload's size and as much again for the rest of it.
pub fn router(path: &str, gateway: Arc<Gateway>, keys: ApiKeys) -> Router {
    let body_limit = gateway.limits.message_size.bytes() * 2;
    let received = gateway.hub.metrics.received("http");
    let api = Arc::new(Api { gateway, keys, received });
    let routes = Router::new()
        .route("/publish", post(publish))
        .route("/broadcast", post(broadcast))
        .route("/channels", post(channels))
        .route("/info", post(info))
        .with_state(api.clone())
        .layer(DefaultBodyLimit::max(body_limit))
        .layer(from_fn_with_state(api, authenticate));
    Router::new().nest(path, routes)
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
    rejected.inc(Rejection::ApiKey);
    let message = "send one of auth.api_keys in the header X-API-Key\n";
    (StatusCode::UNAUTHORIZED, message).into_response()
}

/// A JSON body; what is wrong with a bad one is said in the protocol's way.
struct Body<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failed;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failed> {
        let bytes = Bytes::from_request(request, state).await.map_err(|error| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Failed::too_large(error.body_text()),
            _ => Failed::bad(error.body_text()),
        })?;
        let bytes = if bytes.is_empty() { Bytes::from_static(b"{}") } else { bytes };
        serde_json::from_slice(&bytes).map(Self).map_err(|error| Failed::bad(error.to_string()))
    }
}

/// An error of the protocol as an answer.
struct Failed {
    code: ErrorCode,
    message: String,
    /// How it is counted where it becomes an answer, unless that was done before.
    rejection: Option<Rejection>,
}

/// In a response: what is to be counted.
#[derive(Clone, Copy)]
struct Refused(Rejection);

impl Failed {
    fn of(code: ErrorCode, message: &str) -> Self {
        let rejection = code.rejection();
        Self { code, message: format!("{}: {message}", code.message()), rejection }
    }

    fn bad(message: String) -> Self {
        Self::of(ErrorCode::BadRequest, &message)
    }

    fn too_large(message: String) -> Self {
        Self { rejection: Some(Rejection::TooLarge), ..Self::bad(message) }
    }
}

impl From<ErrorCode> for Failed {
    fn from(code: ErrorCode) -> Self {
        Self { code, message: code.message().to_owned(), rejection: code.rejection() }
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

type Answer = Result<Json<serde_json::Value>, Failed>;

fn result(value: impl Serialize) -> Answer {
    Ok(Json(json!({"result": value})))
}

#[derive(Deserialize)]
struct PublishRequest {
    channel: String,
    data: Box<RawValue>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct BroadcastRequest {
    channels: Vec<String>,
    data: Box<RawValue>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct ChannelsRequest {
    #[serde(default = "every_channel")]
    pattern: String,
}

fn every_channel() -> String {
    "*".to_owned()
}

impl Gateway {
    /// Publishes for the server API, and waits until the backplane has taken it.
    async fn publish_for_api(
        &self,
        channel: &str,
        data: Bytes,
        tags: BTreeMap<String, String>,
    ) -> Result<(), Failed> {
        let channel = self.channel(channel)?;
        self.namespaces.of(channel.as_str()).ok_or(ErrorCode::UnknownChannel)?;
        let mut message = Message::new(Source::Api, Target::Channel(channel), data);
        message.metadata = tags;
        let (ack, outcome) = Ack::channel();
        self.pipeline
            .publish(message, ack)
            .map_err(|rejection| Failed::of(ErrorCode::Stopped, &rejection.message))?;
        outcome.await.map_err(|error| {
            self.hub.metrics.publish_failures.inc(error.into());
            Failed { code: ErrorCode::Internal, message: error.to_string(), rejection: None }
        })
    }
}

async fn publish(State(api): State<Arc<Api>>, Body(request): Body<PublishRequest>) -> Answer {
    api.received.inc(ApiMethod::Publish);
    let data = Bytes::from(single_line(&request.data).into_owned());
    api.gateway.publish_for_api(&request.channel, data, request.tags).await?;
    result(json!({}))
}

async fn broadcast(State(api): State<Arc<Api>>, Body(request): Body<BroadcastRequest>) -> Answer {
    api.received.inc(ApiMethod::Broadcast);
    if request.channels.is_empty() {
        return Err(Failed::bad("channels is empty".to_owned()));
    }
    let data = Bytes::from(single_line(&request.data).into_owned());
    let publishes = request
        .channels
        .iter()
        .map(|channel| api.gateway.publish_for_api(channel, data.clone(), request.tags.clone()));
    let outcomes = futures_util::future::join_all(publishes).await;
    let responses = outcomes.into_iter().map(|outcome| match outcome {
        Ok(()) => json!({"result": {}}),
        Err(failed) => {
            if let Some(rejection) = failed.rejection {
                api.gateway.hub.metrics.rejected.inc(rejection);
            }
            json!(failed)
        }
    });
    result(json!({"responses": responses.collect::<Vec<_>>()}))
}

async fn channels(State(api): State<Arc<Api>>, Body(request): Body<ChannelsRequest>) -> Answer {
    api.received.inc(ApiMethod::Channels);
    let channels = api.gateway.backplane.channels(&request.pattern).await.map_err(|_| ErrorCode::Internal)?;
    let channels: BTreeMap<_, _> =
        channels.into_iter().map(|(name, clients)| (name, json!({"num_clients": clients}))).collect();
    result(json!({"channels": channels}))
}

#[derive(Deserialize)]
struct InfoRequest {}

async fn info(State(api): State<Arc<Api>>, Body(InfoRequest {}): Body<InfoRequest>) -> Answer {
    api.received.inc(ApiMethod::Info);
    let instances = api.gateway.backplane.instances().await.map_err(|_| ErrorCode::Internal)?;
    let nodes: Vec<_> = instances
        .iter()
        .map(|instance| {
            json!({
                "uid": format!("{}/{}", instance.id, instance.epoch),
                "name": instance.id,
                "version": instance.version,
                "num_clients": instance.clients,
                "num_users": instance.users,
                "num_channels": instance.channels,
                "num_subs": instance.subscriptions,
                "uptime": instance.uptime,
            })
        })
        .collect();
    result(json!({"nodes": nodes}))
}
