//! The endpoints that have sockets of their own, beside those that stand on HTTP.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{BrokerError, address_of, listen};
use crate::{
    config::Config,
    endpoint::{Gateway, accept::Admission, session, tcp},
};

/// How an endpoint keeps its sessions that pings so often.
pub(super) fn session_settings(
    config: &Config,
    ping_interval: Duration,
    pong_timeout: Duration,
) -> session::Settings {
    session::Settings {
        ping_interval,
        pong_timeout,
        message_size: config.limits.message_size.bytes(),
        outbox_size: config.limits.outbox_size.bytes(),
        token_grace: config.limits.token_grace.get(),
    }
}

/// The sockets, where the configuration wants them.
pub(super) struct Sockets {
    tcp: Option<TcpListener>,
}

impl Sockets {
    pub(super) async fn open(config: &Config) -> Result<Self, BrokerError> {
        let tcp = &config.endpoints.tcp;
        let mut sockets = Self { tcp: None };
        if tcp.enabled {
            sockets.tcp = Some(listen("endpoints.tcp.address", tcp.address).await?);
        }
        Ok(sockets)
    }

    /// The address for TCP.
    pub(super) fn tcp_address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().map(address_of)
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
    }
}
