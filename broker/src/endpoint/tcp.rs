//! The Centrifuge client protocol over plain TCP: one JSON text a line, so that a person with `nc` can speak it.

use std::{net::IpAddr, sync::Arc, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    EndpointKind, Gateway,
    accept::Admission,
    connection::Connection,
    session::{Service, Settings, advice},
};
use crate::codec::centrifuge::JsonLines;

mod lines;

pub use lines::Lines;

/// How long to wait when no connection can be accepted: out of file descriptors, most likely.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// How long a connection is silent before the system asks whether the client is there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// What every connection of the endpoint shares.
pub struct Endpoint {
    service: Arc<Service>,
    admission: Arc<Admission>,
    connections: TaskTracker,
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
        let service = Service::new(gateway, EndpointKind::Tcp, Arc::new(JsonLines), settings);
        Self { service: Arc::new(service), admission, connections }
    }

    /// Accepts connections until `stop` is cancelled.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, from)) => self.accept(stream, from.ip()),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    }

    fn accept(&self, stream: TcpStream, from: IpAddr) {
        // Lines are written whole, so waiting for more to send would only add latency.
        let _ = stream.set_nodelay(true);
        if self.service.settings.ping_interval.is_zero() {
            // Without pings only the system notices a client that is gone without a word.
            let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
            let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
        }
        let connection = Connection::new(stream, Lines::default(), &[], self.service.clone());
        match self.service.admit(&self.admission, from) {
            Ok(place) => {
                self.connections.spawn(async move {
                    let _place = place;
                    connection.await;
                });
            }
            Err(reason) => {
                // It is none of the connections: it ends as soon as it was told.
                connection.close(advice(reason));
                tokio::spawn(connection);
            }
        }
    }
}
