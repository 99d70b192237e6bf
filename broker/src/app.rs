//! The only wiring: a configuration becomes a running broker.

use std::{net::SocketAddr, sync::Arc};

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    admin::Admin,
    auth::{ApiKeys, Authenticator, Namespaces},
    backplane::redis::RedisBackplane,
    backplane::{Backplane, StartError, memory::MemoryBackplane},
    config::Config,
    drain::{Drain, Drained},
    endpoint::{Gateway, Phase, accept, http, websocket},
    hub::Hub,
    message::{Address, InstanceId},
    metrics::Metrics,
    middleware::{Chain, size::PayloadSize},
    pipeline::Pipeline,
};

/// A running broker.
pub struct App {
    /// Where clients connect.
    pub client_address: SocketAddr,
    /// Where metrics and probes are.
    pub admin_address: SocketAddr,
    drain: Arc<Drain>,
    servers: TaskTracker,
    stop: CancellationToken,
}

/// Why a broker could not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
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
    /// The backplane cannot start.
    #[error("cannot start the backplane: {0}")]
    Backplane(#[from] StartError),
}

impl App {
    /// Starts a broker; it takes clients when this returns.
    pub async fn start(config: Config) -> Result<Self, AppError> {
        let backplane: Arc<dyn Backplane> = match &config.redis {
            Some(redis) => Arc::new(RedisBackplane::new(redis.clone())),
            None => {
                tracing::info!("no Redis is configured: a single instance on the memory backplane");
                Arc::new(MemoryBackplane::default())
            }
        };
        Self::with_backplane(config, backplane).await
    }

    /// Starts a broker that reaches the other instances through `backplane`, whatever `config.redis` says.
    pub async fn with_backplane(config: Config, backplane: Arc<dyn Backplane>) -> Result<Self, AppError> {
        let admin_listener = listen("admin.address", config.admin.address).await?;
        let client_listener = listen("client.address", config.client.address).await?;

        let metrics = Arc::new(Metrics::new());
        let hub = Arc::new(Hub::new(Address::starting_now(InstanceId::new(&config.instance.id)), metrics));
        let receive = Chain::new(vec![Arc::new(PayloadSize(config.limits.message_size.bytes()))]);
        let pipeline = Pipeline::new(receive, Chain::default(), hub.clone(), backplane.clone());
        let gateway = Arc::new(Gateway::new(
            hub.clone(),
            backplane.clone(),
            pipeline,
            Authenticator::new(&config.auth),
            Namespaces::new(&config.channels),
            config.limits.clone(),
        ));

        let connections = TaskTracker::new();
        let drain =
            Drain::new(gateway.clone(), connections.clone(), config.drain.grace.get(), config.drain.pace);
        let drain = Arc::new(drain);
        let (servers, stop) = (TaskTracker::new(), CancellationToken::new());
        let (client_address, admin_address) = (address(&client_listener), address(&admin_listener));

        // The admin port first: while the backplane starts, the process is live and not ready.
        let admin = Admin { gateway: gateway.clone(), drain: drain.clone() };
        servers.spawn(accept::serve(admin_listener, admin.router(), stop.clone()));
        backplane.start(hub).await?;
        let router = client_router(&config, &gateway, connections);
        servers.spawn(accept::serve(client_listener, router, stop.clone()));
        gateway.enter_phase(Phase::Open);
        tracing::info!(%client_address, %admin_address, "ready");
        Ok(Self { client_address, admin_address, drain, servers, stop })
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

fn client_router(config: &Config, gateway: &Arc<Gateway>, connections: TaskTracker) -> Router {
    let mut router = Router::new();
    let settings = &config.endpoints.websocket;
    if settings.enabled {
        let settings = websocket::Settings {
            ping_interval: settings.ping_interval.get(),
            pong_timeout: settings.pong_timeout.get(),
            message_size: config.limits.message_size.bytes(),
            outbox_size: config.limits.outbox_size.bytes(),
            connections: config.limits.connections,
            allowed_origins: config.client.allowed_origins.clone(),
        };
        let endpoint = websocket::Endpoint::new(gateway.clone(), settings, connections);
        router = router.merge(endpoint.router(&config.endpoints.websocket.path));
    }
    if config.endpoints.http.enabled {
        let keys = ApiKeys::new(&config.auth.api_keys);
        router = router.merge(http::router(&config.endpoints.http.path, gateway.clone(), keys));
    }
    router
}

async fn listen(key: &'static str, address: SocketAddr) -> Result<TcpListener, AppError> {
    TcpListener::bind(address).await.map_err(|source| AppError::Listen { key, address, source })
}

fn address(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("a bound socket has an address")
}
