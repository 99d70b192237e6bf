//! The generator's event loop: one thread, one epoll, no task and no allocation per message.
//!
//! A turn writes everything that the case queued, waits, and reads everything that is ready; then the case
//! handles all of it. Raw Redis and the brokers are driven by this same loop.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;

use crate::faults::Faults;
use crate::interrupt;
use crate::message::{Publication, Stamp};
use crate::wire::{Said, Wire, excerpt};

/// As many connections are opened at the same time.
const OPENING: usize = 64;
/// Opening fails when nothing happens for so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a case hears of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The connection is served.
    Ready,
    /// Its subscription stands.
    Subscribed,
    /// A message came.
    Message(Stamp),
    /// Something on a board came, which [`Net::told`] has until the next turn.
    Told(Excerpt),
    /// Something went wrong; it is among the faults.
    Failed,
}

/// Where the bytes are that a member of a board was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Excerpt {
    start: usize,
    end: usize,
}

/// Events with the numbers of their connections.
pub(crate) type Events = Vec<(usize, Event)>;

/// All connections of a case, numbered in the order of opening.
pub(crate) struct Net {
    wire: Wire,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    ready: Vec<epoll::Event>,
    scratch: Vec<u8>,
    unsent: Vec<usize>,
    told: Vec<u8>,
    /// Bytes that came, on all connections.
    pub(crate) received: u64,
    /// Replies to publish commands.
    pub(crate) published: u64,
    /// What went wrong so far.
    pub(crate) faults: Faults,
}

/// What a connection waits for while it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Service,
    Subscription,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    /// What to say once the connection is upgraded; none when it is.
    upgraded: Option<Vec<u8>>,
    /// What to say once the connection is served.
    ready: Vec<u8>,
    /// The beginning of what has not come in full.
    input: Vec<u8>,
    output: Vec<u8>,
    /// The kernel takes no more for now.
    blocked: bool,
    closed: bool,
}

impl Net {
    /// A loop without connections.
    ///
    /// # Errors
    /// When the kernel gives no epoll.
    pub(crate) fn new(wire: Wire) -> anyhow::Result<Self> {
        Ok(Self {
            wire,
            epoll: epoll::create(CreateFlags::CLOEXEC).context("create an epoll")?,
            connections: Vec::new(),
            ready: Vec::with_capacity(1024),
            scratch: vec![0; 256 * 1024],
            unsent: Vec::new(),
            told: Vec::new(),
            received: 0,
            published: 0,
            faults: Faults::default(),
        })
    }

    /// Opens connections, each with its subscription if it names a channel, and waits until all are served.
    /// Returns their numbers.
    ///
    /// # Errors
    /// When one of them fails, or nothing happens for ten seconds.
    pub(crate) fn open(
        &mut self,
        wanted: impl IntoIterator<Item = (SocketAddr, Option<String>)>,
    ) -> anyhow::Result<Range<usize>> {
        let first = self.connections.len();
        let mut wanted = wanted.into_iter().fuse();
        // What each waits for; nothing once it has it.
        let mut waits = Vec::new();
        let mut events = Events::new();
        let (mut done, mut deadline) = (0, Instant::now() + PATIENCE);
        loop {
            while waits.len() - done < OPENING {
                let Some((address, channel)) = wanted.next() else { break };
                self.connect(address, channel.as_deref())?;
                waits.push(Some(if channel.is_some() { Wait::Subscription } else { Wait::Service }));
            }
            if done == waits.len() {
                return Ok(first..first + done);
            }
            self.turn(&mut events, Duration::from_millis(100))?;
            for &(id, event) in &events {
                let Some(wait) = id.checked_sub(first).and_then(|index| waits.get_mut(index)) else {
                    continue;
                };
                let has_come = match event {
                    Event::Ready => *wait == Some(Wait::Service),
                    // The first that a member of a board is told is who is there.
                    Event::Subscribed | Event::Told(_) => *wait == Some(Wait::Subscription),
                    Event::Failed => bail!("open connection {id}: {}", self.faults),
                    Event::Message(_) => false,
                };
                if has_come {
                    *wait = None;
                    done += 1;
                }
                deadline = Instant::now() + PATIENCE;
            }
            let opened = waits.len();
            ensure!(
                Instant::now() < deadline,
                "open connections: {done} of {opened} are served, and no more within {PATIENCE:?}"
            );
        }
    }

    fn connect(&mut self, address: SocketAddr, channel: Option<&str>) -> anyhow::Result<()> {
        let id = self.connections.len();
        // On loopback the kernel completes this at once, so it may as well block.
        let stream = TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        epoll::add(&self.epoll, &stream, EventData::new_u64(id as u64), EventFlags::IN)?;
        let opening = self.wire.opening(channel);
        let upgraded = (!opening.upgraded.is_empty()).then_some(opening.upgraded);
        self.connections.push(Connection {
            stream,
            upgraded,
            ready: opening.ready,
            input: Vec::new(),
            output: opening.first,
            blocked: false,
            closed: false,
        });
        self.unsent.push(id);
        Ok(())
    }

    /// Queues bytes for the next turn.
    pub(crate) fn send(&mut self, id: usize, bytes: &[u8]) {
        self.output(id).extend_from_slice(bytes);
    }

    /// Whether it takes nothing more for now: the kernel has not taken all that was sent before, or it is closed.
    pub(crate) fn is_blocked(&self, id: usize) -> bool {
        self.connections[id].blocked || self.connections[id].closed
    }

    /// What a member of a board was told in the last turn.
    pub(crate) fn told(&self, excerpt: Excerpt) -> &[u8] {
        &self.told[excerpt.start..excerpt.end]
    }

    /// Queues a publication for the next turn.
    pub(crate) fn publish(&mut self, id: usize, publication: &Publication, stamp: Stamp) {
        publication.write(stamp, self.output(id));
    }

    fn output(&mut self, id: usize) -> &mut Vec<u8> {
        let connection = &mut self.connections[id];
        if connection.output.is_empty() {
            self.unsent.push(id);
        }
        &mut connection.output
    }

    /// Writes what is queued, waits at most `timeout` for something to read, and fills `events` with it.
    ///
    /// # Errors
    /// When the run was interrupted, or a server sends bytes that are not its protocol's.
    pub(crate) fn turn(&mut self, events: &mut Events, timeout: Duration) -> anyhow::Result<()> {
        interrupt::check()?;
        events.clear();
        self.told.clear();
        for id in std::mem::take(&mut self.unsent) {
            self.write(id, events)?;
        }
        self.ready.clear();
        let timeout = Timespec::try_from(timeout)?;
        match epoll::wait(&self.epoll, spare_capacity(&mut self.ready), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("wait for sockets"),
        }
        for index in 0..self.ready.len() {
            let epoll::Event { flags, data } = self.ready[index];
            let id = data.u64() as usize;
            if flags.contains(EventFlags::OUT) {
                self.connections[id].blocked = false;
                self.watch(id, EventFlags::IN)?;
                self.write(id, events)?;
            }
            if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                self.read(id, events)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, id: usize, events: &mut Events) -> anyhow::Result<()> {
        let connection = &mut self.connections[id];
        if connection.closed || connection.blocked || connection.output.is_empty() {
            return Ok(());
        }
        match connection.stream.write(&connection.output) {
            Ok(length) if length == connection.output.len() => connection.output.clear(),
            Ok(length) => {
                connection.output.drain(..length);
                connection.blocked = true;
                self.watch(id, EventFlags::IN | EventFlags::OUT)?;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                connection.blocked = true;
                self.watch(id, EventFlags::IN | EventFlags::OUT)?;
            }
            Err(error) => self.close(id, &format!("write: {error}"), events)?,
        }
        Ok(())
    }

    fn read(&mut self, id: usize, events: &mut Events) -> anyhow::Result<()> {
        let connection = &mut self.connections[id];
        if connection.closed {
            return Ok(());
        }
        let length = match connection.stream.read(&mut self.scratch) {
            Ok(0) => return self.close(id, "the server closed the connection", events),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return self.close(id, &format!("read: {error}"), events),
        };
        self.received += length as u64;
        let mut fresh = &self.scratch[..length];
        let mut kept = std::mem::take(&mut connection.input);
        if !kept.is_empty() {
            kept.extend_from_slice(fresh);
            fresh = &kept;
        }
        let mut used = 0;
        let mut last_words = None;
        loop {
            let upgrading = connection.upgraded.is_some();
            let mut answer = Vec::new();
            used += self.wire.read(&fresh[used..], upgrading, |said| match said {
                Said::Message(stamp) => events.push((id, Event::Message(stamp))),
                Said::Told(bytes) => {
                    let start = self.told.len();
                    self.told.extend_from_slice(bytes);
                    events.push((id, Event::Told(Excerpt { start, end: self.told.len() })));
                }
                Said::Published => self.published += 1,
                Said::Ready => {
                    events.push((id, Event::Ready));
                    answer.append(&mut connection.ready);
                }
                Said::Subscribed => events.push((id, Event::Subscribed)),
                Said::Upgraded => answer = connection.upgraded.take().unwrap_or_default(),
                Said::Ping => answer = self.wire.pong(),
                Said::Closed(words) => last_words = Some(excerpt(words)),
                Said::Unexpected(text) => {
                    self.faults.error(&excerpt(text));
                    events.push((id, Event::Failed));
                }
            })?;
            if !answer.is_empty() {
                connection.output.extend_from_slice(&answer);
                self.unsent.push(id);
            }
            // Right behind the HTTP answer there may already be frames.
            if upgrading == connection.upgraded.is_some() {
                break;
            }
        }
        if used < fresh.len() {
            connection.input = fresh[used..].to_vec();
        }
        match last_words {
            Some(words) => self.close(id, &format!("the server closed the websocket: {words:?}"), events),
            None => Ok(()),
        }
    }

    fn close(&mut self, id: usize, why: &str, events: &mut Events) -> anyhow::Result<()> {
        let connection = &mut self.connections[id];
        connection.closed = true;
        epoll::delete(&self.epoll, &connection.stream)?;
        self.faults.closed(why);
        events.push((id, Event::Failed));
        Ok(())
    }

    fn watch(&self, id: usize, flags: EventFlags) -> anyhow::Result<()> {
        Ok(epoll::modify(&self.epoll, &self.connections[id].stream, EventData::new_u64(id as u64), flags)?)
    }
}
