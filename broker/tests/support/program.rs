//! The program itself, as a process whose log is read.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::Arc,
    thread::JoinHandle,
};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};

use super::{eventually, metrics, request};

/// A command of the program with these arguments and this environment, and nothing of the test's own.
pub(crate) fn command(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_broker"));
    command.env_clear().args(arguments).envs(environment.iter().copied()).stdin(Stdio::null());
    command
}

/// Runs a command that ends by itself.
pub(crate) async fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = command(arguments, environment);
    let ran = tokio::task::spawn_blocking(move || command.output().unwrap());
    super::within("the end of the program", ran).await.unwrap()
}

/// A broker that runs as a process of its own; ended with the test.
pub(crate) struct Program {
    child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Program {
    /// Starts `broker run` on free ports.
    pub(crate) fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let ports =
            ["SWITCHBOARD_CLIENT__ADDRESS", "SWITCHBOARD_ADMIN__ADDRESS"].map(|name| (name, "127.0.0.1:0"));
        let environment = [&ports, environment].concat();
        let mut command = command(&[&["run"], arguments].concat(), &environment);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (kept, lines) = (log.clone(), BufReader::new(child.stderr.take().unwrap()).lines());
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut kept = kept.lock();
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        Self { child, log, reader: Some(reader) }
    }

    /// What it has said so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().clone()
    }

    /// Waits until it has said this.
    pub(crate) async fn says(&self, text: &str) {
        eventually(&format!("the log says {text:?}"), async || self.log().contains(text)).await;
    }

    /// Where clients connect and where the admin port is, once it takes clients.
    pub(crate) async fn addresses(&self) -> (SocketAddr, SocketAddr) {
        self.says("admin_address").await;
        let log = self.log();
        let value = |key: &str| -> SocketAddr {
            let (_, rest) = log.split_once(key).unwrap_or_else(|| panic!("no {key} in {log}"));
            // As text `key=value`, as JSON `"key":"value"`.
            let rest = rest.trim_start_matches(['=', '"', ':']);
            let end = rest.find([' ', '"', '\n']).unwrap_or(rest.len());
            rest[..end].parse().unwrap_or_else(|error| panic!("{key}: {error}: {rest}"))
        };
        (value("client_address"), value("admin_address"))
    }

    /// Where clients connect by TCP, which is enabled, once it takes clients.
    pub(crate) async fn tcp_address(&self) -> SocketAddr {
        self.addresses().await;
        let log = self.log();
        let line = log.lines().find(|line| line.contains("by TCP"));
        let address = line.and_then(|line| line.rsplit_once("address=")?.1.parse().ok());
        address.unwrap_or_else(|| panic!("no address of TCP in {log}"))
    }

    /// The value of a metric; its series with these labels together.
    pub(crate) async fn metric(&self, admin: SocketAddr, name: &str, labels: &[(&str, &str)]) -> u64 {
        metrics::sum(&request(admin, "GET", "/metrics", "", b"").await.body, name, labels)
    }

    /// The most memory that it has had at a time, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells it");
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it has ended; how, and all that it has said.
    pub(crate) async fn end(mut self) -> (ExitStatus, String) {
        let mut status = None;
        eventually("the process ends", async || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        (status.unwrap(), self.log())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Of no use, and of no harm, when it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
