//! A real redis-server on a free port of loopback, ended with the test.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
};

use redis::{FromRedisValue, aio::MultiplexedConnection};
use rustix::process::{Pid, Signal, kill_process};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use switchboard::config;
use tempfile::TempDir;

use super::eventually;

pub(crate) struct Server {
    process: Option<Child>,
    pub(crate) port: u16,
    password: Option<&'static str>,
    tls: bool,
    directory: TempDir,
}

impl Server {
    /// A running server without a password.
    pub(crate) async fn start() -> Self {
        let mut server = Self::absent();
        server.run().await;
        server
    }

    /// A running server that asks for a password.
    pub(super) async fn with_password(password: &'static str) -> Self {
        let mut server = Self::absent();
        server.password = Some(password);
        server.run().await;
        server
    }

    /// A running server that speaks only TLS, with a certificate of its own.
    pub(super) async fn with_tls() -> Self {
        let mut server = Self::absent();
        server.tls = true;
        let made = Command::new("openssl")
            .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split(' '))
            .args("-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1".split(' '))
            .args("-addext basicConstraints=critical,CA:FALSE -keyout key.pem -out cert.pem".split(' '))
            .current_dir(server.directory.path())
            .output()
            .expect("openssl is needed: apt-get install openssl");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server.run().await;
        server
    }

    /// A server that does not run yet.
    pub(super) fn absent() -> Self {
        Self {
            process: None,
            port: free_port(),
            password: None,
            tls: false,
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// Starts it, on the port that it always had and with nothing stored but what it was to [keep](Self::keep).
    pub(super) async fn run(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"]);
        let port = self.port.to_string();
        if self.tls {
            command.args(["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"]);
            command.args(["--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem"]);
        } else {
            command.args(["--port", &port]);
        }
        if let Some(password) = self.password {
            command.args(["--requirepass", password]);
        }
        command.current_dir(self.directory.path()).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(command.spawn().expect("redis-server is needed: apt-get install redis-server"));
        let address = ("127.0.0.1", self.port);
        eventually("redis-server takes connections", async || {
            tokio::net::TcpStream::connect(address).await.is_ok()
        })
        .await;
    }

    /// Ends it at once, as a crash would.
    pub(super) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Has it write down what it has, for when it runs again.
    pub(super) async fn keep(&self) {
        let _: () = self.ask("SAVE").await;
    }

    /// Has it run a script.
    pub(super) async fn eval(&self, script: &str, keys: &[String]) {
        let mut eval = redis::cmd("EVAL");
        eval.arg(script).arg(keys.len()).arg(keys);
        let _: () = eval.query_async(&mut self.connection().await).await.unwrap();
    }

    /// Makes it stand still, with its connections open.
    pub(super) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub(super) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("the server runs");
        kill_process(Pid::from_child(process), signal).unwrap();
    }

    /// How a broker reaches it.
    pub(super) fn config(&self) -> config::Redis {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let mut config = config::Redis::at(format!("{scheme}://127.0.0.1:{}", self.port));
        config.password = self.password.map(Into::into);
        config
    }

    /// Its own certificate as the only one to trust.
    pub(super) fn roots(&self) -> RootCertStore {
        let path: &Path = self.directory.path();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(path.join("cert.pem")).unwrap()).unwrap();
        roots
    }

    /// A connection of the test's own.
    async fn connection(&self) -> MultiplexedConnection {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    /// Asks it something.
    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &str) -> T {
        let mut words = command.split(' ');
        let mut asked = redis::cmd(words.next().unwrap());
        words.for_each(|word| {
            asked.arg(word);
        });
        asked.query_async(&mut self.connection().await).await.unwrap()
    }
}

/// A port that nobody listens on, below those that the system gives to outgoing connections: a server keeps its
/// port while it is away.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 1000) as u16 * 10;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 2000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
