//! Endpoints on connections in memory, for tests whose time stands still until everybody waits.

use std::sync::Arc;

use switchboard::{
    auth::{Authenticator, Histories, Namespaces},
    backplane::{Backplane, memory::MemoryBackplane},
    cluster::Cluster,
    codec::{
        Framer,
        centrifuge::{JsonLines, JsonOverWebSocket},
    },
    config::Period,
    endpoint::{
        EndpointKind, Gateway, Phase,
        connection::Connection,
        session::{Service, Settings},
        tcp,
        websocket::Frames,
    },
    hub::Hub,
    logic::Modules,
    message::{Address, InstanceId},
    metrics::Metrics,
    middleware::Chain,
    pipeline::Pipeline,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream},
    task::JoinHandle,
};

use super::{Client, Lines, broker::config, metrics};

/// Endpoints without sockets.
pub(crate) struct Lab {
    pub(crate) gateway: Arc<Gateway>,
    websocket: Arc<Service>,
    tcp: Arc<Service>,
}

impl Lab {
    /// An endpoint with this configuration.
    pub(crate) async fn start(yaml: &str) -> Self {
        Self::of(yaml, Arc::new(MemoryBackplane::default()), Chain::default()).await
    }

    /// An endpoint on this backplane, with this middleware.
    pub(crate) async fn of(yaml: &str, backplane: Arc<dyn Backplane>, receive: Chain) -> Self {
        let config = config(yaml);
        let metrics = Arc::new(Metrics::new());
        let hub = Arc::new(Hub::new(Address::starting_now(InstanceId::new("lab")), metrics));
        let logic = Modules::new([], &hub.metrics).unwrap();
        let (cluster, inbound) = Cluster::new(hub, backplane.clone(), logic.clone());
        backplane.start(inbound).await.unwrap();
        let gateway = Arc::new(Gateway::new(
            Pipeline::new(receive, Chain::default(), cluster, logic, Histories::new(&config.channels)),
            Authenticator::new(&config.auth, config.auth.jwt.read_keys().unwrap().set),
            Namespaces::new(&config.channels),
            config.limits.clone(),
        ));
        gateway.enter_phase(Phase::Open);
        let service = |kind, encoder: Arc<dyn Framer>, ping: Period, pong: Period| {
            let outbox_size = config.limits.outbox_size.bytes();
            let settings = Settings {
                ping_interval: ping.get(),
                pong_timeout: pong.get(),
                message_size: config.limits.message_size.bytes(),
                outbox_size,
                reply_size: outbox_size,
                token_grace: config.limits.token_grace.get(),
            };
            Arc::new(Service::new(gateway.clone(), kind, encoder, settings))
        };
        let (websocket, tcp) = (&config.endpoints.websocket, &config.endpoints.tcp);
        let (ping, pong) = (websocket.ping_interval, websocket.pong_timeout);
        let websocket = service(EndpointKind::WebSocket, Arc::new(JsonOverWebSocket), ping, pong);
        let tcp = service(EndpointKind::Tcp, Arc::new(JsonLines), tcp.ping_interval, tcp.pong_timeout);
        Self { gateway, websocket, tcp }
    }

    /// A connection through a pipe that holds so many bytes, and the task that serves it.
    pub(crate) fn open(&self, pipe: usize) -> (Client<DuplexStream>, JoinHandle<()>) {
        let (here, there) = tokio::io::duplex(pipe);
        (Client::on(here, Vec::new()), self.serve(there))
    }

    /// The task that serves a connection on this stream.
    pub(crate) fn serve<S>(&self, stream: S) -> JoinHandle<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        tokio::spawn(Connection::new(stream, Frames::default(), &[], self.websocket.clone()))
    }

    /// The same with lines of text.
    pub(crate) fn open_lines(&self, pipe: usize) -> (Client<DuplexStream, Lines>, JoinHandle<()>) {
        let (here, there) = tokio::io::duplex(pipe);
        let connection = Connection::new(there, tcp::Lines::default(), &[], self.tcp.clone());
        (Client::of_lines(here), tokio::spawn(connection))
    }

    /// How many WebSocket connections ended for this reason.
    pub(crate) fn ended(&self, reason: &str) -> u64 {
        self.metric("disconnects_total", &[("endpoint", "websocket"), ("reason", reason)])
    }

    /// The value of a metric; its series with these labels together.
    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        metrics::sum(&self.gateway.hub.metrics.encode(), name, labels)
    }
}
