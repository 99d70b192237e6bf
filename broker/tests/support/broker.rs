//! Brokers inside the test's process.

use std::{net::SocketAddr, sync::Arc};

use serde_json::Value;
use switchboard::{
    Broker as App, Builder,
    backplane::{
        Backplane,
        memory::{Memory, MemoryBackplane},
    },
    config::Config,
    drain::Drained,
};
use tokio::net::{TcpStream, UdpSocket};

use super::{Client, Datagrams, Lines, Response, metrics, request, within};

/// Anybody may connect, and the tests have a key of the server API.
pub(crate) const OPEN: &str = "auth: {anonymous: true, api_keys: [key-of-the-tests]}\n";

/// The header with the key of [`OPEN`].
pub(crate) const KEY: &str = "X-API-Key: key-of-the-tests\r\n";

/// A running broker.
pub(crate) struct Broker {
    app: Arc<App>,
    pub(crate) client_address: SocketAddr,
    pub(crate) admin_address: SocketAddr,
    tcp_address: Option<SocketAddr>,
    udp_address: Option<SocketAddr>,
}

impl Broker {
    /// Starts a broker with this configuration on free ports.
    pub(crate) async fn start(yaml: &str) -> Self {
        Self::of(App::start(config(yaml)).await.unwrap())
    }

    /// Starts a broker that reaches others through this memory.
    pub(crate) async fn joining(memory: &Arc<Memory>, yaml: &str) -> Self {
        Self::on(Arc::new(MemoryBackplane::joining(memory.clone())), yaml).await
    }

    /// Starts a broker on this backplane.
    pub(crate) async fn on(backplane: Arc<dyn Backplane>, yaml: &str) -> Self {
        Self::of(App::builder().settings(config(yaml)).backplane(backplane).start().await.unwrap())
    }

    /// Starts a broker that was put together by hand.
    pub(crate) async fn built(builder: Builder) -> Self {
        Self::of(builder.start().await.unwrap())
    }

    fn of(app: App) -> Self {
        let (client_address, admin_address) = (app.client_address, app.admin_address);
        let (tcp_address, udp_address) = (app.tcp_address, app.udp_address);
        Self { app: Arc::new(app), client_address, admin_address, tcp_address, udp_address }
    }

    /// A connection whose handshake is done, and nothing else.
    pub(crate) async fn open(&self) -> Client {
        Client::open(self.client_address).await
    }

    /// A connected anonymous client.
    pub(crate) async fn connect(&self) -> Client {
        let mut client = self.open().await;
        client.connect("").await;
        client
    }

    /// The address of the TCP endpoint, which the configuration enables.
    pub(crate) fn tcp_address(&self) -> SocketAddr {
        self.tcp_address.expect("endpoints.tcp is enabled")
    }

    /// The address of the UDP endpoint, which the configuration enables.
    pub(crate) fn udp_address(&self) -> SocketAddr {
        self.udp_address.expect("endpoints.udp is enabled")
    }

    /// A client on a TCP connection that has said nothing.
    pub(crate) async fn tcp(&self) -> Client<TcpStream, Lines> {
        let stream = within("connecting", TcpStream::connect(self.tcp_address())).await.unwrap();
        Client::of_lines(stream)
    }

    /// A client on a UDP socket of its own that has said nothing.
    pub(crate) async fn udp(&self) -> Client<Datagrams, Lines> {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(self.udp_address()).await.unwrap();
        Client::of_lines(Datagrams::new(socket))
    }

    /// The value of a metric; its series with these labels together.
    pub(crate) async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        metrics::sum(&self.admin("GET", "/metrics").await.body, name, labels)
    }

    /// How many WebSocket connections ended for this reason.
    pub(crate) async fn ended(&self, reason: &str) -> u64 {
        self.ended_on("websocket", reason).await
    }

    /// How many connections of this endpoint ended for this reason.
    pub(crate) async fn ended_on(&self, endpoint: &str, reason: &str) -> u64 {
        self.metric("disconnects_total", &[("endpoint", endpoint), ("reason", reason)]).await
    }

    /// How often something was refused for this reason.
    pub(crate) async fn rejected(&self, reason: &str) -> u64 {
        self.metric("rejected_total", &[("reason", reason)]).await
    }

    /// A request to the admin port.
    pub(crate) async fn admin(&self, method: &str, path: &str) -> Response {
        request(self.admin_address, method, path, "", b"").await
    }

    /// A request to the server API with the key, and its answer.
    pub(crate) async fn api(&self, method: &str, body: &Value) -> Value {
        let path = format!("/api/{method}");
        let body = body.to_string();
        let answer = request(self.client_address, "POST", &path, KEY, body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Ends when a later start of the instance has taken its place.
    pub(crate) async fn superseded(&self) {
        self.app.superseded().await;
    }

    /// Leaves in an orderly way, and ends.
    pub(crate) fn drain(&self) -> impl Future<Output = Drained> + Send + 'static {
        let app = self.app.clone();
        async move { app.drain().await }
    }
}

/// A configuration on free ports.
pub(crate) fn config(yaml: &str) -> Config {
    let mut config = Config::parse("the test's configuration", yaml, std::iter::empty()).unwrap();
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    config.client.address = any_port;
    config.admin.address = any_port;
    config.endpoints.tcp.address = any_port;
    config.endpoints.udp.address = any_port;
    config
}
