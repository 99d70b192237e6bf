//! Socket.IO: Engine.IO over WebSocket or by requests, and what clients of several namespaces say on top of it.
//!
//! A connection is a [`Session`], which every request of it finds by its `sid`, on whatever instance it arrives. Each
//! (connection, namespace) is a client of the broker. What waits for all of them stands in one outbox, as frames of a
//! WebSocket; a connection that asks by requests is given the same as a body.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::to_bytes,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::any,
};
use futures_util::future::{BoxFuture, FutureExt};
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::task::TaskTracker;

use super::{
    Disconnect, EndpointKind, Gateway,
    accept::{Admission, Peer},
    origin,
};
use crate::{
    cluster::{Answered, Answerer, AskError, Asking, Sockets},
    codec::{
        Encoder,
        socketio::{Events, MAIN},
    },
    config::{EventRule, Socketio, Transport},
    message::ClientId,
    metrics::{EndpointMetrics, Rejection},
};

mod acts;
mod alone;
mod asks;
mod conversation;
mod elsewhere;
mod emitter;
mod frames;
mod keeper;
mod online;
mod polling;
mod relay;
mod reply;
mod request;
mod session;
mod sid;
mod socket;
mod upgrade;

#[cfg(any(test, switchboard_fuzz))]
pub(crate) use frames::fuzz;

use elsewhere::{Op, Others, Where};
use polling::By;
use request::{Fault, Query};
use session::{Session, Sessions};

/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// Questions of all clients, to logic, to the backplane or to each other, that may be under way together.
const QUESTIONS: usize = 1024;

/// What every connection of the endpoint shares.
pub struct Endpoint {
    gateway: Arc<Gateway>,
    settings: Settings,
    admission: Arc<Admission>,
    connections: TaskTracker,
    metrics: EndpointMetrics,
    namespaces: HashMap<String, Arc<Namespace>>,
    rules: HashMap<String, Vec<EventRule>>,
    sessions: Sessions,
    others: Others,
    questions: Arc<Semaphore>,
}

/// How connections are kept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What the configuration says of the endpoint.
    pub endpoint: Socketio,
    /// Unsent bytes of one connection before it is closed as too slow.
    pub outbox_size: usize,
    /// Origins that browsers may come from; empty is the host itself only.
    pub allowed_origins: Vec<String>,
}

/// One namespace.
struct Namespace {
    name: String,
    /// What the names of its channels begin with.
    prefix: String,
    encoder: Arc<dyn Encoder>,
}

impl Namespace {
    fn new(name: &str, settings: &Socketio) -> Self {
        let prefix = match name {
            MAIN => String::new(),
            other => format!("{}:", other.trim_start_matches('/')),
        };
        let encoder = Arc::new(Events::of(name, &prefix, &settings.message_event, &settings.volatile()));
        Self { name: name.to_owned(), prefix, encoder }
    }
}

impl Endpoint {
    /// An endpoint whose clients take their places from `admission`, and whose connections are counted by
    /// `connections`, so that a drain can wait for them. What other instances ask about its connections it answers. To be made before the
    /// backplane starts, so that it hears emitters and of departures.
    pub fn new(
        gateway: Arc<Gateway>,
        settings: Settings,
        admission: Arc<Admission>,
        connections: TaskTracker,
    ) -> Arc<Self> {
        let metrics = gateway.hub.metrics.endpoint(EndpointKind::SocketIo.as_str());
        let of = &settings.endpoint;
        let namespaces =
            of.namespaces.iter().map(|name| (name.clone(), Arc::new(Namespace::new(name, of)))).collect();
        let mut rules: HashMap<_, Vec<_>> = HashMap::new();
        for rule in of.rules() {
            rules.entry(rule.event.clone()).or_default().push(rule);
        }
        let others = Others::new(&gateway.hub.metrics);
        let endpoint = Arc::new(Self {
            gateway,
            settings,
            admission,
            connections,
            metrics,
            namespaces,
            rules,
            sessions: Sessions::default(),
            others,
            questions: Arc::new(Semaphore::new(QUESTIONS)),
        });
        let answerer: Arc<dyn Answerer> = endpoint.clone();
        let _ = endpoint.gateway.answerer.set(Arc::downgrade(&answerer));
        let sockets: Arc<dyn Sockets> = endpoint.clone();
        endpoint.gateway.hub.serve_sockets(Arc::downgrade(&sockets));
        endpoint.hear_emitters();
        endpoint.watch_whether_alone();
        endpoint.watch_departures();
        endpoint
    }

    /// The routes of the endpoint: clients write the path with a slash at its end.
    pub fn router(self: Arc<Self>, path: &str) -> Router {
        Router::new().route(path, any(serve)).route(&format!("{path}/"), any(serve)).with_state(self)
    }

    fn count(&self, reason: Rejection) {
        self.gateway.hub.metrics.rejected.inc(reason);
    }

    fn offers(&self, transport: Transport) -> bool {
        self.settings.endpoint.transports.contains(&transport)
    }

    /// The largest body or frame of a client.
    fn max_payload(&self) -> usize {
        self.settings.endpoint.max_payload.bytes()
    }
}

impl Sockets for Endpoint {
    fn expel(&self, client: ClientId, reason: Disconnect) -> bool {
        self.sessions.of(client).is_some_and(|(session, _)| session.expel(client, reason))
    }

    fn ask(&self, asking: Asking) -> BoxFuture<'_, Result<Answered, AskError>> {
        self.ask_for_backend(asking).boxed()
    }
}

async fn serve(
    State(endpoint): State<Arc<Endpoint>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    let headers = request.headers();
    if !origin::is_allowed(headers, &endpoint.settings.allowed_origins) {
        endpoint.count(Rejection::Origin);
        return Fault::Forbidden.into_response();
    }
    let origin = headers.get(header::ORIGIN).cloned();
    let mut response = match *request.method() {
        Method::OPTIONS => preflight(),
        _ => answer(&endpoint, peer, request).await.unwrap_or_else(|fault| {
            match fault {
                Fault::UnknownSid => endpoint.count(Rejection::UnknownClient),
                Fault::TooLarge => endpoint.count(Rejection::TooLarge),
                Fault::Ended | Fault::Full | Fault::AddressFull => {}
                _ => endpoint.count(Rejection::Malformed),
            }
            fault.into_response()
        }),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if endpoint.settings.endpoint.cookie.is_some() {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
    response
}

/// The answer to a browser that asks whether its page may send a request that is more than a plain one.
fn preflight() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("Content-Type, Authorization"),
    );
    response
}

async fn answer(endpoint: &Arc<Endpoint>, peer: Peer, request: Request) -> Result<Response, Fault> {
    let query = Query::read(request.uri())?;
    if !endpoint.offers(query.transport) {
        return Err(Fault::UnknownTransport);
    }
    let is_upgrade = request.headers().contains_key(header::UPGRADE);
    if is_upgrade != (query.transport == Transport::Websocket) {
        return Err(Fault::BadRequest);
    }
    let Some(sid) = &query.sid else {
        if request.method() != Method::GET {
            return Err(Fault::BadMethod);
        }
        if is_upgrade {
            return upgrade::begin(endpoint, peer, request);
        }
        return begin(endpoint, peer).await;
    };
    let place = endpoint.find(sid).await;
    if is_upgrade {
        return match place {
            Where::Here(session) => upgrade::go_on(session, request),
            Where::Elsewhere(address) => {
                upgrade::go_on_elsewhere(endpoint, (address, sid), peer, request).await
            }
            Where::Nowhere => Err(Fault::UnknownSid),
        };
    }
    match *request.method() {
        Method::GET => {
            let body = match place {
                Where::Here(session) => session.poll(By::Request).await?,
                Where::Elsewhere(address) => endpoint.poll_elsewhere(address, Op::Poll, sid).await?,
                Where::Nowhere => return Err(Fault::UnknownSid),
            };
            Ok(body_response(body))
        }
        Method::POST => {
            if matches!(place, Where::Nowhere) {
                return Err(Fault::UnknownSid);
            }
            let body = read_body(endpoint, request).await?;
            match place {
                Where::Here(session) => session.post(&body, By::Request).await?,
                Where::Elsewhere(address) => endpoint.post_elsewhere(address, Op::Post, sid, &body).await?,
                Where::Nowhere => {}
            }
            Ok(([(header::CONTENT_TYPE, "text/html")], "ok").into_response())
        }
        _ => Err(Fault::BadRequest),
    }
}

/// Reads a body, which is bounded in size and time.
async fn read_body(endpoint: &Endpoint, request: Request) -> Result<String, Fault> {
    let limit = endpoint.max_payload();
    let is_too_long = |headers: &HeaderMap| {
        let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        length.and_then(|length| length.parse::<u64>().ok()).is_some_and(|length| length > limit as u64)
    };
    if is_too_long(request.headers()) {
        return Err(Fault::TooLarge);
    }
    match timeout(BODY_WITHIN, to_bytes(request.into_body(), limit)).await {
        Ok(Ok(body)) => String::from_utf8(body.into()).map_err(|_| Fault::BadRequest),
        Ok(Err(_)) => Err(Fault::TooLarge),
        Err(_) => Err(Fault::BadRequest),
    }
}

fn body_response(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=UTF-8")], body).into_response()
}

/// A new connection by requests, and the answer to its first.
async fn begin(endpoint: &Arc<Endpoint>, peer: Peer) -> Result<Response, Fault> {
    let (session, kept) = Session::begin(endpoint, peer, Transport::Polling)?;
    tokio::spawn(keeper::keep(kept));
    let mut response = body_response(session.poll(By::Request).await?);
    if let Some(name) = &endpoint.settings.endpoint.cookie {
        let cookie = format!("{name}={}; Path=/; HttpOnly; SameSite=Lax", session.sid);
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
    }
    Ok(response)
}

/// The rule for an event in a namespace: its own there, or the one for all.
fn rule_of<'a>(endpoint: &'a Endpoint, namespace: &str, event: &str) -> Option<&'a EventRule> {
    let rules = endpoint.rules.get(event)?;
    let own = rules.iter().find(|rule| rule.namespace.as_deref() == Some(namespace));
    own.or_else(|| rules.iter().find(|rule| rule.namespace.is_none()))
}
