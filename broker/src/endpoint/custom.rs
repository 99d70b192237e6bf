//! Endpoints of one's own: what a transport that is not built in is given, and what it owes.

use std::{net::IpAddr, sync::Arc};

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use super::{
    Disconnect, EndpointKind, Gateway, Outbox,
    accept::{Admission, Place},
    session::advice,
};
use crate::{codec::Encoder, metrics::EndpointMetrics, registry::Client};

mod guest;
mod newcomer;
mod outgoing;

pub use guest::Guest;
pub use newcomer::Newcomer;
pub use outgoing::Outgoing;

/// Questions of all clients of one endpoint, to logic or to the backplane, that may be under way together.
const QUESTIONS: usize = 1024;

/// A transport of one's own, which [`Builder::endpoint`](crate::Builder::endpoint) adds under a name.
///
/// Who comes is first [admitted](Host::admit), says who it is, and [connects](Newcomer::connect). That gives a
/// [`Guest`], which acts for the client, and an [`Outgoing`] with all that is to be written to it. Dropping the guest
/// is the client's end: nothing of it is left behind, also when a task panics.
///
/// Nothing has to be done for a drain: from then on nobody is admitted, and each client's [`Outgoing`] ends with
/// [`Disconnect::Shutdown`]. The broker waits for the guests, within its grace.
///
/// `examples/line_endpoint.rs` is a whole one.
pub trait Endpoint: Send + Sync + 'static {
    /// How pushes look on the wire. Asked once: a push is encoded once for all clients of the endpoint.
    fn encoder(&self) -> Arc<dyn Encoder>;

    /// Takes clients, each on a task of its own. Called once, when the broker takes clients, and dropped when the
    /// broker has drained.
    fn run<'a>(&'a self, host: Host) -> BoxFuture<'a, ()>;
}

/// The broker, as an endpoint is given it. Cheap to clone.
#[derive(Clone)]
pub struct Host(Arc<Shared>);

struct Shared {
    gateway: Arc<Gateway>,
    kind: EndpointKind,
    encoder: Arc<dyn Encoder>,
    admission: Arc<Admission>,
    connections: TaskTracker,
    metrics: EndpointMetrics,
    outbox_size: usize,
    questions: Semaphore,
}

/// Who a newcomer is.
#[derive(Clone, Copy)]
pub enum Credentials<'a> {
    /// Whoever this token says, if the broker accepts it: see `auth` of the configuration. An empty token is none, and
    /// is accepted where `auth.anonymous` says so. With a hook instead of tokens, whoever that says.
    Token(&'a str),
    /// This user, for whom the endpoint itself vouches. Nobody has an empty name.
    User(&'a str),
}

impl Host {
    /// The broker for this endpoint. Clients take their places from `admission`, and `connections` counts them for the
    /// drain; each may have so many unsent bytes.
    pub fn new(
        gateway: Arc<Gateway>,
        (name, endpoint): (&'static str, &dyn Endpoint),
        (admission, connections): (Arc<Admission>, TaskTracker),
        outbox_size: usize,
    ) -> Self {
        Self(Arc::new(Shared {
            metrics: gateway.hub.metrics.endpoint(name),
            gateway,
            kind: EndpointKind::Custom(name),
            encoder: endpoint.encoder(),
            admission,
            connections,
            outbox_size,
            questions: Semaphore::new(QUESTIONS),
        }))
    }

    /// The largest message of a client, in bytes: what is larger should be refused before all of it is read.
    pub fn message_size(&self) -> usize {
        self.0.gateway.limits.message_size.bytes()
    }

    /// A place for somebody who has come from this address.
    ///
    /// # Errors
    /// There is none, which was counted: what to tell whoever has come.
    pub fn admit(&self, from: IpAddr) -> Result<Newcomer, Disconnect> {
        let Shared { gateway, admission, connections, outbox_size, .. } = &*self.0;
        let place = gateway.admit(admission, from).map_err(advice)?;
        let outbox = Arc::new(Outbox::new(*outbox_size));
        let stay = Stay {
            number: Some(gateway.newcomer(outbox.clone())),
            host: self.clone(),
            outbox,
            client: None,
            _place: place,
            _open: connections.token(),
        };
        Ok(Newcomer::new(stay))
    }
}

/// From the coming of somebody to the going, which is when this is dropped.
struct Stay {
    host: Host,
    outbox: Arc<Outbox>,
    /// The number as a newcomer, until it is known who it is.
    number: Option<usize>,
    client: Option<Arc<Client>>,
    _place: Place,
    /// A drain waits for it.
    _open: TaskTrackerToken,
}

impl Drop for Stay {
    fn drop(&mut self) {
        let Shared { gateway, metrics, .. } = &*self.host.0;
        self.outbox.close(Disconnect::Gone);
        metrics.disconnects.inc(self.outbox.closing().unwrap_or(Disconnect::Gone));
        if let Some(number) = self.number.take() {
            gateway.no_newcomer(number);
        }
        if let Some(client) = self.client.take() {
            metrics.connections.dec();
            gateway.disconnected(&client, self.outbox.closing().unwrap_or(Disconnect::Gone));
        }
    }
}
