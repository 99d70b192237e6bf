//! The only wiring: a configuration becomes a running broker.

use std::{net::SocketAddr, sync::Arc};

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    admin::Admin,
    auth::{ApiKeys, Histories, Namespaces},
    backplane::{Backplane, StartError},
    cluster::Cluster,
    config::{Config, ConfigError, Problem},
    drain::{Drain, Drained},
    endpoint::{
        Endpoint, Gateway, Phase,
        accept::{self, Admission, Door},
        http, socketio, sse, websocket,
    },
    hooks::{self, Hooks},
    hub::Hub,
    keyring::Watch,
    logic::{Logic, Modules, NamedTwice, Settings, Unusable},
    message::{Address, InstanceId, LogicName},
    metrics::Metrics,
    middleware::{Chain, Middleware, Only},
    pages,
    pipeline::Pipeline,
};

mod boards;
mod configured;
mod own;
mod sockets;

use boards::boards;
pub use own::BadName;
use own::Own;
use sockets::{Sockets, session_settings};

/// A running broker.
pub struct Broker {
    /// Where clients connect.
    pub client_address: SocketAddr,
    /// Where metrics and probes are.
    pub admin_address: SocketAddr,
    /// Where clients connect by TCP, if they can.
    pub tcp_address: Option<SocketAddr>,
    /// Where clients connect by UDP, if they can.
    pub udp_address: Option<SocketAddr>,
    hub: Arc<Hub>,
    drain: Arc<Drain>,
    servers: TaskTracker,
    stop: CancellationToken,
}

/// Why a broker could not start.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// A port cannot be listened on.
    #[error("cannot listen on {key} {address}: {source}")]
    Listen {
        /// The configuration's key.
        key: &'static str,
        /// Its value.
        address: SocketAddr,
        /// The system's error.
        source: std::io::Error,
    },
    /// The keys of tokens cannot be used.
    #[error("the keys of tokens cannot be used: {0}")]
    Keys(#[from] ConfigError),
    /// The certificate of the clients' port is of no use.
    #[error("cannot serve TLS: {0}")]
    Tls(Problem),
    /// The backplane cannot start.
    #[error("cannot start the backplane: {0}")]
    Backplane(#[from] StartError),
    /// Channels are to have history, and the backplane keeps none.
    #[error(
        "channels.namespaces has history, and this backplane keeps none; leave history out, or use another backplane"
    )]
    NoHistory,
    /// The logic modules do not go together.
    #[error(transparent)]
    Logic(#[from] NamedTwice),
    /// An endpoint's name cannot be used.
    #[error(transparent)]
    Endpoint(#[from] BadName),
    /// A webhook cannot be used as it is configured.
    #[error(transparent)]
    Webhook(#[from] Unusable),
    /// A hook cannot be used as it is configured.
    #[error(transparent)]
    Hook(#[from] hooks::Unusable),
}

/// What a broker is made of, beside what its configuration says.
///
/// ```
/// use std::sync::Arc;
///
/// use futures_util::future::{BoxFuture, FutureExt};
/// use switchboard::{
///     Broker,
///     config::Config,
///     logic::{Context, Kind, Logic, Outcome, Settings},
///     message::Message,
///     middleware::Middleware,
/// };
///
/// /// Answers each call with what it was called with.
/// struct Echo;
///
/// impl Logic for Echo {
///     fn receive<'a>(&'a self, message: Message, _context: &'a Context) -> BoxFuture<'a, Outcome> {
///         async move { Ok(Some(message.payload)) }.boxed()
///     }
/// }
///
/// /// Stops messages that are larger than this.
/// struct AtMost(usize);
///
/// impl Middleware for AtMost {
///     fn process(&self, message: &mut Message) {
///         if message.payload.len() > self.0 {
///             message.reject("size", format!("at most {} bytes are allowed", self.0));
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let text = "client: {address: 127.0.0.1:0}\nadmin: {address: 127.0.0.1:0}\nauth: {anonymous: true}";
/// let settings = Config::parse("settings", text, std::env::vars())?;
/// let broker = Broker::builder()
///     .settings(settings)
///     .logic("echo", Settings { takes_calls: true, ..Settings::new(Kind::Dispatched(8)) }, Arc::new(Echo))
///     .receive(Arc::new(AtMost(1024)))
///     .start()
///     .await?;
/// println!("clients connect to {}", broker.client_address);
/// broker.drain().await;
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Builder {
    config: Config,
    backplane: Option<Arc<dyn Backplane>>,
    receive: Vec<Arc<dyn Middleware>>,
    send: Vec<Arc<dyn Middleware>>,
    logic: Vec<(LogicName, Settings, Arc<dyn Logic>)>,
    endpoints: Vec<(&'static str, Arc<dyn Endpoint>)>,
    /// The endpoints that middleware is for.
    named: Vec<String>,
}

impl Builder {
    /// With this configuration; without one the defaults count.
    #[must_use]
    pub fn settings(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Reaching other instances through this, whatever the configuration's `redis` says.
    #[must_use]
    pub fn backplane(mut self, backplane: Arc<dyn Backplane>) -> Self {
        self.backplane = Some(backplane);
        self
    }

    /// With a logic module, beside those of the configuration.
    #[must_use]
    pub fn logic(mut self, name: &str, settings: Settings, logic: Arc<dyn Logic>) -> Self {
        self.logic.push((LogicName::new(name), settings, logic));
        self
    }

    /// With an endpoint of one's own, beside those of the configuration. The name is the label `endpoint` of its
    /// metrics, and where its clients are said to have come in: small letters, digits and `_`.
    #[must_use]
    pub fn endpoint(mut self, name: &'static str, endpoint: Arc<dyn Endpoint>) -> Self {
        self.endpoints.push((name, endpoint));
        self
    }

    /// With another middleware that sees every message that comes in, behind those that are there.
    #[must_use]
    pub fn receive(mut self, middleware: Arc<dyn Middleware>) -> Self {
        self.receive.push(middleware);
        self
    }

    /// With another middleware that sees every message before it goes to clients, behind those that are there.
    #[must_use]
    pub fn send(mut self, middleware: Arc<dyn Middleware>) -> Self {
        self.send.push(middleware);
        self
    }

    /// As [`Builder::receive`], for what comes in by the endpoints of these names only: `websocket`, `socketio`, `sse`,
    /// `tcp`, `udp`, `http` (the server API), or one's own.
    #[must_use]
    pub fn receive_from(self, endpoints: &[&str], middleware: Arc<dyn Middleware>) -> Self {
        let (this, only) = self.only(endpoints, middleware);
        this.receive(only)
    }

    /// As [`Builder::send`], for what came in by the endpoints of these names only.
    #[must_use]
    pub fn send_from(self, endpoints: &[&str], middleware: Arc<dyn Middleware>) -> Self {
        let (this, only) = self.only(endpoints, middleware);
        this.send(only)
    }

    fn only(mut self, endpoints: &[&str], middleware: Arc<dyn Middleware>) -> (Self, Arc<dyn Middleware>) {
        let endpoints: Vec<_> = endpoints.iter().map(|name| (*name).to_owned()).collect();
        self.named.extend_from_slice(&endpoints);
        (self, Arc::new(Only::of(endpoints, middleware)))
    }

    /// Starts the broker; it takes clients when this returns.
    pub async fn start(self) -> Result<Broker, BrokerError> {
        let config = self.config;
        let own = Own::new(self.endpoints)?;
        own.check(self.named.iter().chain(config.middleware.endpoints()))?;
        let backplane = self.backplane.unwrap_or_else(|| configured::backplane(&config));
        let admin_listener = listen("admin.address", config.admin.address).await?;
        let client_listener = listen("client.address", config.client.address).await?;
        let sockets = Sockets::open(&config).await?;

        let (keys, authenticator) = Watch::begin(&config.auth)?;
        let metrics = Arc::new(Metrics::new());
        let admission = Admission::new(&config.limits);
        let door = Door::new(&config.client, admission.clone(), metrics.clone()).map_err(BrokerError::Tls)?;
        let address = Address::starting_now(InstanceId::new(&config.instance.id));
        let hub = Arc::new(Hub::new(address, metrics.clone()));
        let mut modules = configured::modules(&config, &metrics)?;
        modules.extend(self.logic);
        let modules = Modules::new(modules, &metrics)?;
        let (cluster, inbound) = Cluster::new(hub.clone(), backplane.clone(), modules.clone());
        let histories = Histories::new(&config.channels);
        if !histories.is_empty() && !backplane.keeps_history() {
            return Err(BrokerError::NoHistory);
        }
        let receive = Chain::new(configured::receive(&config).chain(self.receive).collect());
        let send = Chain::new(configured::send(&config).chain(self.send).collect());
        let pipeline = Pipeline::new(receive, send, cluster.clone(), modules.clone(), histories);
        let (hooks, teller) = Hooks::new(&config, &hub.address.instance, &metrics)?;
        let namespaces = Namespaces::new(&config.endpoints.presence.with_boards(&config.channels));
        let gateway = Gateway::new(pipeline.clone(), authenticator, namespaces, config.limits.clone());
        let gateway = Arc::new(gateway.with_hooks(hooks));

        inbound.serve(&gateway);

        let connections = TaskTracker::new();
        let drain =
            Drain::new(gateway.clone(), connections.clone(), config.drain.grace.get(), config.drain.pace);
        let drain = Arc::new(drain);
        let (servers, stop) = (TaskTracker::new(), CancellationToken::new());
        let (client_address, admin_address) = (address_of(&client_listener), address_of(&admin_listener));
        let (tcp_address, udp_address) = sockets.addresses();

        servers.spawn(keys.run(gateway.auth.clone(), gateway.hub.metrics.clone(), stop.clone()));
        // The admin port first: while the backplane starts, the process is live and not ready.
        let admin = Admin { gateway: gateway.clone(), drain: drain.clone() };
        servers.spawn(accept::serve(admin_listener, admin.router(), None, stop.clone()));
        // Before the backplane starts: an endpoint says there what it wants to hear from it.
        let router = client_router(&config, &gateway, &admission, &connections);
        backplane.start(inbound).await?;
        modules.start(&pipeline);
        let syncing = stop.clone();
        servers.spawn(async move { syncing.run_until_cancelled(cluster.sync()).await });
        sockets.serve(&config, &gateway, (&admission, &connections), (&servers, &stop));
        let router = router.merge(boards(&config, &gateway, (&admission, &connections), (&servers, &stop)));
        servers.spawn(accept::serve(client_listener, router, Some(Arc::new(door)), stop.clone()));
        if let Some(teller) = teller {
            servers.spawn(teller.run(stop.clone()));
        }
        gateway.enter_phase(Phase::Open);
        own.start(&config, &gateway, (&admission, &connections), (&servers, &stop));
        for (transport, address) in [("TCP", tcp_address), ("UDP", udp_address)] {
            if let Some(address) = address {
                tracing::info!(%address, "clients may connect by {transport}");
            }
        }
        tracing::info!(instance = %gateway.hub.address, %client_address, %admin_address, "ready");
        Ok(Broker { client_address, admin_address, tcp_address, udp_address, hub, drain, servers, stop })
    }
}

impl Broker {
    /// A broker to be put together.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Starts a broker of this configuration and nothing else; it takes clients when this returns.
    pub async fn start(config: Config) -> Result<Self, BrokerError> {
        Self::builder().settings(config).start().await
    }

    /// Ends when another instance with the same ID has started later: this one has to [drain](Broker::drain) then.
    pub async fn superseded(&self) {
        self.hub.superseded().await;
    }

    /// Leaves in an orderly way: see [`Drain`]. Then every socket is closed.
    pub async fn drain(&self) -> Drained {
        let drained = self.drain.run().await;
        self.stop.cancel();
        self.servers.close();
        self.servers.wait().await;
        drained
    }
}

fn client_router(
    config: &Config,
    gateway: &Arc<Gateway>,
    admission: &Arc<Admission>,
    connections: &TaskTracker,
) -> Router {
    let mut router = Router::new();
    let settings = &config.endpoints.websocket;
    if settings.enabled {
        let session = session_settings(config, settings.ping_interval.get(), settings.pong_timeout.get());
        let origins = config.client.allowed_origins.clone();
        let (admission, connections) = (admission.clone(), connections.clone());
        let endpoint = websocket::Endpoint::new(gateway.clone(), session, origins, admission, connections);
        router = router.merge(endpoint.router(&config.endpoints.websocket.path));
    }
    if config.endpoints.sse.enabled {
        let settings = sse::Settings {
            ping_interval: config.endpoints.sse.ping_interval.get(),
            message_size: config.limits.message_size.bytes(),
            outbox_size: config.limits.outbox_size.bytes(),
            allowed_origins: config.client.allowed_origins.clone(),
            compression: config.endpoints.sse.compression,
        };
        let endpoint = sse::Endpoint::new(gateway.clone(), settings, admission.clone(), connections.clone());
        router = router.merge(endpoint.router(&config.endpoints.sse.path));
    }
    if config.endpoints.socketio.enabled {
        let settings = socketio::Settings {
            endpoint: config.endpoints.socketio.clone(),
            outbox_size: config.limits.outbox_size.bytes(),
            allowed_origins: config.client.allowed_origins.clone(),
        };
        let (admission, connections) = (admission.clone(), connections.clone());
        let endpoint = socketio::Endpoint::new(gateway.clone(), settings, admission, connections);
        router = router.merge(endpoint.router(&config.endpoints.socketio.path));
    }
    if config.endpoints.http.enabled {
        let keys = ApiKeys::new(&config.auth.api_keys);
        router = router.merge(http::router(&config.endpoints.http.path, gateway.clone(), keys));
    }
    router.merge(pages::router(config))
}

async fn listen(key: &'static str, address: SocketAddr) -> Result<TcpListener, BrokerError> {
    TcpListener::bind(address).await.map_err(|source| BrokerError::Listen { key, address, source })
}

fn address_of(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("a bound socket has an address")
}
