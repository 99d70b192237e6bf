//! What the operator counts, for Prometheus. No label takes a value from a user: the number of series is bounded.

use crate::crd::BrokerCluster;
use kube::runtime::reflector::Store;
use parking_lot::Mutex;
use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
    process_collector::ProcessCollector,
};
use std::time::Duration;

/// The operator's metrics.
pub struct Metrics {
    registry: Registry,
    reconciles: IntCounterVec,
    durations: Histogram,
    writes: IntCounterVec,
    leader: IntGauge,
    clusters: IntGauge,
    conditions: IntGaugeVec,
    store: Mutex<Option<Store<BrokerCluster>>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// A registry of their own, so that several operators fit into one test.
    pub fn new() -> Self {
        let registry = Registry::new();
        let reconciles = IntCounterVec::new(
            Opts::new("switchboard_operator_reconciles_total", "Reconciles by result"),
            &["result"],
        );
        let durations = Histogram::with_opts(
            HistogramOpts::new("switchboard_operator_reconcile_seconds", "Time of one reconcile")
                .buckets(vec![0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0]),
        );
        let writes = IntCounterVec::new(
            Opts::new(
                "switchboard_operator_writes_total",
                "Writes to the API server by kind of object and verb",
            ),
            &["kind", "verb"],
        );
        let leader = IntGauge::new("switchboard_operator_leader", "1 while this operator is the leader");
        let clusters = IntGauge::new("switchboard_operator_clusters", "BrokerClusters that are watched");
        let conditions = IntGaugeVec::new(
            Opts::new(
                "switchboard_operator_cluster_conditions",
                "BrokerClusters by condition and its status",
            ),
            &["condition", "status"],
        );
        let build = IntGaugeVec::new(
            Opts::new("switchboard_operator_build_info", "Always 1; the version is in the label"),
            &["version"],
        );
        const VALID: &str = "the metric's name and labels are valid";
        let (reconciles, durations, writes) =
            (reconciles.expect(VALID), durations.expect(VALID), writes.expect(VALID));
        let (leader, clusters) = (leader.expect(VALID), clusters.expect(VALID));
        let (conditions, build) = (conditions.expect(VALID), build.expect(VALID));
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let collectors: [Box<dyn prometheus::core::Collector>; 8] = [
            Box::new(reconciles.clone()),
            Box::new(durations.clone()),
            Box::new(writes.clone()),
            Box::new(leader.clone()),
            Box::new(clusters.clone()),
            Box::new(conditions.clone()),
            Box::new(build),
            Box::new(ProcessCollector::for_self()),
        ];
        for collector in collectors {
            registry.register(collector).expect("every metric is registered once");
        }
        Self {
            registry,
            reconciles,
            durations,
            writes,
            leader,
            clusters,
            conditions,
            store: Mutex::default(),
        }
    }

    /// Counts clusters from this cache.
    pub fn watch(&self, store: Store<BrokerCluster>) {
        *self.store.lock() = Some(store);
    }

    /// Counts one reconcile.
    pub fn reconciled(&self, result: &str, took: Duration) {
        self.reconciles.with_label_values(&[result]).inc();
        self.durations.observe(took.as_secs_f64());
    }

    /// Counts one write.
    pub fn write(&self, kind: &str, verb: &str) {
        self.writes.with_label_values(&[kind, verb]).inc();
    }

    /// All writes so far.
    pub fn writes(&self) -> u64 {
        let families = prometheus::core::Collector::collect(&self.writes);
        let values = families.iter().flat_map(|family| family.get_metric());
        values.map(|metric| metric.get_counter().get_value() as u64).sum()
    }

    /// Notes whether this operator leads.
    pub fn leading(&self, leading: bool) {
        self.leader.set(leading.into());
    }

    /// All metrics as Prometheus reads them.
    pub fn render(&self) -> String {
        if let Some(store) = &*self.store.lock() {
            let clusters = store.state();
            self.clusters.set(clusters.len() as i64);
            self.conditions.reset();
            for cluster in clusters {
                for condition in cluster.status.iter().flat_map(|status| &status.conditions) {
                    self.conditions.with_label_values(&[&condition.type_, &condition.status]).inc();
                }
            }
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text).expect("metrics are text");
        String::from_utf8(text).expect("metrics are UTF-8")
    }
}
