//! What a case runs against: one Redis alone, or one Redis and two brokers or their peers. Every round has fresh processes on
//! free loopback ports, so no case sees what another left behind.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;

use crate::server::Server;
use crate::side::Side;
use crate::wire::Wire;

const BROKER: &str = env!("CARGO_BIN_EXE_broker");

/// The servers of one round.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// How clients speak to it.
    pub(crate) wire: Wire,
    /// Where publishers connect: Redis, or server A.
    pub(crate) near: SocketAddr,
    /// Where subscribers connect: Redis, or server B.
    pub(crate) far: SocketAddr,
    servers: Vec<Server>,
    redis: Server,
    redis_address: SocketAddr,
    _directory: TempDir,
}

impl Cluster {
    /// Starts the side's servers, and waits until they serve.
    ///
    /// # Errors
    /// When a server does not come up.
    pub(crate) fn start(side: Side) -> anyhow::Result<Self> {
        let directory = directory()?;
        let (redis, redis_address, _) = start_redis(&directory)?;
        let mut servers = Vec::new();
        let mut doors = [redis_address; 2];
        for (name, door) in ["a", "b"].into_iter().zip(&mut doors) {
            let (server, address) = match side {
                Side::RawRedis => break,
                Side::Broker | Side::BrokerSocketIo | Side::BrokerBoards => {
                    let (broker, address, _) = start_broker(&directory, name, Some(redis_address))?;
                    (broker, address)
                }
                Side::Node => start_node(&directory, name, redis_address)?,
            };
            servers.push(server);
            *door = address;
        }
        let wire = side.wire();
        let [near, far] = doors;
        Ok(Self { wire, near, far, servers, redis, redis_address, _directory: directory })
    }

    /// Processor time of all its servers.
    ///
    /// # Errors
    /// When one of them is gone.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        self.servers.iter().chain([&self.redis]).map(Server::cpu).sum()
    }

    /// Bytes that have come to Redis so far.
    ///
    /// # Errors
    /// When it does not say.
    pub(crate) fn bytes_to_redis(&self) -> anyhow::Result<u64> {
        let answer = ask(self.redis_address, "INFO stats\r\n").unwrap_or_default();
        let line = answer.lines().find_map(|line| line.strip_prefix("total_net_input_bytes:"));
        line.context("ask Redis for total_net_input_bytes")?.parse().context("read total_net_input_bytes")
    }

    /// Resident bytes of the server behind the near door.
    ///
    /// # Errors
    /// When it is gone.
    pub(crate) fn resident(&self) -> anyhow::Result<u64> {
        self.servers.first().unwrap_or(&self.redis).resident()
    }

    /// The doors in turn, for connections that are split over both.
    pub(crate) fn doors(&self) -> impl Iterator<Item = SocketAddr> + use<> {
        [self.near, self.far].into_iter().cycle()
    }
}

/// How long a process takes from its start until it serves.
///
/// # Errors
/// When it does not come up.
pub(crate) fn time_to_serve(what: Start) -> anyhow::Result<Duration> {
    let directory = directory()?;
    match what {
        Start::Redis => start_redis(&directory).map(|(_, _, took)| took),
        Start::BrokerAlone => start_broker(&directory, "alone", None).map(|(_, _, took)| took),
        Start::BrokerWithRedis => {
            let (_redis, address, _) = start_redis(&directory)?;
            start_broker(&directory, "a", Some(address)).map(|(_, _, took)| took)
        }
    }
}

/// A process whose start is timed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    /// redis-server, until it answers PING.
    Redis,
    /// A broker on the memory backplane, until it is ready.
    BrokerAlone,
    /// A broker that joins a Redis, until it is ready.
    BrokerWithRedis,
}

fn directory() -> anyhow::Result<TempDir> {
    tempfile::Builder::new().prefix("switchboard-load-").tempdir().context("create a directory for logs")
}

fn start_redis(directory: &TempDir) -> anyhow::Result<(Server, SocketAddr, Duration)> {
    let address = free_address()?;
    let port = address.port().to_string();
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"]);
    command.args(["--maxclients", "20000", "--loglevel", "warning"]);
    let mut redis = Server::start("redis", &mut command, directory.path())?;
    let took =
        redis.wait_until(|| ask(address, "PING\r\n").is_some_and(|answer| answer.starts_with("+PONG")))?;
    Ok((redis, address, took))
}

fn start_broker(
    directory: &TempDir,
    name: &str,
    redis: Option<SocketAddr>,
) -> anyhow::Result<(Server, SocketAddr, Duration)> {
    let (client, admin) = (free_address()?, free_address()?);
    let name = format!("broker-{name}");
    let mut config = format!(
        "instance: {{id: {name}}}\n\
         client: {{address: \"{client}\"}}\n\
         admin: {{address: \"{admin}\"}}\n\
         auth: {{anonymous: true}}\n\
         endpoints: {{socketio: {{enabled: true}}, presence: {{enabled: true}}}}\n\
         channels: {{namespaces: [{{name: \"\", subscribe: any, publish: any, join_leave: false}}]}}\n\
         log: {{level: warn}}\n"
    );
    if let Some(redis) = redis {
        // A broker that went on alone would be measured as if it had joined.
        config.push_str(&format!("redis: {{url: \"redis://{redis}\", required: true}}\n"));
    }
    let path = directory.path().join(format!("{name}.yaml"));
    fs::write(&path, config).with_context(|| format!("write {}", path.display()))?;
    let mut command = Command::new(BROKER);
    command.arg("run").arg("--config").arg(&path);
    let mut broker = Server::start(&name, &mut command, directory.path())?;
    let request = "GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    let took =
        broker.wait_until(|| ask(admin, request).is_some_and(|answer| answer.starts_with("HTTP/1.1 200")))?;
    Ok((broker, client, took))
}

/// Socket.IO's own server, as its documentation has it for several processes.
fn start_node(directory: &TempDir, name: &str, redis: SocketAddr) -> anyhow::Result<(Server, SocketAddr)> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/load/node");
    anyhow::ensure!(
        program.join("node_modules").is_dir(),
        "the server's packages are missing; run: npm ci --prefix broker/benches/load/node"
    );
    let address = free_address()?;
    let mut command = Command::new("node");
    command.arg(program.join("server.mjs")).env("NODE_ENV", "production");
    command.env("PORT", address.port().to_string()).env("REDIS_URL", format!("redis://{redis}"));
    let mut node = Server::start(&format!("node-{name}"), &mut command, directory.path())?;
    let request =
        "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    node.wait_until(|| ask(address, request).is_some_and(|answer| answer.starts_with("HTTP/1.1 200")))?;
    Ok((node, address))
}

/// What the server answers first, if it does.
fn ask(address: SocketAddr, request: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer).ok()?;
    Some(String::from_utf8_lossy(&answer[..length]).into_owned())
}

/// A port outside the range that the kernel gives to outgoing connections: the thousands of those that a case
/// opens must not take it before the server does.
fn free_address() -> anyhow::Result<SocketAddr> {
    for _ in 0..1000 {
        let port = 10_000 + (RandomState::new().build_hasher().finish() % 20_000) as u16;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    anyhow::bail!("find a free port between 10000 and 30000 on 127.0.0.1")
}
