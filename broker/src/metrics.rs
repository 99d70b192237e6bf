//! What is counted, for Prometheus. No label is ever a client or a channel.
//!
//! Every handle is looked up when it is made, so that counting on a message's way is one atomic addition.

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

mod board;
mod history;
mod hook;
mod label;
mod labels;
mod socketio;
mod webhook;

pub use board::Movement;
pub use history::{Gap, HistoryMetrics, Recovery};
pub use hook::{HookMetrics, HookOutcome};
pub(crate) use label::label;
pub use label::{Counters, Histograms, Label};
pub use labels::{
    ApiMethod, ClientCommand, DeliveryFailure, Direction, EnvelopeDrop, LogicRun, Origin, PublishFailure,
    RedisCommand, Rejection, Source,
};
pub use socketio::{Emitted, Forwarded, SocketIoMetrics};
pub use webhook::{PostMetrics, WebhookAction, WebhookAttempt, WebhookMetrics};

use crate::endpoint::Disconnect;

/// Round trips to Redis in seconds: from a fast one on loopback to one that is as good as lost.
const ROUND_TRIPS: [f64; 16] = [
    50e-6, 100e-6, 200e-6, 400e-6, 800e-6, 1.5e-3, 3e-3, 6e-3, 12e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1.0, 2.5,
];

/// Handling a message in seconds: from one that only counts something to one that waits for another service.
const HANDLING: [f64; 12] = [100e-6, 500e-6, 1e-3, 5e-3, 10e-3, 50e-3, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0];

/// All metrics of one broker.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    connections: IntGaugeVec,
    connects: IntCounterVec,
    disconnects: IntCounterVec,
    received: IntCounterVec,
    /// Refused input, by reason; each reason belongs to one stage.
    pub rejected: Counters<Rejection>,
    /// Messages accepted for publishing.
    pub publishes: Counters<Source>,
    /// Messages that could not be published.
    pub publish_failures: Counters<PublishFailure>,
    /// Messages handed to one client's outbox.
    pub deliveries: Counters<Origin>,
    /// Messages that did not reach a client's outbox.
    pub delivery_failures: Counters<DeliveryFailure>,
    /// Envelopes that crossed the backplane.
    pub envelopes: Counters<Direction>,
    /// Envelopes that were dropped.
    pub envelopes_dropped: Counters<EnvelopeDrop>,
    /// Channels with a local subscriber.
    pub channels: IntGauge,
    /// Local subscriptions.
    pub subscriptions: IntGauge,
    /// Boards with a member on this instance.
    pub boards: IntGauge,
    /// Times that a board's news were told.
    pub board_flushes: IntCounter,
    /// Movements on boards.
    pub board_movements: Counters<Movement>,
    /// 1 while Redis is connected and its probe comes back.
    pub redis_up: IntGauge,
    /// Other instances that are heard through Redis.
    pub redis_peers: IntGauge,
    /// Connections to Redis that replaced a lost one.
    pub redis_reconnects: IntCounter,
    /// Round trip of the probe that an instance publishes to itself.
    pub redis_probe: Histogram,
    /// How long Redis took to answer.
    pub redis_commands: Histograms<RedisCommand>,
    /// Channels with history.
    pub history: HistoryMetrics,
    /// Unsent bytes of all clients.
    pub outbox_bytes: IntGauge,
    /// When the certificate that clients are shown ends, in seconds since 1970; 0 without TLS.
    pub tls_not_after: IntGauge,
    /// How often the certificate was replaced because its files had changed.
    pub tls_reloads: IntCounter,
    /// Looks at its files that found what cannot be used.
    pub tls_reload_failures: IntCounter,
    /// Keys that tokens are verified with.
    pub auth_keys: IntGauge,
    /// How often the keys were replaced because their files had changed.
    pub auth_key_reloads: IntCounter,
    /// Looks at the files of keys that found what cannot be used.
    pub auth_key_reload_failures: IntCounter,
    logic_runs: IntCounterVec,
    logic_waiting: IntGaugeVec,
    logic_seconds: HistogramVec,
    webhooks: webhook::Webhooks,
    hooks: hook::Hooks,
    socketio: socketio::SocketIo,
}

/// The metrics of one logic module.
#[derive(Clone, Debug)]
pub struct LogicMetrics {
    /// What became of messages for it.
    pub runs: Counters<LogicRun>,
    /// Messages that wait for it.
    pub waiting: IntGauge,
    /// How long it takes for one.
    pub seconds: Histogram,
}

/// The metrics of one endpoint that clients stay connected to.
#[derive(Clone, Debug)]
pub struct EndpointMetrics {
    /// Clients connected now.
    pub connections: IntGauge,
    /// Clients accepted so far.
    pub connects: IntCounter,
    /// Connections that ended.
    pub disconnects: Counters<Disconnect>,
    /// Commands read.
    pub received: Counters<ClientCommand>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics that all stand at zero, in a registry of their own.
    ///
    /// # Panics
    /// When two metrics have one name, which no input can cause.
    pub fn new() -> Self {
        let new = Builder { registry: Registry::new() };
        new.register_process();
        new.gauges("build_info", "Always 1; the version is the label.", &["version"])
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        Self {
            connections: new.gauges("connections", "Clients connected now.", &["endpoint"]),
            connects: new.counters("connects_total", "Clients accepted.", &["endpoint"]),
            disconnects: new.counters(
                "disconnects_total",
                "Connections that ended.",
                &["endpoint", "reason"],
            ),
            received: new.counters("received_total", "Commands read.", &["endpoint", "command"]),
            rejected: Counters::of(
                &new.counters("rejected_total", "Input that was refused.", &["stage", "reason"]),
                |why: Rejection| [why.stage(), why.as_str()],
            ),
            publishes: new.by("publishes_total", "Messages accepted for publishing.", "source"),
            publish_failures: new.by(
                "publish_failures_total",
                "Accepted messages that could not be published.",
                "reason",
            ),
            deliveries: new.by(
                "deliveries_total",
                "Messages handed to one client's outbox, by where they entered.",
                "origin",
            ),
            delivery_failures: new.by(
                "delivery_failures_total",
                "Messages that did not reach a client's outbox.",
                "reason",
            ),
            envelopes: new.by("envelopes_total", "Envelopes that crossed the backplane.", "direction"),
            envelopes_dropped: new.by("envelopes_dropped_total", "Envelopes that were dropped.", "reason"),
            channels: new.gauge("channels", "Channels with a subscriber on this instance."),
            subscriptions: new.gauge("subscriptions", "Subscriptions on this instance."),
            boards: new.gauge("boards", "Boards with a member on this instance."),
            board_flushes: new.counter("board_flushes_total", "Times that a board's news were told."),
            board_movements: new.by("board_movements_total", "Movements of cursors on boards.", "outcome"),
            redis_up: new.gauge("redis_up", "1 while Redis is connected and the probe comes back."),
            redis_peers: new
                .gauge("redis_peers", "Other instances that were heard within the last ten seconds."),
            redis_reconnects: new
                .counter("redis_reconnects_total", "Connections to Redis that replaced a lost one."),
            redis_probe: new
                .histogram("redis_probe_seconds", "Round trip of the probe through Redis pub/sub."),
            redis_commands: Histograms::of(&new.histograms(
                "redis_command_seconds",
                "How long Redis took to answer.",
                "command",
            )),
            history: HistoryMetrics::new(&new),
            outbox_bytes: new.gauge("outbox_bytes", "Unsent bytes of all clients."),
            tls_not_after: new.gauge(
                "tls_not_after_seconds",
                "When the certificate that clients are shown ends, in seconds since 1970; 0 without TLS.",
            ),
            tls_reloads: new.counter(
                "tls_reloads_total",
                "Times that the certificate was replaced because its files had changed.",
            ),
            tls_reload_failures: new.counter(
                "tls_reload_failures_total",
                "Looks at the files of the certificate, every two seconds, that found what cannot be used.",
            ),
            auth_keys: new.gauge("auth_keys", "Keys that tokens are verified with."),
            auth_key_reloads: new.counter(
                "auth_key_reloads_total",
                "Times that the keys of tokens were replaced because their files had changed.",
            ),
            auth_key_reload_failures: new.counter(
                "auth_key_reload_failures_total",
                "Looks at the files of keys, every two seconds, that found what cannot be used.",
            ),
            logic_runs: new.counters(
                "logic_runs_total",
                "Messages for a logic module, by what became of them.",
                &["module", "outcome"],
            ),
            logic_waiting: new.gauges("logic_waiting", "Messages that wait for a logic module.", &["module"]),
            logic_seconds: new.register(HistogramVec::new(
                HistogramOpts {
                    common_opts: opts("logic_seconds", "How long a logic module took for a message."),
                    buckets: HANDLING.to_vec(),
                },
                &["module"],
            )),
            webhooks: webhook::Webhooks::new(&new),
            hooks: hook::Hooks::new(&new),
            socketio: socketio::SocketIo::new(&new),
            registry: new.registry,
        }
    }

    /// The metrics of an endpoint, to be asked for once when it is built.
    pub fn endpoint(&self, name: &'static str) -> EndpointMetrics {
        EndpointMetrics {
            connections: self.connections.with_label_values(&[name]),
            connects: self.connects.with_label_values(&[name]),
            disconnects: Counters::of(&self.disconnects, |why: Disconnect| [name, why.as_str()]),
            received: self.received(name),
        }
    }

    /// The metrics of a logic module, to be asked for once when it is built.
    pub fn logic(&self, module: &str) -> LogicMetrics {
        LogicMetrics {
            runs: Counters::of(&self.logic_runs, |outcome: LogicRun| [module, outcome.as_str()]),
            waiting: self.logic_waiting.with_label_values(&[module]),
            seconds: self.logic_seconds.with_label_values(&[module]),
        }
    }

    /// The metrics of a webhook, to be asked for once when it is built.
    pub fn webhook(&self, module: &str) -> WebhookMetrics {
        self.webhooks.of(module)
    }

    /// The metrics of a hook, to be asked for once when it is built.
    pub fn hook(&self, name: &str) -> HookMetrics {
        self.hooks.of(name)
    }

    /// What the Socket.IO endpoint has beside, to be asked for once when it is built.
    pub fn socketio(&self) -> SocketIoMetrics {
        self.socketio.metrics()
    }

    /// The commands of an endpoint that nobody stays connected to, such as the server API.
    pub fn received<L: Label>(&self, endpoint: &'static str) -> Counters<L> {
        Counters::of(&self.received, |command: L| [endpoint, command.as_str()])
    }

    /// Where others can register metrics of their own.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// All metrics in Prometheus's text format.
    pub fn encode(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            // What was written before is still good; a comment tells whoever reads it.
            text.extend_from_slice(format!("\n# not complete: {error}\n").as_bytes());
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// Makes metrics and registers them. Names and labels are literals, so that a failure is a fault in this file.
struct Builder {
    registry: Registry,
}

impl Builder {
    fn register<M: prometheus::core::Collector + Clone + 'static>(&self, metric: prometheus::Result<M>) -> M {
        let metric = metric.expect("names and labels are valid");
        self.registry.register(Box::new(metric.clone())).expect("names are distinct");
        metric
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.register(IntGauge::with_opts(opts(name, help)))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.register(IntGaugeVec::new(opts(name, help), labels))
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.register(IntCounter::with_opts(opts(name, help)))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.register(IntCounterVec::new(opts(name, help), labels))
    }

    fn by<L: Label>(&self, name: &str, help: &str, label: &str) -> Counters<L> {
        Counters::of(&self.counters(name, help, &[label]), |value: L| [value.as_str()])
    }

    fn histogram(&self, name: &str, help: &str) -> Histogram {
        self.register(Histogram::with_opts(round_trips(name, help)))
    }

    fn histograms(&self, name: &str, help: &str, label: &str) -> HistogramVec {
        self.register(HistogramVec::new(round_trips(name, help), &[label]))
    }

    /// CPU, memory and open files, which the kernel tells only on Linux.
    fn register_process(&self) {
        #[cfg(target_os = "linux")]
        self.registry
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
            .expect("names are distinct");
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("switchboard")
}

fn round_trips(name: &str, help: &str) -> HistogramOpts {
    HistogramOpts { common_opts: opts(name, help), buckets: ROUND_TRIPS.to_vec() }
}

#[cfg(test)]
mod tests;
