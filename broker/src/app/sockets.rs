//! The endpoints that have sockets of their own, beside those that stand on HTTP.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::{TcpListener, UdpSocket};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{BrokerError, address_of, listen};
use crate::{
    config::Config,
    endpoint::{Gateway, accept::Admission, session, tcp, udp},
};

/// How an endpoint keeps its sessions that pings so often.
pub(super) fn session_settings(
    config: &Config,
    ping_interval: Duration,
    pong_timeout: Duration,
) -> session::Settings {
    let outbox_size = config.limits.outbox_size.bytes();
    session::Settings {
        ping_interval,
        pong_timeout,
        message_size: config.limits.message_size.bytes(),
        outbox_size,
        reply_size: outbox_size,
        token_grace: config.limits.token_grace.get(),
    }
}

/// The sockets, where the configuration wants them.
pub(super) struct Sockets {
    tcp: Option<TcpListener>,
    udp: Option<UdpSocket>,
}

impl Sockets {
    pub(super) async fn open(config: &Config) -> Result<Self, BrokerError> {
        let (tcp, udp) = (&config.endpoints.tcp, &config.endpoints.udp);
        let mut sockets = Self { tcp: None, udp: None };
        if tcp.enabled {
            sockets.tcp = Some(listen("endpoints.tcp.address", tcp.address).await?);
        }
        if udp.enabled {
            let (key, address) = ("endpoints.udp.address", udp.address);
            let bound = UdpSocket::bind(address).await;
            sockets.udp = Some(bound.map_err(|source| BrokerError::Listen { key, address, source })?);
        }
        Ok(sockets)
    }

    /// The addresses for TCP and UDP.
    pub(super) fn addresses(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let udp = |socket: &UdpSocket| socket.local_addr().expect("a bound socket has an address");
        (self.tcp.as_ref().map(address_of), self.udp.as_ref().map(udp))
    }

    /// Serves the endpoints on `servers` until `stop` is cancelled. Their clients take their places from `admission`,
    /// and are counted by `connections`.
    pub(super) fn serve(
        self,
        config: &Config,
        gateway: &Arc<Gateway>,
        (admission, connections): (&Arc<Admission>, &TaskTracker),
        (servers, stop): (&TaskTracker, &CancellationToken),
    ) {
        if let Some(listener) = self.tcp {
            let settings = &config.endpoints.tcp;
            let (ping, pong) = (settings.ping_interval.get(), settings.pong_timeout.get());
            let session = session_settings(config, ping, pong);
            let endpoint =
                tcp::Endpoint::new(gateway.clone(), session, admission.clone(), connections.clone());
            servers.spawn(endpoint.serve(listener, stop.clone()));
        }
        if let Some(socket) = self.udp {
            let settings = &config.endpoints.udp;
            let session = session_settings(config, Duration::ZERO, Duration::ZERO);
            let settings = udp::Settings {
                session_timeout: settings.session_timeout.get(),
                sessions: settings.sessions,
                datagram_size: settings.datagram_size.bytes(),
                cookie: settings.cookie,
            };
            let (gateway, admission, connections) = (gateway.clone(), admission.clone(), connections.clone());
            let endpoint = udp::Endpoint::new(gateway, session, settings, socket, admission, connections);
            servers.spawn(Arc::new(endpoint).serve(stop.clone()));
        }
    }
}
