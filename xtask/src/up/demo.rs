//! Messages from a client on one pod to a client on another, shown as they arrive.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::client::Client;
use super::target::Target;
use crate::steps::{Step, Steps};
use crate::terminal::{bold, cyan, dim, say};

/// The two pods that talk.
pub(super) const PODS: [&str; 2] = ["chat-0", "chat-1"];
const CHANNEL: &str = "lobby";
/// How many messages each of them sends.
const EACH: usize = 5;

/// One message that arrived.
struct Arrival {
    from: usize,
    text: String,
    took: Duration,
}

pub(super) fn run(steps: &Steps, target: &Target) -> Result<()> {
    let arrivals = steps.run("messages", |step| {
        let arrivals = talk(step, target)?;
        step.note(format!("{} sent, {} arrived", 2 * EACH, arrivals.len()));
        Ok(arrivals)
    })?;
    say(format!("\n  {}\n", bold("From a client on one pod to a client on the other")));
    let mut times: Vec<Duration> = arrivals.iter().map(|arrival| arrival.took).collect();
    for Arrival { from, text, took } in &arrivals {
        let (sender, receiver) = (PODS[*from], PODS[1 - from]);
        say(format!("    {} → {}   {text:<24} {:>7}", cyan(sender), cyan(receiver), milliseconds(*took)));
    }
    times.sort();
    say(format!(
        "\n    {}\n",
        dim(&format!(
            "median {}, of which kubectl port-forward takes the most",
            milliseconds(times[times.len() / 2])
        ))
    ));
    Ok(())
}

fn talk(step: &Step, target: &Target) -> Result<Vec<Arrival>> {
    let tunnels = [Tunnel::open(target, PODS[0])?, Tunnel::open(target, PODS[1])?];
    let mut clients = Vec::new();
    for (tunnel, pod) in tunnels.iter().zip(PODS) {
        let mut client = Client::connect(tunnel.port).with_context(|| format!("a client on {pod}"))?;
        client.subscribe(CHANNEL).with_context(|| format!("a client on {pod}"))?;
        step.log(format!("a client on {pod} is subscribed to {CHANNEL}"));
        clients.push(client);
    }
    let mut arrivals = Vec::new();
    for number in 0..2 * EACH {
        let (from, to) = (number % 2, 1 - number % 2);
        let text = format!("hello {} from {}", number / 2 + 1, PODS[from]);
        let data = json!({"text": text});
        let sent = Instant::now();
        clients[from].publish(CHANNEL, &data)?;
        expect(&mut clients[to], &data)?;
        arrivals.push(Arrival { from, text, took: sent.elapsed() });
        // Who publishes is subscribed too, and gets its own message.
        expect(&mut clients[from], &data)?;
    }
    Ok(arrivals)
}

fn expect(client: &mut Client, data: &Value) -> Result<()> {
    let got = client.publication()?;
    if got != *data {
        bail!("{data} was sent, but {got} arrived");
    }
    Ok(())
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// A port of loopback that leads to one pod.
struct Tunnel {
    child: Child,
    /// Kept open: kubectl writes a line for each connection, and ends when nobody can read it.
    _output: BufReader<ChildStdout>,
    port: u16,
}

impl Tunnel {
    fn open(target: &Target, pod: &str) -> Result<Self> {
        let mut kubectl: Command = target.kubectl();
        kubectl.args(["port-forward", "--namespace", super::NAMESPACE, "--address", "127.0.0.1"]);
        kubectl.args([&format!("pod/{pod}"), ":8000"]);
        kubectl.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = kubectl.spawn().context("cannot start kubectl port-forward")?;
        let mut line = String::new();
        let output = child.stdout.take().context("no output of kubectl")?;
        let mut output = BufReader::new(output);
        output.read_line(&mut line)?;
        let mut tunnel = Self { child, _output: output, port: 0 };
        // `Forwarding from 127.0.0.1:34567 -> 8000`
        let port = line.split_once("127.0.0.1:").and_then(|(_, rest)| rest.split(' ').next());
        tunnel.port = port
            .and_then(|port| port.parse().ok())
            .with_context(|| format!("kubectl port-forward does not reach the pod {pod}"))?;
        Ok(tunnel)
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
