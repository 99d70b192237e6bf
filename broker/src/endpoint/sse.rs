//! The unidirectional form of the Centrifuge protocol over server-sent events: for those who only listen, with
//! nothing but an `EventSource` or `curl`.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio_util::task::TaskTracker;

use super::{
    EndpointKind, Gateway,
    accept::{Admission, Beside, Peer},
    gateway::End,
    origin,
};
use crate::{
    codec::{Encoder, sse::JsonAsEvents},
    metrics::{EndpointMetrics, Rejection},
};

mod events;
mod gzip;
mod hello;
mod keeper;
mod session;

#[cfg(any(test, switchboard_fuzz))]
pub(crate) use hello::fuzz;

use events::Events;
use gzip::Gzip;
use keeper::Keeper;
use session::Session;

/// What every connection of the endpoint shares.
pub struct Endpoint {
    gateway: Arc<Gateway>,
    encoder: Arc<dyn Encoder>,
    settings: Settings,
    admission: Arc<Admission>,
    connections: TaskTracker,
    metrics: EndpointMetrics,
}

/// How connections are kept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Time between two pings.
    pub ping_interval: Duration,
    /// The largest body of a request, in bytes.
    pub message_size: usize,
    /// Unsent bytes of one client before it is closed as too slow.
    pub outbox_size: usize,
    /// Origins that browsers may come from; empty is the host itself only.
    pub allowed_origins: Vec<String>,
    /// Whether events are compressed for clients that understand that.
    pub compression: bool,
}

impl Endpoint {
    /// An endpoint whose clients take their places from `admission`, and whose connections are counted by
    /// `connections`, so that a drain can wait for them.
    pub fn new(
        gateway: Arc<Gateway>,
        settings: Settings,
        admission: Arc<Admission>,
        connections: TaskTracker,
    ) -> Self {
        let metrics = gateway.hub.metrics.endpoint(EndpointKind::Sse.as_str());
        Self { gateway, encoder: Arc::new(JsonAsEvents), settings, admission, connections, metrics }
    }

    /// The route of the endpoint.
    pub fn router(self, path: &str) -> Router {
        Router::new().route(path, get(open).post(open).options(preflight)).with_state(Arc::new(self))
    }

    fn refuse(&self, reason: Rejection) {
        self.gateway.hub.metrics.rejected.inc(reason);
    }
}

/// What a refused request is answered with, where no event can tell it.
type Refusal = (StatusCode, String);

async fn open(
    State(endpoint): State<Arc<Endpoint>>,
    Extension(peer): Extension<Peer>,
    Extension(beside): Extension<Beside>,
    request: Request,
) -> Response {
    let origin = match origin_of(&endpoint, request.headers()) {
        Ok(origin) => origin,
        Err(refusal) => return refusal.into_response(),
    };
    // Routed like a GET, and would connect a client that is sent nothing.
    if request.method() == Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let compressed = endpoint.settings.compression && gzip::is_accepted(request.headers());
    let mut response = match hello::read(request, endpoint.settings.message_size).await {
        Err((reason, refusal)) => {
            endpoint.refuse(reason);
            refusal.into_response()
        }
        Ok(hello) => match Session::begin(&endpoint, &hello, peer).await {
            Ok((session, opening)) => {
                beside.work(Keeper::new(&session, endpoint.settings.ping_interval));
                stream(Events::new(session, opening, compressed.then(Gzip::default)), compressed)
            }
            Err(End { reason, farewell }) => {
                // The status of a refusal would make an `EventSource` give up for good, without a word to the page.
                endpoint.metrics.disconnects.inc(reason);
                stream(Body::from(events::last(&farewell)), false)
            }
        },
    };
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Origin, Accept-Encoding"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    response
}

/// The answer to a browser that asks whether its page may send a request that is more than a plain GET.
async fn preflight(State(endpoint): State<Arc<Endpoint>>, headers: HeaderMap) -> Response {
    let origin = match origin_of(&endpoint, &headers) {
        Ok(origin) => origin,
        Err(refusal) => return refusal.into_response(),
    };
    let mut response = StatusCode::NO_CONTENT.into_response();
    let answer = response.headers_mut();
    answer.insert(header::VARY, HeaderValue::from_static("Origin"));
    answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
    let allowed = HeaderValue::from_static("Cache-Control, Content-Type, Last-Event-ID");
    answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    if let Some(origin) = origin {
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    response
}

/// The page that a request comes from, if it comes from one, which must be allowed.
fn origin_of(endpoint: &Endpoint, headers: &HeaderMap) -> Result<Option<HeaderValue>, Refusal> {
    if origin::is_allowed(headers, &endpoint.settings.allowed_origins) {
        return Ok(headers.get(header::ORIGIN).cloned());
    }
    endpoint.refuse(Rejection::Origin);
    Err((StatusCode::FORBIDDEN, "this origin is not allowed: see client.allowed_origins\n".to_owned()))
}

/// A stream of events, after which the connection is of no use to anybody.
fn stream(events: impl Into<Body>, compressed: bool) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform")),
        (header::CONNECTION, HeaderValue::from_static("close")),
        // Proxies that collect answers before they pass them on, nginx above all, are told not to.
        (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    let mut response = (headers, events.into()).into_response();
    if compressed {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}
