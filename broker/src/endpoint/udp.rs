//! The Centrifuge client protocol over UDP: the same commands, in datagrams.
//!
//! An address that has connected has a session, which ends when nothing comes from there for a while. Whoever
//! connects has to show a cookie that was sent to the address: until then, no answer is larger than its question.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use ahash::HashMap;
use parking_lot::Mutex;
use tokio::{net::UdpSocket, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Disconnect, EndpointKind, Gateway,
    accept::{Admission, Place},
    session::{self, Service, advice},
};
use crate::{
    codec::{
        Framer,
        centrifuge::{Command, JsonLines, Reply, Request},
        lines::{LARGEST_DATAGRAM, datagrams},
    },
    metrics::{DeliveryFailure, Rejection},
};

mod cookie;
mod peer;

use cookie::Cookies;
use peer::Peer;

/// What any datagram fits into.
const RECEIVE_SIZE: usize = 64 * 1024;

/// How long to wait when nothing can be received.
const RECEIVE_AGAIN: Duration = Duration::from_millis(50);

/// What all sessions of the endpoint share.
pub struct Endpoint {
    service: Arc<Service>,
    settings: Settings,
    socket: UdpSocket,
    /// What clients show to prove that they are where they say.
    cookies: Option<Cookies>,
    begun: Instant,
    peers: Mutex<HashMap<SocketAddr, Arc<Peer>>>,
    admission: Arc<Admission>,
    connections: TaskTracker,
}

/// How sessions are kept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a session lasts that nothing is heard of.
    pub session_timeout: Duration,
    /// How many sessions there may be.
    pub sessions: usize,
    /// What lines are joined up to, in bytes.
    pub datagram_size: usize,
    /// Whether clients have to show a cookie.
    pub cookie: bool,
}

impl Endpoint {
    /// An endpoint on this socket whose clients take their places from `admission`, and whose sessions are counted by
    /// `connections`, so that a drain can wait for them.
    pub fn new(
        gateway: Arc<Gateway>,
        session: session::Settings,
        settings: Settings,
        socket: UdpSocket,
        admission: Arc<Admission>,
        connections: TaskTracker,
    ) -> Self {
        let session = session::Settings { reply_size: LARGEST_DATAGRAM, ..session };
        let service = Service::new(gateway, EndpointKind::Udp, Arc::new(JsonLines), session);
        let cookies = settings.cookie.then(Cookies::new);
        let (service, begun, peers) = (Arc::new(service), Instant::now(), Mutex::default());
        Self { service, settings, socket, cookies, begun, peers, admission, connections }
    }

    /// Receives datagrams until `stop` is cancelled.
    pub async fn serve(self: Arc<Self>, stop: CancellationToken) {
        let mut buffer = vec![0; RECEIVE_SIZE].into_boxed_slice();
        while let Some(received) = stop.run_until_cancelled(self.socket.recv_from(&mut buffer)).await {
            match received {
                Ok((length, from)) => self.received(&buffer[..length], from),
                Err(error) => {
                    tracing::warn!(%error, "cannot receive a datagram");
                    tokio::time::sleep(RECEIVE_AGAIN).await;
                }
            }
        }
    }

    fn received(self: &Arc<Self>, datagram: &[u8], from: SocketAddr) {
        let peer = self.peers.lock().get(&from).cloned();
        if let Some(peer) = &peer {
            peer.heard();
        }
        let text = match self.text(datagram) {
            Ok(text) => text,
            Err(reason) => {
                self.service.count_refused(reason);
                if let Some(peer) = peer {
                    peer.close(reason);
                }
                return;
            }
        };
        if text.trim_ascii().is_empty() {
            return;
        }
        let mut commands = Command::read_all(text).peekable();
        let first = commands.peek().and_then(|command| command.as_ref().ok());
        let connects = first.and_then(|first| match &first.request {
            Request::Connect(connect) => Some((first.id, connect)),
            _ => None,
        });
        match (connects, peer) {
            (Some((id, connect)), known) => match self.is_proven(&connect.cookie, from) {
                true => self.begin(from, known, commands),
                false => self.challenge(id, from, datagram.len()),
            },
            (None, Some(peer)) => peer.handle(commands),
            // Without a session nothing is answered, for nobody may be there.
            (None, None) => {
                let is_command = first.is_some();
                self.service.count(match is_command {
                    true => Rejection::NotConnected,
                    false => Rejection::Malformed,
                });
            }
        }
    }

    fn text<'a>(&self, datagram: &'a [u8]) -> Result<&'a str, Disconnect> {
        if datagram.len() > self.service.settings.message_size {
            return Err(Disconnect::TooBig);
        }
        std::str::from_utf8(datagram).map_err(|_| Disconnect::InvalidData)
    }

    fn is_proven(&self, cookie: &str, address: SocketAddr) -> bool {
        let knows = |cookies: &Cookies| cookies.knows(cookie, address, self.begun.elapsed());
        self.cookies.as_ref().is_none_or(knows)
    }

    /// Asks for a cookie, if there is room for the question: it must not be larger than what it answers.
    fn challenge(&self, id: u32, address: SocketAddr, room: usize) {
        self.service.count(Rejection::NoCookie);
        let Some(cookies) = &self.cookies else { return };
        let cookie = cookies.make(address, self.begun.elapsed());
        let mut datagram = Vec::new();
        JsonLines.frame(&mut datagram, &mut |out| Reply::Cookie(&cookie).write(id, out));
        if datagram.len() <= room {
            self.try_send(&datagram, address);
        }
    }

    /// Begins a session with its first commands. One that there is from the same address ends: whoever connects has
    /// forgotten it.
    fn begin<'a>(
        self: &Arc<Self>,
        address: SocketAddr,
        known: Option<Arc<Peer>>,
        commands: impl Iterator<Item = serde_json::Result<Command<'a>>>,
    ) {
        let place = known.and_then(|known| {
            self.forget(address, &known);
            known.give_up()
        });
        let place = match place.map_or_else(|| self.admit(address.ip()), Ok) {
            Ok(place) => place,
            Err(reason) => {
                let mut datagram = Vec::new();
                JsonLines.end(&advice(reason).into(), &mut datagram);
                return self.try_send(&datagram, address);
            }
        };
        let peer = Arc::new(Peer::new(self.service.clone(), place));
        self.peers.lock().insert(address, peer.clone());
        peer.handle(commands);
        let endpoint = self.clone();
        self.connections.spawn(async move { peer.run(&endpoint, address).await });
    }

    /// A place for one more session.
    fn admit(&self, from: IpAddr) -> Result<Place, Rejection> {
        if self.peers.lock().len() >= self.settings.sessions {
            self.service.count(Rejection::ConnectionLimit);
            return Err(Rejection::ConnectionLimit);
        }
        self.service.admit(&self.admission, from)
    }

    fn forget(&self, address: SocketAddr, peer: &Arc<Peer>) {
        let mut peers = self.peers.lock();
        if peers.get(&address).is_some_and(|there| Arc::ptr_eq(there, peer)) {
            peers.remove(&address);
        }
    }

    /// Sends lines to an address, several in a datagram.
    async fn send(&self, lines: &[u8], to: SocketAddr) {
        let failures = &self.service.gateway.hub.metrics.delivery_failures;
        for datagram in datagrams(lines, self.settings.datagram_size) {
            if datagram.len() > LARGEST_DATAGRAM {
                failures.inc(DeliveryFailure::TooLarge);
            } else if let Err(error) = self.socket.send_to(datagram, to).await {
                tracing::debug!(%error, "cannot send a datagram");
                failures.inc(DeliveryFailure::SendFailed);
            }
        }
    }

    /// Sends a datagram to an address that has no session, if that needs no waiting: its sender will ask again.
    fn try_send(&self, datagram: &[u8], to: SocketAddr) {
        if let Err(error) = self.socket.try_send_to(datagram, to) {
            tracing::debug!(%error, "cannot send a datagram");
        }
    }
}
